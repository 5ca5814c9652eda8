#include "training/lesson.h"

#include "training/loss_logits.h"

#include <stdlib.h>
#include <string.h>

struct sb_lesson {
    struct sb_lesson_setup setup;
    struct sb_batches *batches;
    struct sb_batch batch;
    struct sb_loss *losses[SB_LESSON_LOSSES];
    const char *names[SB_LESSON_LOSSES + 1];
    double values[SB_LESSON_LOSSES + 1];
    size_t value_count, dimensions, max_rows;
    size_t width; /* of what the network gives; dimensions: of what the losses read */
    uint64_t step;

    size_t first_row, row_count; /* this process's share of the batch */
    size_t *first_token;         /* [max_rows + 1], of the share */
    size_t *positions, targets;  /* tokens of the share that have a label */
    int32_t *labels, *predictions;
    uint8_t *wanted;
    size_t token_capacity;
    double all_targets; /* of the whole batch */

    float *vectors, *dvectors; /* [max_rows, dimensions] of the whole batch: what the losses read, and their gradient */
    float *pooled, *dpooled;   /* [max_rows, width]: the same before a Dense module; without one these are those */
    float *teacher;            /* [max_rows, max_rows] */
    struct sb_pass_row *clean; /* [max_rows]: what the teacher reads: texts as they were before noise */
    int32_t *clean_ids;        /* [token_capacity] */
    float *shared;             /* [parameters->size]: gradients of this process, with several of them */
    float *scratch;            /* [V] */
};

/* ---- Checks and memory ---- */

static bool needs(const struct sb_lesson_loss *loss, unsigned need)
{
    return loss->class->needs & need;
}

static enum sb_status check_loss(const struct sb_lesson *l, const struct sb_lesson_loss *loss, struct sb_error *error)
{
    size_t rows = sb_batches_rows_per_example(l->batches), matrices = sb_loss_matrices(loss->class);
    const char *name = loss->class->name;
    if (sb_loss_takes_twos(loss->class) ? rows != 2 : rows < matrices)
        return sb_fail(error, SB_INVALID, "objective '%s' needs %zu texts an example; the data give %zu", name,
                       sb_loss_takes_twos(loss->class) ? 2 : matrices, rows);
    if (needs(loss, SB_LOSS_NEEDS_TEACHER) && !l->setup.teacher)
        return sb_fail(error, SB_INVALID, "objective '%s' needs a teacher: name a model directory", name);
    if (needs(loss, SB_LOSS_NEEDS_CLASSES)) {
        const struct sb_parameter *p =
            sb_parameters_find(sb_network_parameters(l->setup.network), SB_PAIR_HEAD_TENSOR);
        if (!p || p->rows != loss->options.classes || p->columns != 3 * l->dimensions)
            return sb_fail(error, SB_INVALID, "objective '%s': the network has no '%s' of [%zu, %zu]", name,
                           SB_PAIR_HEAD_TENSOR, loss->options.classes, 3 * l->dimensions);
    }
    return SB_OK;
}

static enum sb_status check(const struct sb_lesson *l, struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    if (s->label_weight > 0 && !sb_network_has_mlm(s->network))
        return sb_fail(error, SB_UNSUPPORTED, "objective '%s': the model has no MLM head", s->name);
    for (size_t i = 0; i < s->loss_count; i++) {
        enum sb_status status = check_loss(l, &s->losses[i], error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}

static enum sb_status make_losses(struct sb_lesson *l, struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    if (s->label_weight > 0)
        l->names[l->value_count++] = s->name;
    for (size_t i = 0; i < s->loss_count; i++) {
        enum sb_status status =
            sb_loss_new(&l->losses[i], s->losses[i].class, &s->losses[i].options, l->max_rows, l->dimensions, error);
        if (status != SB_OK)
            return status;
        l->names[l->value_count++] = s->losses[i].class->name;
    }
    return SB_OK;
}

static bool uses_teacher(const struct sb_lesson_setup *s)
{
    for (size_t i = 0; i < s->loss_count; i++)
        if (needs(&s->losses[i], SB_LOSS_NEEDS_TEACHER))
            return true;
    return false;
}

static enum sb_status allocate(struct sb_lesson *l, struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    size_t vectors = l->max_rows * l->dimensions, words = (size_t)sb_network_config(s->network)->vocab_size;
    bool good = (l->first_token = calloc(l->max_rows + 1, sizeof *l->first_token)) &&
                (l->vectors = calloc(vectors, sizeof *l->vectors)) &&
                (l->dvectors = calloc(vectors, sizeof *l->dvectors)) && (l->scratch = calloc(words, sizeof *l->scratch));
    l->pooled = l->vectors;
    l->dpooled = l->dvectors;
    if (good && s->dense) {
        l->pooled = calloc(l->max_rows * l->width, sizeof *l->pooled);
        l->dpooled = calloc(l->max_rows * l->width, sizeof *l->dpooled);
        good = l->pooled && l->dpooled;
    }
    if (good && uses_teacher(s))
        good = (l->teacher = calloc(l->max_rows * l->max_rows, sizeof *l->teacher)) &&
               (l->clean = calloc(l->max_rows, sizeof *l->clean));
    if (good && sb_parallel_size(s->parallel) > 1)
        good = (l->shared = calloc(sb_network_parameters(s->network)->size, sizeof *l->shared)) != NULL;
    return good ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for batches of %zu rows", l->max_rows);
}

enum sb_status sb_lesson_new(struct sb_lesson **lesson, const struct sb_lesson_setup *setup, struct sb_batches *batches,
                             struct sb_error *error)
{
    *lesson = NULL;
    struct sb_lesson *l = calloc(1, sizeof *l);
    if (!l) {
        sb_batches_free(batches);
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    }
    l->setup = *setup;
    l->batches = batches;
    l->width = (size_t)sb_network_dimensions(setup->network);
    l->dimensions = setup->dense ? sb_dense_head_dimensions(setup->dense) : l->width;
    l->max_rows = sb_batches_max_rows(batches);
    enum sb_status status = check(l, error);
    if (status == SB_OK)
        status = make_losses(l, error);
    if (status == SB_OK)
        status = allocate(l, error);
    if (status != SB_OK) {
        sb_lesson_free(l);
        return status;
    }
    *lesson = l;
    return SB_OK;
}

void sb_lesson_free(struct sb_lesson *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < SB_LESSON_LOSSES; i++)
        sb_loss_free(l->losses[i]);
    sb_batch_free(&l->batch);
    sb_batches_free(l->batches);
    free(l->first_token);
    free(l->positions);
    free(l->labels);
    free(l->predictions);
    free(l->wanted);
    if (l->setup.dense) {
        free(l->pooled);
        free(l->dpooled);
    }
    free(l->vectors);
    free(l->dvectors);
    free(l->teacher);
    free(l->clean);
    free(l->clean_ids);
    free(l->shared);
    free(l->scratch);
    free(l);
}

/* ---- One batch ---- */

static enum sb_status reserve_tokens(struct sb_lesson *l, size_t tokens, struct sb_error *error)
{
    if (tokens <= l->token_capacity)
        return SB_OK;
    free(l->positions);
    free(l->labels);
    free(l->predictions);
    free(l->wanted);
    free(l->clean_ids);
    l->positions = calloc(tokens, sizeof *l->positions);
    l->labels = calloc(tokens, sizeof *l->labels);
    l->predictions = calloc(tokens, sizeof *l->predictions);
    l->wanted = calloc(tokens, sizeof *l->wanted);
    l->clean_ids = calloc(tokens, sizeof *l->clean_ids);
    l->token_capacity = l->positions && l->labels && l->predictions && l->wanted && l->clean_ids ? tokens : 0;
    return l->token_capacity ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for a batch of %zu tokens", tokens);
}

static struct sb_pass_input input_of(const struct sb_lesson *l)
{
    return (struct sb_pass_input){.rows = l->batch.rows + l->first_row,
                                  .count = l->row_count,
                                  .hidden_dropout = l->setup.hidden_dropout,
                                  .attention_dropout = l->setup.attention_dropout,
                                  .seed = l->setup.seed,
                                  .step = l->step,
                                  .first_row = l->first_row,
                                  .wanted = l->wanted};
}

/* What sb_pass_logits calls for scheduled sampling: the best token at each position. */
static void predict(void *context, float *logits, size_t first, size_t count)
{
    struct sb_lesson *l = context;
    size_t words = (size_t)sb_network_config(l->setup.network)->vocab_size;
    for (size_t r = 0; r < count; r++) {
        const float *row = logits + r * words;
        size_t best = 0;
        for (size_t i = 1; i < words; i++)
            best = row[i] > row[best] ? i : best;
        l->predictions[l->positions[first + r]] = (int32_t)best;
    }
}

static enum sb_status replace_inputs(struct sb_lesson *l, struct sb_error *error)
{
    double probability = sb_probability_at(l->setup.schedule, l->setup.scheduled_probability, l->step,
                                           l->setup.schedule_steps);
    if (probability <= 0 || l->row_count == 0)
        return SB_OK;
    struct sb_pass_input input = input_of(l);
    enum sb_status status = sb_pass_forward(l->setup.pass, &input, error);
    if (status != SB_OK)
        return status;
    sb_pass_logits(l->setup.pass, l->positions, l->targets, predict, l, NULL);
    sb_batch_replace_scheduled(&l->batch, l->first_row, l->row_count, l->predictions, probability);
    return SB_OK;
}

static enum sb_status ask_teacher(struct sb_lesson *l, struct sb_error *error)
{
    int32_t *at = l->clean_ids;
    for (size_t r = 0; r < l->batch.row_count; r++) {
        size_t length = sb_batch_clean_text(&l->batch, r, at);
        l->clean[r] = (struct sb_pass_row){.ids = at, .length = length, .prefix = length};
        at += length;
    }
    return sb_teacher_similarities(l->setup.teacher, sb_network_tokenizer(l->setup.network), l->clean,
                                   l->batch.row_count, l->teacher, error);
}

enum sb_status sb_lesson_prepare(struct sb_lesson *l, uint64_t epoch, size_t index, uint64_t step,
                                 struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    enum sb_status status = sb_batches_build(l->batches, &l->batch, epoch, index, error);
    if (status == SB_OK)
        status = reserve_tokens(l, l->batch.token_count, error);
    if (status != SB_OK)
        return status;
    l->step = step;
    l->all_targets = (double)sb_batch_targets(&l->batch, 0, l->batch.row_count, l->positions, l->labels);
    sb_batch_share(&l->batch, (size_t)sb_parallel_rank(s->parallel), (size_t)sb_parallel_size(s->parallel),
                   &l->first_row, &l->row_count);
    l->targets = sb_batch_targets(&l->batch, l->first_row, l->row_count, l->positions, l->labels);
    memset(l->wanted, 0, l->batch.token_count);
    for (size_t i = 0; i < l->targets; i++)
        l->wanted[l->positions[i]] = 1;
    for (size_t r = 0; r < l->row_count; r++)
        l->first_token[r + 1] = l->first_token[r] + l->batch.rows[l->first_row + r].length;
    if (l->teacher)
        status = ask_teacher(l, error);
    return status == SB_OK ? replace_inputs(l, error) : status;
}

/* ---- Losses ---- */

static const struct sb_parameter *parameter(const struct sb_lesson *l, const char *name)
{
    return sb_parameters_find(sb_network_parameters(l->setup.network), name);
}

/* The vectors of the whole batch, through a Dense module if there is one, normalised over the batch if asked for. */
static enum sb_status gather_vectors(struct sb_lesson *l, struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    size_t ranks = (size_t)sb_parallel_size(s->parallel), *borders = calloc(ranks + 1, sizeof *borders);
    if (!borders)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    for (size_t r = 0; r < ranks; r++) {
        size_t first, count;
        sb_batch_share(&l->batch, r, ranks, &first, &count);
        borders[r + 1] = (first + count) * l->width;
    }
    memcpy(l->pooled + l->first_row * l->width, sb_pass_pooled(s->pass), l->row_count * l->width * sizeof *l->pooled);
    sb_parallel_gather(s->parallel, l->pooled, borders);
    free(borders);
    if (s->dense)
        sb_dense_head_forward(s->dense, l->vectors, l->pooled, l->batch.row_count, sb_network_values(s->network));
    memset(l->dvectors, 0, l->batch.row_count * l->dimensions * sizeof *l->dvectors);
    if (!s->norm)
        return SB_OK;
    const float *values = sb_network_values(s->network);
    return sb_pool_norm_forward(s->norm, l->vectors, l->vectors, l->batch.row_count,
                                values + parameter(l, SB_POOL_NORM_GAMMA)->offset,
                                values + parameter(l, SB_POOL_NORM_BETA)->offset, error);
}

/* What a loss reads of the batch: rows of an example are rows_per_example * dimensions floats apart. */
static struct sb_loss_input loss_input(struct sb_lesson *l, const struct sb_lesson_loss *loss, double weight)
{
    size_t n = l->batch.rows_per_example, d = l->dimensions;
    struct sb_loss_input in = {.rows = l->batch.example_count,
                               .scores = l->batch.scores,
                               .classes = l->batch.classes,
                               .ranges = l->batch.classes_of,
                               .teacher = l->teacher,
                               .weight = weight * loss->weight};
    if (loss->class->takes == SB_LOSS_ROWS) {
        in.rows = l->batch.row_count;
        in.vectors[0] = (struct sb_loss_vectors){l->vectors, l->dvectors, d};
    } else {
        for (size_t i = 0; i < n && i < SB_LOSS_MATRICES; i++)
            in.vectors[i] = (struct sb_loss_vectors){l->vectors + i * d, l->dvectors + i * d, n * d};
    }
    return in;
}

static void norm_backward(struct sb_lesson *l, float *gradients, bool first)
{
    const struct sb_lesson_setup *s = &l->setup;
    const struct sb_parameter *gamma = parameter(l, SB_POOL_NORM_GAMMA), *beta = parameter(l, SB_POOL_NORM_BETA);
    float *unused = l->vectors; /* read for the last time above; has room for one vector at least */
    sb_pool_norm_backward(s->norm, l->dvectors, l->dvectors, sb_network_values(s->network) + gamma->offset,
                          first ? gradients + gamma->offset : unused, first ? gradients + beta->offset : unused);
}

/* Losses on vectors: every process computes them whole. A parameter of a loss gets its gradient from the first one alone. */
static enum sb_status vector_losses(struct sb_lesson *l, double weight, float *gradients, double *value,
                                    struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    size_t at = s->label_weight > 0;
    enum sb_status status = gather_vectors(l, error);
    for (size_t i = 0; i < s->loss_count && status == SB_OK; i++, at++) {
        struct sb_loss_input in = loss_input(l, &s->losses[i], weight);
        if (needs(&s->losses[i], SB_LOSS_NEEDS_CLASSES)) {
            size_t offset = parameter(l, SB_PAIR_HEAD_TENSOR)->offset;
            in.kernel = sb_network_values(s->network) + offset;
            in.dkernel = sb_parallel_rank(s->parallel) == 0 ? gradients + offset : NULL;
        }
        status = sb_loss_run(l->losses[i], &in, &l->values[at], error);
        *value += s->losses[i].weight * l->values[at];
    }
    if (status != SB_OK)
        return status;
    bool first = sb_parallel_rank(s->parallel) == 0;
    if (s->norm)
        norm_backward(l, gradients, first);
    if (s->dense)
        sb_dense_head_backward(s->dense, l->dpooled, l->dvectors, l->pooled, l->batch.row_count,
                               sb_network_values(s->network), first ? gradients : NULL);
    return SB_OK;
}

static void label_loss(struct sb_lesson *l, double weight, float *gradients, double *value)
{
    const struct sb_lesson_setup *s = &l->setup;
    struct sb_cross_entropy entropy = {.kernels = s->kernels,
                                       .vocab_size = (size_t)sb_network_config(s->network)->vocab_size,
                                       .labels = l->labels,
                                       .normaliser = l->all_targets,
                                       .weight = weight * s->label_weight,
                                       .smoothing = s->smoothing};
    if (l->targets)
        sb_pass_logits(s->pass, l->positions, l->targets, sb_cross_entropy, &entropy, gradients);
    sb_parallel_sum_doubles(s->parallel, &entropy.value, 1);
    l->values[0] = entropy.value;
    *value += s->label_weight * entropy.value;
}

/* KL against the remembered distributions, chunk by chunk. */
struct comparison {
    struct sb_pass *pass;
    struct sb_kept_logits clean;
    struct sb_kl_divergence kl;
};

static void compare(void *context, float *logits, size_t first, size_t count)
{
    struct comparison *c = context;
    /* sb_kl_divergence only reads them. */
    c->clean.logits = (float *)(uintptr_t)sb_pass_reference(c->pass, first, count);
    sb_kl_divergence(&c->kl, logits, 0, count);
}

static void divergence(struct sb_lesson *l, double weight, float *gradients, double *value)
{
    const struct sb_lesson_setup *s = &l->setup;
    size_t words = (size_t)sb_network_config(s->network)->vocab_size;
    struct comparison c = {.pass = s->pass, .clean.vocab_size = words};
    c.kl = (struct sb_kl_divergence){.kernels = s->kernels,
                                     .clean = &c.clean,
                                     .scratch = l->scratch,
                                     .normaliser = l->all_targets,
                                     .weight = weight};
    if (l->targets)
        sb_pass_logits(s->pass, l->positions, l->targets, compare, &c, gradients);
    sb_parallel_sum_doubles(s->parallel, &c.kl.value, 1);
    *value = c.kl.value;
}

static enum sb_status run_share(struct sb_lesson *l, const struct sb_objective_call *call, float *gradients,
                                double *value, struct sb_error *error)
{
    const struct sb_lesson_setup *s = &l->setup;
    struct sb_pass_input input = input_of(l);
    input.perturbation = call->perturbation;
    input.occurrence_gradients = call->occurrence_gradients;
    enum sb_status status = sb_pass_forward(s->pass, &input, error);
    const float *dpooled = NULL;
    *value = 0;
    if (status != SB_OK)
        return status;
    if (call->what == SB_OBJECTIVE_DIVERGENCE)
        divergence(l, call->weight, gradients, value);
    else {
        if (call->what == SB_OBJECTIVE_LOSS_AND_KEEP)
            sb_pass_keep_reference(s->pass, l->positions, l->targets);
        if (s->label_weight > 0)
            label_loss(l, call->weight, gradients, value);
        if (s->loss_count > 0) {
            status = vector_losses(l, call->weight, gradients, value, error);
            dpooled = l->dpooled + l->first_row * l->width;
        }
    }
    if (status == SB_OK)
        sb_pass_backward(s->pass, dpooled, gradients);
    return status;
}

static enum sb_status run(void *context, const struct sb_objective_call *call, double *value, struct sb_error *error)
{
    struct sb_lesson *l = context;
    if (!l->shared)
        return run_share(l, call, call->gradients, value, error);
    size_t size = sb_network_parameters(l->setup.network)->size;
    memset(l->shared, 0, size * sizeof *l->shared);
    enum sb_status status = run_share(l, call, l->shared, value, error);
    if (status != SB_OK)
        return status;
    sb_parallel_sum(l->setup.parallel, l->shared, size);
    for (size_t i = 0; i < size; i++)
        call->gradients[i] += l->shared[i];
    return SB_OK;
}

struct sb_objective sb_lesson_objective(struct sb_lesson *l)
{
    return (struct sb_objective){.run = run,
                                 .context = l,
                                 .rows = l->row_count,
                                 .first_token = l->first_token,
                                 .seed = l->setup.seed,
                                 .step = l->step};
}

size_t sb_lesson_batches_in_epoch(const struct sb_lesson *lesson)
{
    return sb_batches_in_epoch(lesson->batches);
}

size_t sb_lesson_values(const struct sb_lesson *lesson, const char *const **names, const double **values)
{
    *names = lesson->names;
    *values = lesson->values;
    return lesson->value_count;
}

size_t sb_lesson_rows(const struct sb_lesson *lesson)
{
    return lesson->batch.row_count;
}

size_t sb_lesson_tokens(const struct sb_lesson *lesson)
{
    return lesson->batch.token_count;
}
