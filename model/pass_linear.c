/*
 * Linear layers of a pass. Kernels change every step, so they are packed when they are used: that costs
 * less than one per cent of a step, and the memory of one kernel instead of all.
 *
 *     forward    y  [rows, out] = x  [rows, in]  @ W^T            panels of W
 *     backward   dx [rows, in]  = dy [rows, out] @ W              panels of W^T
 *     gradient   dW [out, in]  += dy^T [out, n]  @ x [n, in]      panels of x^T, n = a chunk of rows
 */
#include "model/pass_impl.h"

enum { PANELS_A_TASK = 2, OUTPUTS_A_TASK = 64, COLUMNS_A_TASK = 256 };

static size_t tasks_of(size_t count, size_t a_task)
{
    return (count + a_task - 1) / a_task;
}

static size_t part(size_t count, size_t first, size_t a_task)
{
    return count - first < a_task ? count - first : a_task;
}

struct packing {
    struct sb_packed packed;
    const float *source;
    size_t ld_source;
    bool transposed;
};

static void pack_panels(void *context, size_t index, int worker)
{
    struct packing *packing = context;
    (void)worker;
    size_t first = index * PANELS_A_TASK;
    sb_packed_fill(&packing->packed, packing->source, packing->ld_source, packing->transposed, first,
                   part(sb_packed_panels(&packing->packed), first, PANELS_A_TASK));
}

struct sb_packed sb_pass_pack(struct sb_pass *p, const float *kernel, size_t out, size_t in, bool transposed,
                              void *memory)
{
    struct packing packing = {.source = kernel, .ld_source = in, .transposed = transposed};
    sb_packed_init(&packing.packed, p->linear, memory, transposed ? in : out, transposed ? out : in);
    sb_pool_run(p->options.pool, tasks_of(sb_packed_panels(&packing.packed), PANELS_A_TASK), pack_panels, &packing);
    return packing.packed;
}

struct product {
    struct sb_pass *pass;
    float *y;
    const float *x, *bias, *residual;
    size_t ld_y, ld_x, ld_residual, rows;
    const struct sb_packed *w;
};

static void multiply_rows(void *context, size_t index, int worker)
{
    const struct product *c = context;
    size_t first = index * SB_PASS_ROWS;
    struct sb_epilogue add = {.residual = c->residual ? c->residual + first * c->ld_residual : NULL,
                              .ld_residual = c->ld_residual};
    sb_linear(c->y + first * c->ld_y, c->ld_y, c->x + first * c->ld_x, c->ld_x, part(c->rows, first, SB_PASS_ROWS),
              c->w, c->bias, &add, c->pass->scratch[worker]);
}

void sb_pass_linear(struct sb_pass *p, float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows,
                    const struct sb_packed *w, const float *bias, const float *residual, size_t ld_residual)
{
    struct product product = {p, y, x, bias, residual, ld_y, ld_x, ld_residual, rows, w};
    sb_pool_run(p->options.pool, tasks_of(rows, SB_PASS_ROWS), multiply_rows, &product);
}

struct gradient {
    struct sb_pass *pass;
    struct packing x;        /* x^T of the chunk */
    size_t pack_tasks;
    const float *dy;
    size_t ld_dy, rows, out, in;
    float *transposed, *dkernel, *dbias;
};

static void prepare_chunk(void *context, size_t index, int worker)
{
    struct gradient *g = context;
    if (index < g->pack_tasks) {
        pack_panels(&g->x, index, worker);
        return;
    }
    size_t first = (index - g->pack_tasks) * OUTPUTS_A_TASK;
    g->pass->training->transpose(g->transposed + first * g->rows, g->rows, g->dy + first, g->ld_dy, g->rows,
                                 part(g->out, first, OUTPUTS_A_TASK));
}

static void add_chunk(void *context, size_t index, int worker)
{
    const struct gradient *g = context;
    size_t first = index * SB_PASS_ROWS;
    float *sum = g->dkernel + first * g->in;
    sb_linear(sum, g->in, g->transposed + first * g->rows, g->rows, part(g->out, first, SB_PASS_ROWS), &g->x.packed,
              NULL, &(struct sb_epilogue){.residual = sum, .ld_residual = g->in}, g->pass->scratch[worker]);
}

static void add_bias(void *context, size_t index, int worker)
{
    const struct gradient *g = context;
    (void)worker;
    size_t first = index * COLUMNS_A_TASK;
    g->pass->training->add_rows(g->dbias + first, g->dy + first, g->ld_dy, g->rows,
                                part(g->out, first, COLUMNS_A_TASK));
}

void sb_pass_kernel_gradient(struct sb_pass *p, float *dkernel, float *dbias, const float *dy, size_t ld_dy,
                             const float *x, size_t ld_x, size_t rows, size_t out, size_t in, float *transposed)
{
    for (size_t first = 0; first < rows; first += SB_PASS_CHUNK) {
        struct gradient g = {.pass = p,
                             .x = {.source = x + first * ld_x, .ld_source = ld_x, .transposed = true},
                             .dy = dy + first * ld_dy,
                             .ld_dy = ld_dy,
                             .rows = part(rows, first, SB_PASS_CHUNK),
                             .out = out,
                             .in = in,
                             .transposed = transposed,
                             .dkernel = dkernel,
                             .dbias = dbias};
        sb_packed_init(&g.x.packed, p->linear, p->chunk_panels, in, g.rows);
        g.pack_tasks = tasks_of(sb_packed_panels(&g.x.packed), PANELS_A_TASK);
        sb_pool_run(p->options.pool, g.pack_tasks + tasks_of(out, OUTPUTS_A_TASK), prepare_chunk, &g);
        sb_pool_run(p->options.pool, tasks_of(out, SB_PASS_ROWS), add_chunk, &g);
        if (dbias)
            sb_pool_run(p->options.pool, tasks_of(out, COLUMNS_A_TASK), add_bias, &g);
    }
}
