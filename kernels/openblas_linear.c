/*
 * Linear layers by OpenBLAS: the portable path for processors without a variant of our own, and for comparing. The library is
 * loaded when it is first asked for, so that nobody else pays for its start or needs it installed. It runs on the calling
 * thread only. Its sums may depend on how many rows are computed together: with it, and only with it, a row's bits may depend
 * on the batch.
 */
#include "kernels/plain_act.h"
#include "kernels/variants.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

/* CBLAS: orders and transpositions by their numbers in the BLAS Technical Forum standard. */
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };
typedef void sgemm_function(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                            const float *a, int ld_a, const float *b, int ld_b, float beta, float *c, int ld_c);

static sgemm_function *sgemm;
static pthread_once_t loaded = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    void (*set_threads)(int);
    *(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&sgemm = dlsym(library, "cblas_sgemm");
    if (set_threads)
        set_threads(1);
}

static bool runs_here(void)
{
    pthread_once(&loaded, load);
    return sgemm != NULL;
}

/* Panels of one output are the rows of W as they are. With a residual but no activation, sgemm adds to it. */
static void openblas_linear(float *y, size_t ld_y, const float *x, size_t ld_x, size_t rows, const struct sb_packed *w,
                            const float *bias, const struct sb_epilogue *epilogue, void *scratch)
{
    (void)scratch;
    enum sb_act act = epilogue ? epilogue->activation : SB_ACT_NONE;
    const float *residual = epilogue ? epilogue->residual : NULL;
    bool onto = residual && act == SB_ACT_NONE;
    for (size_t r = 0; onto && residual != y && r < rows; r++)
        memcpy(y + r * ld_y, residual + r * epilogue->ld_residual, w->out * sizeof *y);
    sgemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, (int)rows, (int)w->out, (int)w->in, 1, x, (int)ld_x, w->panels,
          (int)w->in, onto ? 1 : 0, y, (int)ld_y);
    for (size_t r = 0; r < rows && (bias || !onto); r++) {
        const float *add = residual && !onto ? residual + r * epilogue->ld_residual : NULL;
        for (size_t o = 0; o < w->out; o++)
            y[r * ld_y + o] = plain_act(y[r * ld_y + o] + (bias ? bias[o] : 0), act) + (add ? add[o] : 0);
    }
}

/* Panels of one output: W as it is, or transposed. */
static void openblas_fill(struct sb_packed *packed, const float *source, size_t ld_source, bool transposed,
                          size_t first_panel, size_t panels)
{
    float *to = (float *)packed->panels + first_panel * packed->in;
    if (transposed)
        sb_kernels_vector128.training->transpose(to, packed->in, source + first_panel, ld_source, packed->in, panels);
    else
        for (size_t o = first_panel; o < first_panel + panels; o++, to += packed->in)
            memcpy(to, source + o * ld_source, packed->in * sizeof *to);
}

const struct sb_linear_kernel sb_linear_openblas_f32 = {.name = "openblas-f32",
                                                        .dtype = SB_PACKED_F32,
                                                        .is_fast = true,
                                                        .panel_width = 1,
                                                        .runs_here = runs_here,
                                                        .run = openblas_linear,
                                                        .fill = openblas_fill};
