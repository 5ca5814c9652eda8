/* What a search may ask for, wherever it is made. */
#include "retrieval/store_impl.h"

#include <math.h>
#include <string.h>

enum { MAX_TOP_K = 1000, MAX_QUERIES = 4096 };

static enum sb_status check_sizes(size_t queries, size_t top_k, double min_score, struct sb_error *error)
{
    if (queries < 1 || queries > MAX_QUERIES)
        return sb_fail(error, SB_INVALID, "%zu queries; 1 to %d are allowed", queries, MAX_QUERIES);
    if (top_k < 1 || top_k > MAX_TOP_K)
        return sb_fail(error, SB_INVALID, "top_k %zu; 1 to %d are allowed", top_k, MAX_TOP_K);
    return isnan(min_score) ? sb_fail(error, SB_INVALID, "min_score is not a number") : SB_OK;
}

enum sb_status sb_search_check(const struct sb_search *search, const struct sb_collection_info *info,
                               struct sb_error *error)
{
    size_t dimensions = (size_t)info->dimensions;
    if (search->model_hash && strcmp(search->model_hash, info->model_hash) != 0)
        return sb_fail(error, SB_CONFLICT, "collection '%s' holds vectors of model '%s' (%.16s), not of %.16s",
                       info->name, info->model_name, info->model_hash, search->model_hash);
    enum sb_status status = check_sizes(search->queries, search->top_k, search->min_score, error);
    for (size_t i = 0; status == SB_OK && i < search->queries * dimensions; i++)
        if (!isfinite(search->vectors[i]))
            status = sb_fail(error, SB_INVALID, "query %zu: element %zu of its vector is not finite", i / dimensions,
                             i % dimensions);
    return status;
}

enum sb_status sb_text_search_check(const struct sb_text_search *search, struct sb_error *error)
{
    return check_sizes(search->queries, search->top_k, search->min_score, error);
}
