/* Stores with small collections, for the tests of retrieval/. What fails ends the test. */
#ifndef SB_TESTS_RETRIEVAL_FIXTURE_H
#define SB_TESTS_RETRIEVAL_FIXTURE_H

#include "base/random.h"
#include "retrieval/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIMENSIONS = 7 };
static const char hash[] = "00112233445566778899aabbccddeeff";

static inline struct sb_store *open_store(const char *name)
{
    struct sb_store *store;
    struct sb_error error;
    enum sb_status status = sb_store_open(&store, scratch(name), NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return store;
}

static inline struct sb_collection_info info_of(const char *name, int dimensions)
{
    struct sb_collection_info info = {.dimensions = dimensions};
    snprintf(info.name, sizeof info.name, "%s", name);
    snprintf(info.model_name, sizeof info.model_name, "tiny");
    snprintf(info.model_hash, sizeof info.model_hash, "%s", hash);
    return info;
}

static inline void create(struct sb_store *store, const char *collection)
{
    struct sb_collection_info info = info_of(collection, DIMENSIONS);
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
}

static inline struct sb_store *open_with(const char *name, const char *collection)
{
    struct sb_store *store = open_store(name);
    create(store, collection);
    return store;
}

static inline const float *vector_of(uint64_t number)
{
    float *vector = malloc(DIMENSIONS * sizeof *vector);
    for (size_t i = 0; i < DIMENSIONS; i++)
        vector[i] = (float)sb_random_normal(5, number, i);
    return (const float *)(const void *)keep((char *)vector);
}

static inline struct sb_sentence sentence(const char *id, const char *text, uint64_t number)
{
    return (struct sb_sentence){.id = id, .text = text, .text_size = strlen(text), .vector = vector_of(number)};
}

static inline enum sb_status put(struct sb_store *store, const char *collection, struct sb_sentence s,
                                 struct sb_error *error)
{
    return sb_store_upsert(store, collection, hash, &s, 1, NULL, NULL, error);
}

static inline int64_t count_of(struct sb_store *store, const char *collection)
{
    struct sb_collection_info info;
    ck_assert_int_eq(sb_store_describe(store, collection, &info, NULL), SB_OK);
    return info.count;
}

/* Opening is refused, with the file's name and these words. */
static inline void refuse_file(const char *name, enum sb_status status, const char *says)
{
    struct sb_store *store;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_store_open(&store, scratch(name), NULL, &error), status);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
    ck_assert_ptr_nonnull(strstr(error.message, name));
}

#endif
