/*
 * Reads a pickle as data. Python's pickle is a program for a stack machine that may call anything; this machine knows
 * only the opcodes that build plain values, looks every global up in the caller's list, and calls nothing: a call
 * becomes a value that says what was to be called with which arguments.
 *
 *     static const struct sb_pickle_global allowed[] = {{"collections", "OrderedDict", SB_PICKLE_MAKES_DICT}};
 *     struct sb_pickle pickle;
 *     if (sb_pickle_read(&pickle, "data.pkl", bytes, size, allowed, 1, &error) == SB_OK) {
 *         const struct sb_pickle_value *root = &pickle.values[pickle.root];
 *         ...
 *     }
 *     sb_pickle_free(&pickle);
 *
 * Values refer to each other by index, and may do so in circles: walk them to a fixed depth only.
 */
#ifndef SB_WEIGHTS_PICKLE_IMPL_H
#define SB_WEIGHTS_PICKLE_IMPL_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum sb_pickle_rule {
    SB_PICKLE_IS_TYPE,    /* may be named, not called */
    SB_PICKLE_IS_CALLED,  /* a call is recorded as SB_PICKLE_CALL */
    SB_PICKLE_MAKES_DICT, /* a call without arguments is an empty dictionary */
};

struct sb_pickle_global {
    const char *module, *name;
    enum sb_pickle_rule rule;
};

enum sb_pickle_kind {
    SB_PICKLE_NONE,
    SB_PICKLE_BOOL,       /* integer */
    SB_PICKLE_INT,        /* integer */
    SB_PICKLE_FLOAT,      /* number */
    SB_PICKLE_STRING,     /* text, size: UTF-8, not NUL-terminated, borrowed from the pickle */
    SB_PICKLE_GLOBAL,     /* global */
    SB_PICKLE_TUPLE,      /* items */
    SB_PICKLE_LIST,       /* items */
    SB_PICKLE_DICT,       /* items; each has a key */
    SB_PICKLE_PERSISTENT, /* argument: the persistent id, usually a tuple */
    SB_PICKLE_CALL,       /* global; argument: the tuple of arguments */
};

enum { SB_PICKLE_NOTHING = -1 }; /* no item */

struct sb_pickle_value {
    enum sb_pickle_kind kind;
    int32_t argument;
    int32_t first, last; /* items, linked; SB_PICKLE_NOTHING when there are none */
    uint32_t count;
    const struct sb_pickle_global *global;
    union {
        int64_t integer;
        double number;
        struct {
            const char *text;
            size_t size;
        };
    };
};

struct sb_pickle_item {
    int32_t key, value; /* indices of values; key only in a dictionary */
    int32_t next;
};

struct sb_pickle {
    struct sb_pickle_value *values;
    struct sb_pickle_item *items;
    size_t value_count, value_capacity, item_count, item_capacity;
    int32_t root;
    size_t size; /* bytes up to the end of its last opcode; what follows is not looked at */
};

enum { SB_PICKLE_MAX_BYTES = 64 << 20 };

/* The pickle's bytes must live as long as its strings are read. `file` names it in errors. */
SB_MUST_CHECK enum sb_status sb_pickle_read(struct sb_pickle *pickle, const char *file, const void *data, size_t size,
                                            const struct sb_pickle_global *allowed, size_t allowed_count,
                                            struct sb_error *error);
void sb_pickle_free(struct sb_pickle *pickle);

#endif
