/*
 * What may be stored: held against what a call brings, and against what a file turns out to hold.
 */
#include "base/json.h"
#include "base/utf8.h"
#include "retrieval/store_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Unicode's category Cc: C0, DEL and C1. */
static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

static enum sb_status check_id(const char *id, size_t index, struct sb_error *error)
{
    size_t length = id ? strlen(id) : 0, at = 0;
    if (length == 0)
        return sb_fail(error, SB_INVALID, "sentence %zu has no id", index);
    if (length > SB_SENTENCE_ID_MAX)
        return sb_fail(error, SB_INVALID, "sentence %zu: its id has %zu bytes; at most %d are allowed", index, length,
                       SB_SENTENCE_ID_MAX);
    while (at < length)
        if (is_control(sb_utf8_next(id, length, &at))) /* -1, for what is malformed, is one too */
            return sb_fail(error, SB_INVALID, "sentence %zu: its id holds a control character or is not UTF-8", index);
    return SB_OK;
}

static enum sb_status check_text(const char *text, size_t size, size_t index, struct sb_error *error)
{
    size_t bad;
    if (!text)
        return sb_fail(error, SB_INVALID, "sentence %zu has no text", index);
    if (size > SB_SENTENCE_TEXT_MAX)
        return sb_fail(error, SB_INVALID, "sentence %zu: its text has %zu bytes; at most %d are allowed", index, size,
                       SB_SENTENCE_TEXT_MAX);
    if (!sb_utf8_valid(text, size, &bad))
        return sb_fail(error, SB_INVALID, "sentence %zu: its text is not UTF-8, from byte %zu on", index, bad);
    return SB_OK;
}

static enum sb_status check_metadata(const char *metadata, size_t index, struct sb_error *error)
{
    if (!metadata || strcmp(metadata, "{}") == 0)
        return SB_OK;
    cJSON *json;
    size_t size = strlen(metadata);
    if (size > SB_SENTENCE_METADATA_MAX)
        return sb_fail(error, SB_INVALID, "sentence %zu: its metadata has %zu bytes; at most %d are allowed", index,
                       size, SB_SENTENCE_METADATA_MAX);
    enum sb_status status = sb_json_parse(&json, metadata, size, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "sentence %zu: metadata", index);
    if (!cJSON_IsObject(json))
        status = sb_fail(error, SB_INVALID, "sentence %zu: its metadata is not a JSON object", index);
    cJSON_Delete(json);
    return status;
}

static enum sb_status check_vector(const float *vector, size_t dimensions, size_t index, struct sb_error *error)
{
    if (!vector)
        return sb_fail(error, SB_INVALID, "sentence %zu has no vector", index);
    for (size_t i = 0; i < dimensions; i++)
        if (!isfinite(vector[i]))
            return sb_fail(error, SB_INVALID, "sentence %zu: element %zu of its vector is not finite", index, i);
    return SB_OK;
}

enum sb_status sb_sentence_check(const struct sb_sentence *sentence, size_t dimensions, size_t index,
                                 struct sb_error *error)
{
    enum sb_status status = check_id(sentence->id, index, error);
    if (status == SB_OK)
        status = check_text(sentence->text, sentence->text_size, index, error);
    if (status == SB_OK)
        status = check_metadata(sentence->metadata, index, error);
    return status == SB_OK ? check_vector(sentence->vector, dimensions, index, error) : status;
}

static int by_id(const void *a, const void *b)
{
    const struct sb_sentence *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static enum sb_status check_unique(const struct sb_sentence *sentences, size_t n, struct sb_error *error)
{
    const struct sb_sentence **sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &sentences[i];
    qsort(sorted, n, sizeof *sorted, by_id);
    enum sb_status status = SB_OK;
    for (size_t i = 1; status == SB_OK && i < n; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status = sb_fail(error, SB_INVALID, "id '%.100s' stands twice in one call (sentences %zu and %zu)",
                             sorted[i]->id, (size_t)(sorted[i - 1] - sentences), (size_t)(sorted[i] - sentences));
    free(sorted);
    return status;
}

enum sb_status sb_sentences_check(const struct sb_sentence *sentences, size_t n, size_t dimensions,
                                  struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; status == SB_OK && i < n; i++)
        status = sb_sentence_check(&sentences[i], dimensions, i, error);
    return status == SB_OK ? check_unique(sentences, n, error) : status;
}
