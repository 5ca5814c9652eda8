#include "training/trainer.h"

#include "base/json.h"
#include "training/checkpoints.h"
#include "training/gradients.h"
#include "training/weight_average.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sb_trainer {
    struct sb_trainer_setup setup;
    struct sb_optimizer *optimizer;
    struct sb_adversary *adversary; /* NULL: none */
    struct sb_weight_average *average;
    struct sb_lookahead *lookahead;
    float *gradients; /* [parameters->size] */
    float *sum;       /* the same, where the adversary works with gradients of one batch alone; else NULL */
    uint64_t steps, tokens;
};

static size_t size_of(const struct sb_trainer *t)
{
    return sb_network_parameters(t->setup.network)->size;
}

static float *values_of(const struct sb_trainer *t)
{
    return sb_network_values(t->setup.network);
}

static enum sb_status check(const struct sb_trainer_setup *s, struct sb_error *error)
{
    if (s->lesson_count < 1 || s->lesson_count > SB_TRAINER_LESSONS)
        return sb_fail(error, SB_INVALID, "training: %zu lessons; 1 to %d are possible", s->lesson_count,
                       SB_TRAINER_LESSONS);
    if (s->steps < 1 || s->accumulation < 1 || !(s->clip_norm >= 0))
        return sb_fail(error, SB_INVALID, "training: steps %" PRIu64 ", accumulation %" PRIu64
                                          " (1 or more) and clip_norm %g (0 or more)",
                       s->steps, s->accumulation, s->clip_norm);
    if (s->adversary.method == SB_ADVERSARY_PENALTY && sb_parallel_size(s->parallel) > 1)
        return sb_fail(error, SB_UNSUPPORTED, "the gradient penalty is computed by one process: its norm is the whole batch's");
    return sb_schedule_check(&s->schedule, error);
}

static enum sb_status make_parts(struct sb_trainer *t, struct sb_error *error)
{
    const struct sb_trainer_setup *s = &t->setup;
    size_t size = size_of(t);
    bool several = s->adversary.method != SB_ADVERSARY_NONE && s->lesson_count * s->accumulation > 1;
    t->gradients = calloc(size, sizeof *t->gradients);
    t->sum = several ? calloc(size, sizeof *t->sum) : NULL;
    if (!t->gradients || (several && !t->sum))
        return sb_fail(error, SB_NO_MEMORY, "no memory for the gradients of %zu parameters", size);
    enum sb_status status =
        sb_optimizer_new(&t->optimizer, &s->optimizer, sb_network_parameters(s->network), s->pool, error);
    if (status == SB_OK && s->adversary.method != SB_ADVERSARY_NONE)
        status = sb_adversary_new(&t->adversary, &s->adversary, s->network, s->max_tokens, s->pool, error);
    if (status == SB_OK && s->average_momentum > 0)
        status = sb_weight_average_new(&t->average, s->average_momentum, size, s->pool, error);
    if (status == SB_OK && s->lookahead.interval > 0)
        status = sb_lookahead_new(&t->lookahead, &s->lookahead, values_of(t), size, s->pool, error);
    return status;
}

enum sb_status sb_trainer_new(struct sb_trainer **trainer, const struct sb_trainer_setup *setup, struct sb_error *error)
{
    *trainer = NULL;
    enum sb_status status = check(setup, error);
    if (status != SB_OK)
        return status;
    struct sb_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    t->setup = *setup;
    status = make_parts(t, error);
    if (status != SB_OK) {
        sb_trainer_free(t);
        return status;
    }
    *trainer = t;
    return SB_OK;
}

void sb_trainer_free(struct sb_trainer *trainer)
{
    if (!trainer)
        return;
    sb_lookahead_free(trainer->lookahead);
    sb_weight_average_free(trainer->average);
    sb_adversary_free(trainer->adversary);
    sb_optimizer_free(trainer->optimizer);
    free(trainer->gradients);
    free(trainer->sum);
    free(trainer);
}

/* ---- A step ---- */

/* Adds the gradient of one batch of one lesson. */
static enum sb_status learn(struct sb_trainer *t, struct sb_lesson *lesson, uint64_t number,
                            struct sb_adversary_result *result, struct sb_error *error)
{
    size_t in_epoch = sb_lesson_batches_in_epoch(lesson);
    enum sb_status status = sb_lesson_prepare(lesson, number / in_epoch, (size_t)(number % in_epoch), number, error);
    if (status != SB_OK)
        return status;
    struct sb_objective objective = sb_lesson_objective(lesson);
    *result = (struct sb_adversary_result){0};
    if (t->adversary)
        return sb_adversary_run(t->adversary, &objective, t->gradients, NULL, result, error);
    struct sb_objective_call call = {.what = SB_OBJECTIVE_LOSS, .gradients = t->gradients, .weight = 1};
    return objective.run(objective.context, &call, &result->loss, error);
}

/* The mean over the accumulated batches of the parts of a lesson's loss. */
static void note_values(const struct sb_trainer *t, const struct sb_lesson *lesson, struct sb_trainer_step *step,
                        size_t at)
{
    const char *const *names;
    const double *values;
    size_t count = sb_lesson_values(lesson, &names, &values);
    for (size_t i = 0; i < count; i++) {
        step->names[at + i] = names[i];
        step->values[at + i] += values[i] / (double)t->setup.accumulation;
    }
    step->value_count = at + count;
}

/* fgm, fgsm and pgd may put the moved point's gradients in place of what is there: each batch into gradients of its own, added up in
   `sum` when there are several. */
static enum sb_status gather_gradients(struct sb_trainer *t, struct sb_trainer_step *step, struct sb_error *error)
{
    const struct sb_trainer_setup *s = &t->setup;
    float *sum = t->sum;
    double share = 1.0 / (double)s->accumulation;
    if (sum)
        memset(sum, 0, size_of(t) * sizeof *sum);
    for (size_t i = 0, at = 0; i < s->lesson_count; i++, at = step->value_count) {
        for (uint64_t a = 0; a < s->accumulation; a++) {
            struct sb_adversary_result result;
            if (sum || (i == 0 && a == 0))
                memset(t->gradients, 0, size_of(t) * sizeof *t->gradients);
            enum sb_status status = learn(t, s->lessons[i], t->steps * s->accumulation + a, &result, error);
            if (status != SB_OK)
                return status;
            if (sum)
                sb_gradients_add(sum, (const float *const[]){t->gradients}, 1, size_of(t), s->pool);
            step->loss += share * result.loss;
            step->adversarial += share * result.adversarial;
            step->rows += sb_lesson_rows(s->lessons[i]);
            step->tokens += sb_lesson_tokens(s->lessons[i]);
            note_values(t, s->lessons[i], step, at);
        }
    }
    if (sum)
        memcpy(t->gradients, sum, size_of(t) * sizeof *sum);
    if (s->accumulation > 1)
        sb_gradients_scale(t->gradients, size_of(t), share, s->pool);
    return SB_OK;
}

static void update(struct sb_trainer *t, const struct sb_trainer_step *step)
{
    sb_optimizer_step(t->optimizer, values_of(t), t->gradients, step->learning_rate);
    if (t->lookahead)
        sb_lookahead_step(t->lookahead, values_of(t));
    if (t->average)
        sb_weight_average_update(t->average, values_of(t));
}

enum sb_status sb_trainer_step(struct sb_trainer *t, struct sb_trainer_step *step, struct sb_error *error)
{
    const struct sb_trainer_setup *s = &t->setup;
    *step = (struct sb_trainer_step){.number = t->steps + 1, .learning_rate = sb_schedule_rate(&s->schedule, t->steps)};
    enum sb_status status = gather_gradients(t, step, error);
    if (status != SB_OK)
        return status;
    step->gradient_norm = s->clip_norm > 0 ? sb_gradients_clip(t->gradients, size_of(t), s->clip_norm, s->pool)
                                           : sb_gradients_norm(t->gradients, size_of(t), s->pool);
    if (!isfinite(step->loss) || !isfinite(step->gradient_norm))
        return sb_fail(error, SB_INVALID,
                       "step %" PRIu64 ": loss %g, norm of the gradient %g: training has diverged; a smaller learning_rate, "
                       "a longer warmup or clip_norm may help",
                       step->number, step->loss, step->gradient_norm);
    update(t, step);
    t->steps++;
    t->tokens += step->tokens;
    return SB_OK;
}

uint64_t sb_trainer_steps(const struct sb_trainer *trainer)
{
    return trainer->steps;
}

uint64_t sb_trainer_tokens(const struct sb_trainer *trainer)
{
    return trainer->tokens;
}

size_t sb_trainer_optimizer_bytes(const struct sb_trainer *trainer)
{
    size_t slow = trainer->lookahead ? size_of(trainer) * sizeof(float) : 0;
    return sb_optimizer_bytes(trainer->optimizer) + slow;
}

void sb_trainer_read_weights(const struct sb_trainer *trainer, float *weights)
{
    if (trainer->average && sb_weight_average_updates(trainer->average) > 0)
        sb_weight_average_read(trainer->average, weights);
    else
        memcpy(weights, values_of(trainer), size_of(trainer) * sizeof *weights);
}

/* ---- Checkpoints ---- */

enum { MAX_PARTS = 64 };

static void add_state(struct sb_checkpoint_part *parts, size_t *count, const struct sb_state_array *arrays, size_t n)
{
    for (size_t i = 0; i < n && *count < MAX_PARTS; i++)
        parts[(*count)++] =
            (struct sb_checkpoint_part){arrays[i].name, arrays[i].values, arrays[i].count * sizeof(float)};
}

static size_t list_parts(const struct sb_trainer *t, struct sb_checkpoint_part parts[MAX_PARTS])
{
    const struct sb_state_array *arrays;
    size_t count = 1;
    parts[0] = (struct sb_checkpoint_part){"weights", values_of(t), size_of(t) * sizeof(float)};
    size_t n = sb_optimizer_state(t->optimizer, &arrays);
    add_state(parts, &count, arrays, n);
    if (t->average) {
        n = sb_weight_average_state(t->average, &arrays);
        add_state(parts, &count, arrays, n);
    }
    if (t->lookahead) {
        n = sb_lookahead_state(t->lookahead, &arrays);
        add_state(parts, &count, arrays, n);
    }
    if (t->setup.norm) {
        n = sb_pool_norm_state(t->setup.norm, &arrays);
        add_state(parts, &count, arrays, n);
    }
    return count;
}

enum sb_status sb_trainer_checkpoint(struct sb_trainer *t, const char *dir, const char *extra, size_t keep,
                                     struct sb_error *error)
{
    struct sb_checkpoint_part parts[MAX_PARTS];
    struct sb_buffer state = {0};
    sb_buffer_format(&state, "{\"step\":%" PRIu64 ",\"tokens\":%" PRIu64 ",\"identity\":", t->steps, t->tokens);
    sb_buffer_json_string(&state, t->setup.identity, strlen(t->setup.identity));
    sb_buffer_format(&state, ",\"extra\":%s}", extra ? extra : "null");
    enum sb_status status = state.failed ? sb_fail(error, SB_NO_MEMORY, "no memory for a checkpoint")
                                         : sb_checkpoints_save(dir, t->steps, parts, list_parts(t, parts), state.data,
                                                               keep, error);
    sb_buffer_free(&state);
    return status;
}

static enum sb_status take_state(struct sb_trainer *t, const char *dir, const cJSON *json, char **extra,
                                 struct sb_error *error)
{
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(json, "step"),
                *tokens = cJSON_GetObjectItemCaseSensitive(json, "tokens"),
                *identity = cJSON_GetObjectItemCaseSensitive(json, "identity"),
                *more = cJSON_GetObjectItemCaseSensitive(json, "extra");
    if (!cJSON_IsNumber(step) || !cJSON_IsNumber(tokens) || !cJSON_IsString(identity))
        return sb_fail(error, SB_CORRUPT, "%s: the checkpoint's state is not what was written", dir);
    if (strcmp(identity->valuestring, t->setup.identity) != 0)
        return sb_fail(error, SB_INVALID,
                       "%s: its checkpoints are of another recipe, data or model; remove the folder to begin anew, or use "
                       "another output",
                       dir);
    t->steps = (uint64_t)step->valuedouble;
    t->tokens = (uint64_t)tokens->valuedouble;
    sb_optimizer_set_steps(t->optimizer, t->steps);
    if (t->average)
        sb_weight_average_set_updates(t->average, t->steps);
    if (t->lookahead)
        sb_lookahead_set_steps(t->lookahead, t->steps);
    if (extra && more && !cJSON_IsNull(more) && !(*extra = cJSON_PrintUnformatted(more)))
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to read the checkpoint", dir);
    return SB_OK;
}

enum sb_status sb_trainer_resume(struct sb_trainer *t, const char *dir, char **extra, struct sb_error *error)
{
    struct sb_checkpoint_part parts[MAX_PARTS];
    uint64_t step;
    char *state = NULL;
    cJSON *json = NULL;
    if (extra)
        *extra = NULL;
    enum sb_status status = sb_checkpoints_load(dir, parts, list_parts(t, parts), &step, &state, error);
    if (status == SB_OK)
        status = sb_json_parse(&json, state, strlen(state), error);
    if (status == SB_OK)
        status = take_state(t, dir, json, extra, error);
    cJSON_Delete(json);
    free(state);
    return status;
}
