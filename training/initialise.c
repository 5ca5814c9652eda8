#include "training/initialise.h"

#include "base/random.h"
#include "training/sums_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Standard deviation of a standard normal cut at +-2: sqrt(1 - 2 * 2 phi(2) / (2 Phi(2) - 1)). */
static const double TRUNCATED_STD = 0.87962566103423978;

enum sb_status sb_init_kind_named(enum sb_init_kind *kind, const char *name, struct sb_error *error)
{
    static const char *const names[] = {
        [SB_INIT_ZEROS] = "zeros",
        [SB_INIT_ONES] = "ones",
        [SB_INIT_NORMAL] = "normal",
        [SB_INIT_TRUNCATED_NORMAL] = "truncated_normal",
        [SB_INIT_XAVIER_UNIFORM] = "xavier_uniform",
        [SB_INIT_XAVIER_NORMAL] = "xavier_normal",
        [SB_INIT_HE_UNIFORM] = "he_uniform",
        [SB_INIT_HE_NORMAL] = "he_normal",
        [SB_INIT_LECUN_UNIFORM] = "lecun_uniform",
        [SB_INIT_LECUN_NORMAL] = "lecun_normal",
        [SB_INIT_ORTHOGONAL] = "orthogonal",
        [SB_INIT_IDENTITY] = "identity",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *kind = (enum sb_init_kind)i;
            return SB_OK;
        }
    }
    return sb_fail(error, SB_INVALID,
                   "initialiser \"%.60s\" is not known: truncated_normal, normal, xavier_uniform, xavier_normal, "
                   "he_uniform, he_normal, lecun_uniform, lecun_normal, orthogonal, identity, zeros, ones are",
                   name);
}

/* FNV-1a: the tensor's name as the stream of its random numbers. */
static uint64_t stream_of(const char *name)
{
    uint64_t hash = 0xCBF29CE484222325;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001B3;
    return hash;
}

/* Draws again what falls beyond 2, about one in 22; the draws of one index differ in the upper 16 bits of the
   counter. */
static double truncated_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    double x;
    uint64_t draw = 0;
    do
        x = sb_random_normal(seed, stream, index | draw++ << 48);
    while (fabs(x) > 2);
    return x;
}

static void fill_uniform(float *out, size_t count, double bound, uint64_t seed, uint64_t stream)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(bound * (2 * sb_random_uniform(seed, stream, i) - 1));
}

static void fill_normal(float *out, size_t count, double std, uint64_t seed, uint64_t stream)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(std * sb_random_normal(seed, stream, i));
}

static void fill_truncated(float *out, size_t count, double std, uint64_t seed, uint64_t stream)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(std * truncated_normal(seed, stream, i));
}

static void fill_constant(float *out, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value;
}

/* Gram-Schmidt, each row twice: the second time removes what rounding left ("twice is enough", Giraud et al., 2005). */
void sb_orthogonalise(double *x, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++) {
        double *row = x + i * columns;
        for (int time = 0; time < 2; time++) {
            for (size_t j = 0; j < i; j++) {
                double along = sb_sum_products(row, x + j * columns, columns);
                for (size_t k = 0; k < columns; k++)
                    row[k] -= along * x[j * columns + k];
            }
        }
        double norm = sqrt(sb_sum_products(row, row, columns));
        for (size_t k = 0; k < columns; k++)
            row[k] /= norm;
    }
}

static enum sb_status fill_orthogonal(float *out, size_t rows, size_t columns, uint64_t seed, uint64_t stream,
                                      struct sb_error *error)
{
    bool tall = rows > columns;
    size_t few = tall ? columns : rows, many = tall ? rows : columns;
    double *x = calloc(few * many, sizeof *x);
    if (!x)
        return sb_fail(error, SB_NO_MEMORY, "orthogonal matrix: no memory for %zu x %zu numbers", rows, columns);
    for (size_t i = 0; i < few * many; i++)
        x[i] = sb_random_normal(seed, stream, i);
    sb_orthogonalise(x, few, many);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            out[i * columns + j] = (float)(tall ? x[j * many + i] : x[i * many + j]);
    free(x);
    return SB_OK;
}

static void fill_identity(float *out, size_t rows, size_t columns)
{
    fill_constant(out, rows * columns, 0);
    for (size_t i = 0; i < rows && i < columns; i++)
        out[i * columns + i] = 1;
}

enum sb_status sb_initialise(float *out, size_t rows, size_t columns, const struct sb_initialiser *initialiser,
                             const char *name, struct sb_error *error)
{
    size_t count = rows * columns;
    uint64_t seed = initialiser->seed, stream = stream_of(name);
    double in = (double)columns, both = (double)(rows + columns), std = initialiser->std;
    if (!(std >= 0 && isfinite(std)))
        return sb_fail(error, SB_INVALID, "initialiser of %s: std %g is negative or not finite", name, std);
    switch (initialiser->kind) {
    case SB_INIT_ZEROS: fill_constant(out, count, 0); break;
    case SB_INIT_ONES: fill_constant(out, count, 1); break;
    case SB_INIT_NORMAL: fill_normal(out, count, std, seed, stream); break;
    case SB_INIT_TRUNCATED_NORMAL:
        fill_truncated(out, count, initialiser->keep_std ? std / TRUNCATED_STD : std, seed, stream);
        break;
    case SB_INIT_XAVIER_UNIFORM: fill_uniform(out, count, sqrt(6 / both), seed, stream); break;
    case SB_INIT_XAVIER_NORMAL: fill_truncated(out, count, sqrt(2 / both) / TRUNCATED_STD, seed, stream); break;
    case SB_INIT_HE_UNIFORM: fill_uniform(out, count, sqrt(6 / in), seed, stream); break;
    case SB_INIT_HE_NORMAL: fill_truncated(out, count, sqrt(2 / in) / TRUNCATED_STD, seed, stream); break;
    case SB_INIT_LECUN_UNIFORM: fill_uniform(out, count, sqrt(3 / in), seed, stream); break;
    case SB_INIT_LECUN_NORMAL: fill_truncated(out, count, sqrt(1 / in) / TRUNCATED_STD, seed, stream); break;
    case SB_INIT_ORTHOGONAL: return fill_orthogonal(out, rows, columns, seed, stream, error);
    case SB_INIT_IDENTITY: fill_identity(out, rows, columns); break;
    }
    return SB_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* What a parameter is decides before what was asked for does. */
static struct sb_initialiser suited(const struct sb_parameter *p, const struct sb_initialiser *asked)
{
    struct sb_initialiser own = *asked;
    if (p->rank == 1) {
        own.kind = ends_with(p->name, ".weight") ? SB_INIT_ONES : SB_INIT_ZEROS;
    } else if (ends_with(p->name, "embeddings.weight")) {
        own.kind = SB_INIT_TRUNCATED_NORMAL;
        own.std = own.std > 0 ? own.std : 0.02;
    } else if (ends_with(p->name, ".bias")) { /* one a head and position */
        own.kind = SB_INIT_ZEROS;
    } else if (strstr(p->name, ".attention.self.talking_")) {
        own.kind = SB_INIT_IDENTITY;
    } else if (ends_with(p->name, "random.weight")) {
        own.kind = SB_INIT_NORMAL;
        own.std = 1;
    } else if (ends_with(p->name, "random_1.weight") || ends_with(p->name, "random_2.weight")) {
        own.kind = SB_INIT_NORMAL; /* the sum of `columns` products has a standard deviation of 1 */
        own.std = pow((double)p->columns, -0.25);
    }
    return own;
}

enum sb_status sb_initialise_new(float *values, const struct sb_parameters *parameters,
                                 const struct sb_initialiser *initialiser, struct sb_error *error)
{
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *p = &parameters->items[i];
        if (!p->is_new)
            continue;
        struct sb_initialiser own = suited(p, initialiser);
        enum sb_status status = sb_initialise(values + p->offset, p->rows, p->columns, &own, p->name, error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}
