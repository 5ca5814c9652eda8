/*
 * What the two forms of pytorch_model.bin have in common: a pickled dictionary of tensors, and storages that its persistent ids name.
 */
#ifndef SB_WEIGHTS_PYTORCH_IMPL_H
#define SB_WEIGHTS_PYTORCH_IMPL_H

#include "base/dtype.h"
#include "weights/pickle_impl.h"
#include "weights/zip_impl.h"

#include <stdbool.h>

struct sb_storage_type {
    const char *name;
    enum sb_dtype dtype;
    size_t size; /* bytes of an element */
};

/* ("storage", torch.FloatStorage, KEY, "cpu", elements[, None]) */
struct sb_storage_id {
    const struct sb_storage_type *type;
    const char *key; /* not NUL-terminated; borrowed from the pickle */
    size_t key_size; /* at most SB_STORAGE_KEY_MAX */
    size_t elements;
};

enum { SB_STORAGE_KEY_MAX = 40 };

/* Reads the persistent id that a value is; false when it is something else. */
bool sb_storage_id(struct sb_storage_id *id, const struct sb_pickle *pickle, const struct sb_pickle_value *value);

/* Copies the indices of the first `room` items of a tuple; returns how many the tuple has. Not a tuple: 0. */
size_t sb_tuple_items(int32_t *items, size_t room, const struct sb_pickle *pickle, const struct sb_pickle_value *tuple);

bool sb_pickle_text_is(const struct sb_pickle_value *value, const char *text);

/* pytorch_legacy.c: the form without a zip file. */
bool sb_pytorch_is_legacy(const void *data, size_t size);

/* Reads the dictionary, and the storages as entries named by their keys. Free both, also after a failure. */
SB_MUST_CHECK enum sb_status sb_pytorch_read_legacy(struct sb_pickle *state, struct sb_zip *storages, const char *file,
                                                    const void *data, size_t size,
                                                    const struct sb_pickle_global *allowed, size_t allowed_count,
                                                    struct sb_error *error);

#endif
