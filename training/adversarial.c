#include "training/adversarial.h"

#include "base/random.h"
#include "training/gradients.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sb_adversary {
    struct sb_adversary_options options;
    struct sb_network *network;
    struct sb_pool *pool;
    size_t embedding, embedding_size; /* where E lies in the values, and its floats */
    size_t width;
    float *saved;       /* [E]: the matrix before it was moved */
    float *delta;       /* [max_tokens, width]: of occurrences */
    float *occurrences; /* [max_tokens, width]: gradients by them */
    float *work;        /* [parameters->size]: gradients at a moved point */
    size_t bytes;
};

struct sb_adversary_options sb_adversary_defaults(enum sb_adversary_method method)
{
    struct sb_adversary_options options = {
        .method = method, .epsilon = 0.5, .alpha = 0.3, .steps = 3, .length = 0.005, .xi = 1, .weight = 1};
    if (method == SB_ADVERSARY_FGSM)
        options.epsilon = 0.01;
    if (method == SB_ADVERSARY_PENALTY) {
        options.epsilon = 0.1;
        options.target = SB_ADVERSARY_OCCURRENCE;
    }
    return options;
}

enum sb_status sb_adversary_named(enum sb_adversary_method *method, const char *name, struct sb_error *error)
{
    static const char *const names[] = {"none", "fgm", "fgsm", "pgd", "penalty", "vat"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *method = (enum sb_adversary_method)i;
            return SB_OK;
        }
    return sb_fail(error, SB_INVALID, "adversarial method '%.40s': unknown; one of none, fgm, fgsm, pgd, penalty, vat",
                   name);
}

static bool positive(double x)
{
    return isfinite(x) && x > 0;
}

static enum sb_status check(const struct sb_adversary_options *o, const struct sb_network *network,
                            struct sb_error *error)
{
    if (!positive(o->epsilon))
        return sb_fail(error, SB_INVALID, "adversarial: epsilon %g; it must be above 0", o->epsilon);
    if (o->method == SB_ADVERSARY_PGD && (!positive(o->alpha) || o->steps < 1 || o->steps > 100))
        return sb_fail(error, SB_INVALID, "adversarial: pgd with alpha %g (above 0) and %d steps (1 to 100)", o->alpha,
                       o->steps);
    if (o->method == SB_ADVERSARY_PENALTY && o->target == SB_ADVERSARY_MATRIX)
        return sb_fail(error, SB_UNSUPPORTED, "adversarial: the gradient penalty is by occurrences, not by the matrix");
    if (o->method == SB_ADVERSARY_PENALTY && !positive(o->length))
        return sb_fail(error, SB_INVALID, "adversarial: length %g; it must be above 0", o->length);
    if (o->method == SB_ADVERSARY_VAT && (!positive(o->xi) || !positive(o->weight)))
        return sb_fail(error, SB_INVALID, "adversarial: xi %g and weight %g must be above 0", o->xi, o->weight);
    if (o->method == SB_ADVERSARY_VAT && !sb_network_has_mlm(network))
        return sb_fail(error, SB_UNSUPPORTED, "adversarial: vat compares distributions; this model has no MLM head");
    return SB_OK;
}

static float *floats(struct sb_adversary *a, size_t count)
{
    a->bytes += count * sizeof(float);
    return calloc(count, sizeof(float));
}

enum sb_status sb_adversary_new(struct sb_adversary **adversary, const struct sb_adversary_options *options,
                                struct sb_network *network, size_t max_tokens, struct sb_pool *pool,
                                struct sb_error *error)
{
    *adversary = NULL;
    enum sb_status status = check(options, network, error);
    struct sb_adversary *a = status == SB_OK ? calloc(1, sizeof *a) : NULL;
    if (!a)
        return status != SB_OK ? status : sb_fail(error, SB_NO_MEMORY, "adversarial: no memory");
    const struct sb_parameters *parameters = sb_network_parameters(network);
    const struct sb_parameter *embedding = &parameters->items[0]; /* the table begins with it */
    *a = (struct sb_adversary){.options = *options,
                               .network = network,
                               .pool = pool,
                               .embedding = embedding->offset,
                               .embedding_size = embedding->rows * embedding->columns,
                               .width = embedding->columns};
    bool by_matrix = options->target == SB_ADVERSARY_MATRIX;
    if (by_matrix)
        a->saved = floats(a, a->embedding_size);
    else {
        a->delta = floats(a, max_tokens * a->width);
        a->occurrences = floats(a, max_tokens * a->width);
    }
    a->work = floats(a, parameters->size);
    if (!a->work || (by_matrix ? !a->saved : !a->delta || !a->occurrences)) {
        sb_adversary_free(a);
        return sb_fail(error, SB_NO_MEMORY, "adversarial: no memory for another set of gradients");
    }
    *adversary = a;
    return SB_OK;
}

void sb_adversary_free(struct sb_adversary *adversary)
{
    if (!adversary)
        return;
    free(adversary->saved);
    free(adversary->delta);
    free(adversary->occurrences);
    free(adversary->work);
    free(adversary);
}

size_t sb_adversary_bytes(const struct sb_adversary *adversary)
{
    return adversary->bytes;
}

/* What a method works with on one batch: the thing that moves is x + delta. */
struct attack {
    struct sb_adversary *adversary;
    const struct sb_objective *objective;
    float *matrix;          /* E among the network's values; NULL: occurrences move */
    float *delta;           /* occurrences: what is added; matrix: unused, E - saved is the delta */
    size_t count;           /* floats that move */
    struct sb_error *error;
};

static double norm_of(const struct attack *t, const float *x, size_t count)
{
    return sb_gradients_norm(x, count, t->adversary->pool) + 1e-8;
}

/* x += scale * g, of the thing that moves. */
static void move(const struct attack *t, const float *g, double scale, size_t first, size_t count)
{
    float *x = (t->matrix ? t->matrix : t->delta) + first;
    for (size_t i = 0; i < count; i++)
        x[i] += (float)(scale * g[first + i]);
}

static void move_by_sign(const struct attack *t, const float *g, double scale)
{
    float *x = t->matrix ? t->matrix : t->delta;
    for (size_t i = 0; i < t->count; i++)
        if (fabsf(g[i]) >= 1e-7f)
            x[i] += (float)(g[i] > 0 ? scale : -scale);
}

static void move_back(const struct attack *t)
{
    if (t->matrix)
        memcpy(t->matrix, t->adversary->saved, t->count * sizeof *t->matrix);
    else
        memset(t->delta, 0, t->count * sizeof *t->delta);
}

/* delta of length epsilon along g: occurrences of each row for itself. */
static void move_along(const struct attack *t, const float *g, double epsilon)
{
    const struct sb_objective *o = t->objective;
    size_t width = t->adversary->width;
    if (t->matrix) {
        move(t, g, epsilon / norm_of(t, g, t->count), 0, t->count);
        return;
    }
    for (size_t r = 0; r < o->rows; r++) {
        size_t first = o->first_token[r] * width, count = (o->first_token[r + 1] - o->first_token[r]) * width;
        move(t, g, epsilon / norm_of(t, g + first, count), first, count);
    }
}

/* Back to the ball of radius epsilon around where it was. */
static void project_part(const struct attack *t, double epsilon, size_t first, size_t count)
{
    const float *from = t->matrix ? t->adversary->saved + first : NULL;
    float *x = (t->matrix ? t->matrix : t->delta) + first;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)x[i] - (from ? (double)from[i] : 0);
        sum += d * d;
    }
    double norm = sqrt(sum), scale = epsilon / norm;
    for (size_t i = 0; i < count && norm > epsilon; i++) {
        double start = from ? (double)from[i] : 0;
        x[i] = (float)(start + scale * ((double)x[i] - start));
    }
}

static void project(const struct attack *t, double epsilon)
{
    const struct sb_objective *o = t->objective;
    size_t width = t->adversary->width;
    if (t->matrix)
        project_part(t, epsilon, 0, t->count);
    for (size_t r = 0; r < o->rows && !t->matrix; r++)
        project_part(t, epsilon, o->first_token[r] * width, (o->first_token[r + 1] - o->first_token[r]) * width);
}

/* The objective where things are now. */
static enum sb_status run(const struct attack *t, enum sb_objective_what what, float *gradients, double weight,
                          double *value)
{
    struct sb_objective_call call = {.what = what,
                                     .gradients = gradients,
                                     .weight = weight,
                                     .perturbation = t->delta,
                                     .occurrence_gradients = t->adversary->occurrences};
    return t->objective->run(t->objective->context, &call, value, t->error);
}

static void zero(const struct attack *t, float *gradients)
{
    memset(gradients, 0, sb_network_parameters(t->adversary->network)->size * sizeof *gradients);
}

static const float *gradient_of_target(const struct attack *t, const float *gradients)
{
    return t->matrix ? gradients + t->adversary->embedding : t->adversary->occurrences;
}

/* fgm and fgsm are one step, pgd several; only the last gradients count. */
static enum sb_status attack_by_steps(const struct attack *t, float *gradients, double *value)
{
    const struct sb_adversary_options *o = &t->adversary->options;
    float *moved = o->sum ? t->adversary->work : gradients;
    const float *g = gradient_of_target(t, gradients);
    int steps = o->method == SB_ADVERSARY_PGD ? o->steps : 1;
    enum sb_status status = SB_OK;
    for (int i = 0; i < steps && status == SB_OK; i++) {
        if (o->method == SB_ADVERSARY_FGM)
            move_along(t, g, o->epsilon);
        else if (o->method == SB_ADVERSARY_FGSM)
            move_by_sign(t, g, o->epsilon);
        else {
            move_along(t, g, o->alpha);
            project(t, o->epsilon);
        }
        zero(t, moved);
        status = run(t, SB_OBJECTIVE_LOSS, moved, 1, value);
        g = gradient_of_target(t, moved);
    }
    if (status == SB_OK && o->sum)
        sb_gradients_add(gradients, (const float *const[]){moved}, 1,
                         sb_network_parameters(t->adversary->network)->size, t->adversary->pool);
    return status;
}

static enum sb_status penalise(const struct attack *t, float *gradients, double *value)
{
    const struct sb_adversary_options *o = &t->adversary->options;
    size_t size = sb_network_parameters(t->adversary->network)->size;
    double norm = sb_gradients_norm(t->adversary->occurrences, t->count, t->adversary->pool), ignored;
    double h = o->length / (norm + 1e-8);
    float *g = malloc(t->count * sizeof *g);
    if (!g)
        return sb_fail(t->error, SB_NO_MEMORY, "adversarial: no memory");
    memcpy(g, t->adversary->occurrences, t->count * sizeof *g);
    *value = norm * norm;
    zero(t, t->adversary->work);
    move(t, g, h, 0, t->count);
    enum sb_status status = run(t, SB_OBJECTIVE_LOSS, t->adversary->work, 1, &ignored);
    move_back(t);
    move(t, g, -h, 0, t->count);
    if (status == SB_OK)
        status = run(t, SB_OBJECTIVE_LOSS, t->adversary->work, -1, &ignored);
    free(g);
    sb_gradients_scale(t->adversary->work, size, o->epsilon / (2 * h), t->adversary->pool);
    sb_gradients_add(gradients, (const float *const[]){t->adversary->work}, 1, size, t->adversary->pool);
    return status;
}

static void move_at_random(const struct attack *t, const float *direction, double length)
{
    float *random = t->adversary->work; /* free until the first gradients */
    const struct sb_objective *o = t->objective;
    for (size_t i = 0; i < t->count && !direction; i++)
        random[i] = (float)sb_random_normal(o->seed, UINT64_C(0x766174) << 40 ^ o->step, i);
    move_along(t, direction ? direction : random, length);
}

static enum sb_status diverge(const struct attack *t, const float *direction, float *gradients, double *value)
{
    const struct sb_adversary_options *o = &t->adversary->options;
    move_at_random(t, direction, o->xi);
    zero(t, t->adversary->work);
    enum sb_status status = run(t, SB_OBJECTIVE_DIVERGENCE, t->adversary->work, 1, value);
    move_back(t);
    if (status != SB_OK)
        return status;
    move_along(t, gradient_of_target(t, t->adversary->work), o->epsilon);
    return run(t, SB_OBJECTIVE_DIVERGENCE, gradients, o->weight, value);
}

enum sb_status sb_adversary_run(struct sb_adversary *a, const struct sb_objective *objective, float *gradients,
                                const float *direction, struct sb_adversary_result *result, struct sb_error *error)
{
    enum sb_adversary_method method = a->options.method;
    bool by_matrix = a->options.target == SB_ADVERSARY_MATRIX;
    struct attack attack = {.adversary = a, .objective = objective, .delta = a->delta, .error = error};
    attack.matrix = by_matrix ? sb_network_values(a->network) + a->embedding : NULL;
    attack.count = by_matrix ? a->embedding_size : objective->first_token[objective->rows] * a->width;
    if (by_matrix)
        memcpy(a->saved, attack.matrix, attack.count * sizeof *a->saved);
    else
        move_back(&attack);
    *result = (struct sb_adversary_result){0};
    enum sb_status status = run(&attack, method == SB_ADVERSARY_VAT ? SB_OBJECTIVE_LOSS_AND_KEEP : SB_OBJECTIVE_LOSS,
                                gradients, 1, &result->loss);
    if (status == SB_OK && method == SB_ADVERSARY_PENALTY)
        status = penalise(&attack, gradients, &result->adversarial);
    else if (status == SB_OK && method == SB_ADVERSARY_VAT)
        status = diverge(&attack, direction, gradients, &result->adversarial);
    else if (status == SB_OK && method != SB_ADVERSARY_NONE)
        status = attack_by_steps(&attack, gradients, &result->adversarial);
    move_back(&attack);
    return status;
}
