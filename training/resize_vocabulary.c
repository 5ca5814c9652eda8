#include "training/resize.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static enum sb_status check_id(int32_t id, size_t rows, const char *what, size_t index, struct sb_error *error)
{
    if (id >= 0 && (size_t)id < rows)
        return SB_OK;
    return sb_fail(error, SB_INVALID, "vocabulary: id %" PRId32 " of %s %zu is not in [0, %zu)", id, what, index, rows);
}

/* out[columns] = mean of table rows */
static enum sb_status combine(float *out, size_t columns, const float *table, size_t rows,
                              const struct sb_compound_token *token, size_t index, struct sb_error *error)
{
    double sum = 0;
    for (size_t i = 0; i < token->count; i++) {
        enum sb_status status = check_id(token->ids[i], rows, "compound token", index, error);
        if (status != SB_OK)
            return status;
        sum += token->weights ? (double)token->weights[i] : 1;
    }
    if (!(sum > 0 && isfinite(sum)))
        return sb_fail(error, SB_INVALID, "vocabulary: the weights of compound token %zu add up to %g", index, sum);
    for (size_t j = 0; j < columns; j++) {
        double mean = 0;
        for (size_t i = 0; i < token->count; i++)
            mean += (token->weights ? (double)token->weights[i] : 1) / sum *
                    (double)table[(size_t)token->ids[i] * columns + j];
        out[j] = (float)mean;
    }
    return SB_OK;
}

enum sb_status sb_resize_vocabulary(float *out, size_t columns, const float *table, size_t rows, const int32_t *keep,
                                    size_t keep_count, const struct sb_compound_token *compounds, size_t compound_count,
                                    struct sb_error *error)
{
    enum sb_status status = SB_OK;
    size_t kept = keep ? keep_count : rows;
    for (size_t i = 0; keep && i < kept; i++) {
        status = check_id(keep[i], rows, "kept token", i, error);
        if (status != SB_OK)
            return status;
    }
    for (size_t i = 0; i < kept; i++)
        memcpy(out + i * columns, table + (keep ? (size_t)keep[i] : i) * columns, columns * sizeof *out);
    for (size_t i = 0; i < compound_count && status == SB_OK; i++)
        status = combine(out + (kept + i) * columns, columns, out, kept, &compounds[i], i, error);
    return status;
}
