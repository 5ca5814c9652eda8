/*
 * Reads a golden .safetensors file whole. Independent of weights/ on purpose: a mistake there must not hide here.
 */
#ifndef SB_TESTS_GOLDEN_TENSORS_H
#define SB_TESTS_GOLDEN_TENSORS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct golden_tensors {
    cJSON *header;
    char *bytes, *data;
};

/* name is below tests/golden/. Aborts the test when it cannot be read. */
struct golden_tensors golden_open(const char *name);
void golden_close(struct golden_tensors *tensors);

bool golden_has(const struct golden_tensors *tensors, const char *name);
/* count (may be NULL) receives the number of elements. Aborts the test when the tensor is missing or of another type. */
const float *golden_f32(const struct golden_tensors *tensors, const char *name, size_t *count);
const int32_t *golden_i32(const struct golden_tensors *tensors, const char *name, size_t *count);

/* The next line of a .jsonl file as JSON, NULL at the end. *state: NULL before the first call. */
cJSON *golden_next_line(void **state, const char *name);

#endif
