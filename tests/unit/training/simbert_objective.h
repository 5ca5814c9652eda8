/* SimBERT's objective on a golden batch, as sb_adversary_run and the tests of gradients take it: cross entropy of the targets plus
   in-batch similarity. Static: each test links alone. */
#ifndef SB_TESTS_SIMBERT_OBJECTIVE_H
#define SB_TESTS_SIMBERT_OBJECTIVE_H

#include "tests/unit/training_batch.h"
#include "training/adversarial.h"
#include "training/loss_logits.h"
#include "training/losses.h"

struct simbert_objective {
    struct sb_network *network;
    struct sb_pass *pass;
    struct training_batch batch;
    struct sb_loss *similarity;
    size_t first_token[BATCH_MAX_ROWS + 1];
    float *dpooled;
    double seq2seq, in_batch; /* of the last run */
    struct sb_objective objective;
};

/* KL against what was remembered, chunk by chunk. */
struct divergence {
    struct sb_pass *pass;
    struct sb_kept_logits clean;
    struct sb_kl_divergence kl;
};

static inline void compare_chunk(void *context, float *logits, size_t first, size_t count)
{
    struct divergence *d = context;
    d->clean.logits = (float *)(uintptr_t)sb_pass_reference(d->pass, first, count);
    sb_kl_divergence(&d->kl, logits, 0, count);
}

static inline enum sb_status simbert_divergence(struct simbert_objective *o, const struct sb_objective_call *call,
                                                double *value)
{
    size_t words = (size_t)sb_network_config(o->network)->vocab_size;
    float *scratch = malloc(words * sizeof *scratch);
    struct divergence d = {.pass = o->pass, .clean.vocab_size = words};
    d.kl = (struct sb_kl_divergence){.kernels = sb_kernels_choose(NULL, NULL),
                                     .clean = &d.clean,
                                     .scratch = scratch,
                                     .normaliser = (double)o->batch.targets,
                                     .weight = call->weight};
    sb_pass_logits(o->pass, o->batch.positions, o->batch.targets, compare_chunk, &d, call->gradients);
    sb_pass_backward(o->pass, NULL, call->gradients);
    free(scratch);
    *value = d.kl.value;
    return SB_OK;
}

static inline enum sb_status simbert_run(void *context, const struct sb_objective_call *call, double *value,
                                         struct sb_error *error)
{
    struct simbert_objective *o = context;
    size_t hidden = (size_t)sb_network_dimensions(o->network);
    struct sb_pass_input input = {.rows = o->batch.rows,
                                  .count = o->batch.count,
                                  .perturbation = call->perturbation,
                                  .occurrence_gradients = call->occurrence_gradients};
    enum sb_status status = sb_pass_forward(o->pass, &input, error);
    if (status != SB_OK)
        return status;
    if (call->what == SB_OBJECTIVE_DIVERGENCE)
        return simbert_divergence(o, call, value);
    if (call->what == SB_OBJECTIVE_LOSS_AND_KEEP)
        sb_pass_keep_reference(o->pass, o->batch.positions, o->batch.targets);
    struct sb_cross_entropy entropy = {.kernels = sb_kernels_choose(NULL, NULL),
                                       .vocab_size = (size_t)sb_network_config(o->network)->vocab_size,
                                       .labels = o->batch.labels,
                                       .normaliser = (double)o->batch.targets,
                                       .weight = call->weight};
    sb_pass_logits(o->pass, o->batch.positions, o->batch.targets, sb_cross_entropy, &entropy, call->gradients);
    memset(o->dpooled, 0, o->batch.count * hidden * sizeof *o->dpooled);
    struct sb_loss_input loss = {
        .rows = o->batch.count,
        .vectors = {{.x = sb_pass_pooled(o->pass), .dx = o->dpooled, .ld = hidden}},
        .weight = call->weight,
    };
    status = sb_loss_run(o->similarity, &loss, &o->in_batch, error);
    sb_pass_backward(o->pass, o->dpooled, call->gradients);
    o->seq2seq = entropy.value;
    *value = o->seq2seq + o->in_batch;
    return status;
}

/* Rows of the batch of golden/train/<model>; the caller closes the tensors after the objective. */
static inline void simbert_open(struct simbert_objective *o, const char *model, const struct golden_tensors *batch)
{
    char dir[64];
    struct sb_error error;
    memset(o, 0, sizeof *o);
    snprintf(dir, sizeof dir, "models/%s", model);
    batch_read(&o->batch, batch, "", 0, BATCH_MAX_ROWS);
    enum sb_status status = sb_network_open(&o->network, golden(dir), NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    struct sb_pass_options options = {.max_tokens = BATCH_MAX_TOKENS, .max_rows = BATCH_MAX_ROWS, .keeps_reference = true};
    ck_assert_int_eq(sb_pass_new(&o->pass, o->network, &options, NULL), SB_OK);
    const struct sb_loss_class *class = sb_loss_find("in_batch_similarity", NULL);
    struct sb_loss_options loss = sb_loss_defaults(class);
    size_t hidden = (size_t)sb_network_dimensions(o->network);
    ck_assert_int_eq(sb_loss_new(&o->similarity, class, &loss, BATCH_MAX_ROWS, hidden, NULL), SB_OK);
    o->dpooled = calloc(BATCH_MAX_ROWS * hidden, sizeof *o->dpooled);
    for (size_t r = 0; r < o->batch.count; r++)
        o->first_token[r + 1] = o->first_token[r] + o->batch.rows[r].length;
    o->objective = (struct sb_objective){
        .run = simbert_run, .context = o, .rows = o->batch.count, .first_token = o->first_token};
}

static inline void simbert_close(struct simbert_objective *o)
{
    free(o->dpooled);
    sb_loss_free(o->similarity);
    sb_pass_free(o->pass);
    sb_network_free(o->network);
}

#endif
