/* A filter, a NUL byte, metadata of any bytes: never read past the end, and NOT is the opposite. */
#include "retrieval/filter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sb_filter *parse(const cJSON *json)
{
    struct sb_filter *filter;
    struct sb_error error = {0};
    enum sb_status status = sb_filter_parse(&filter, json, &error);
    if (status != SB_OK && (status != SB_INVALID || !error.message[0]))
        abort();
    return filter;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json = NULL, *opposite;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t length = end ? (size_t)(end - data) : size, rest = end ? size - length - 1 : 0;
    if (sb_json_parse(&json, (const char *)data, length, NULL) != SB_OK)
        return 0;
    struct sb_filter *filter = parse(json);
    opposite = cJSON_CreateObject();
    cJSON_AddItemToObject(opposite, "not", json);
    struct sb_filter *negation = filter ? parse(opposite) : NULL;
    char *metadata = malloc(rest + 1); /* exactly as long, so that a sanitizer sees what is read behind it */
    if (metadata && rest)
        memcpy(metadata, end + 1, rest);
    metadata = rest ? realloc(metadata, rest) : metadata;
    if (filter && negation && metadata &&
        sb_filter_keeps(filter, metadata, rest) == sb_filter_keeps(negation, metadata, rest))
        abort();
    free(metadata);
    sb_filter_free(filter);
    sb_filter_free(negation);
    cJSON_Delete(opposite);
    return 0;
}
