#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct golden_tensors golden_open(const char *name)
{
    struct golden_tensors t = {0};
    FILE *file = fopen(golden(name), "rb");
    ck_assert_msg(file != NULL, "%s: missing", golden(name));
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    t.bytes = malloc(size);
    ck_assert_uint_eq(fread(t.bytes, 1, size, file), size);
    fclose(file);
    uint64_t header;
    memcpy(&header, t.bytes, sizeof header);
    t.header = cJSON_ParseWithLength(t.bytes + 8, header);
    ck_assert_ptr_nonnull(t.header);
    t.data = t.bytes + 8 + header;
    return t;
}

void golden_close(struct golden_tensors *tensors)
{
    cJSON_Delete(tensors->header);
    free(tensors->bytes);
}

bool golden_has(const struct golden_tensors *tensors, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(tensors->header, name) != NULL;
}

static const void *find(const struct golden_tensors *tensors, const char *name, const char *dtype, size_t *count)
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(tensors->header, name);
    ck_assert_msg(entry != NULL, "golden tensor %s is missing", name);
    ck_assert_str_eq(cJSON_GetObjectItem(entry, "dtype")->valuestring, dtype);
    const cJSON *offsets = cJSON_GetObjectItem(entry, "data_offsets");
    size_t start = (size_t)cJSON_GetArrayItem(offsets, 0)->valuedouble,
           end = (size_t)cJSON_GetArrayItem(offsets, 1)->valuedouble;
    if (count)
        *count = (end - start) / 4;
    return tensors->data + start;
}

const float *golden_f32(const struct golden_tensors *tensors, const char *name, size_t *count)
{
    return find(tensors, name, "F32", count);
}

const int32_t *golden_i32(const struct golden_tensors *tensors, const char *name, size_t *count)
{
    return find(tensors, name, "I32", count);
}

cJSON *golden_next_line(void **state, const char *name)
{
    FILE *file = *state;
    if (!file) {
        file = *state = fopen(golden(name), "r");
        ck_assert_msg(file != NULL, "%s: missing", golden(name));
    }
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = getline(&line, &capacity, file);
    cJSON *json = length > 0 ? cJSON_ParseWithLength(line, (size_t)length) : NULL;
    ck_assert_msg(length <= 0 || json != NULL, "%s: a line is not JSON", name);
    free(line);
    if (!json) {
        fclose(file);
        *state = NULL;
    }
    return json;
}
