/* Every kind of model that there is, as a directory: the tiny models, the attention variants of golden/variants, and mixtures of
   parts that have no golden, made here. Static: each test links alone. */
#ifndef SB_TESTS_MODEL_FAMILIES_H
#define SB_TESTS_MODEL_FAMILIES_H

#include "base/random.h"
#include "model/network_impl.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <string.h>

static const struct family {
    const char *name;
    const char *dir;      /* of goldens; NULL: made from tiny-bert */
    const char *parts[4]; /* then: its attention */
    int key_size;
} families[] = {
    {"tiny-bert", "models/tiny-bert", {0}, 0},
    {"tiny-factorised", "models/tiny-factorised", {0}, 0},
    {"tiny-keysize", "models/tiny-keysize", {0}, 0},
    {"tiny-headsize", "models/tiny-headsize", {0}, 0},
    {"tiny-roformer", "models/tiny-roformer", {0}, 0},
    {"vanilla", "variants/vanilla", {0}, 0},
    {"talking", "variants/talking", {0}, 0},
    {"dense", "variants/dense", {0}, 0},
    {"random", "variants/random", {0}, 0},
    {"factorised-dense", "variants/factorised-dense", {0}, 0},
    {"factorised-random", "variants/factorised-random", {0}, 0},
    {"mixture-random-vanilla", "variants/mixture-random-vanilla", {0}, 0},
    {"mixture-dense-vanilla", "variants/mixture-dense-vanilla", {0}, 0},
    {"mixture-all", "variants/mixture-all", {0}, 0},
    {"made-rotary-talking", NULL, {"rotary", "dense", "+talking"}, 6},
    {"made-fixed-random", NULL, {"fixed_random", "vanilla"}, 12},
    {"made-keyless-talking", NULL, {"factorised_dense", "factorised_random", "+talking"}, 8},
};
/* Those of golden/variants stand together. */
enum { FAMILIES = sizeof families / sizeof *families, FIRST_VARIANT = 5, VARIANTS = 9 };

/* Numbers of a size that matters for everything that tiny-bert does not have. */
static inline void fill_new(struct sb_network *network)
{
    const struct sb_parameters *parameters = sb_network_parameters(network);
    float *values = sb_network_values(network);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *p = &parameters->items[i];
        bool talks = strstr(p->name, ".talking_") != NULL;
        for (size_t j = 0; j < p->rows * p->columns; j++)
            if (strstr(p->name, ".attention.self."))
                values[p->offset + j] = (float)(0.25 * sb_random_normal(11, i, j)) +
                                        (talks && j % (p->columns + 1) == 0 ? 1.0f : 0.0f);
    }
}

static inline const char *made_family(const struct family *family)
{
    const char *dir = temporary_folder();
    struct sb_network *base, *made;
    int count = 0;
    while (count < 4 && family->parts[count])
        count++;
    ck_assert_int_eq(sb_network_open(&base, golden("models/tiny-bert"), NULL, NULL), SB_OK);
    struct sb_config config = *sb_network_config(base);
    config.attention_key_size = family->key_size;
    config.attention.factor_a = config.attention.factor_b = config.attention.factor_rank = 0;
    ck_assert_int_eq(sb_attention_from_names(&config.attention, family->parts, count, NULL), SB_OK);
    if (sb_attention_has(&config.attention, SB_PART_FACTORISED_DENSE)) {
        config.attention.factor_a = 7; /* 7 * 10 > 64 positions */
        config.attention.factor_b = 10;
    }
    if (sb_attention_has(&config.attention, SB_PART_FACTORISED_RANDOM))
        config.attention.factor_rank = 3;
    ck_assert_int_eq(sb_network_like(&made, base, &config, NULL), SB_OK);
    sb_network_copy_same(made, base);
    fill_new(made);
    ck_assert_int_eq(sb_network_save(made, NULL, SB_F32, dir, NULL), SB_OK);
    sb_network_free(made);
    sb_network_free(base);
    return dir;
}

/* A folder with the model. */
static inline const char *family_dir(int i)
{
    return families[i].dir ? golden(families[i].dir) : made_family(&families[i]);
}

/* Golden rows that suit its vocabulary and length. */
static inline struct golden_tensors family_batch(int i)
{
    bool is_variant = families[i].dir && strncmp(families[i].dir, "variants/", 9) == 0;
    return golden_open(is_variant ? "variants/dense.safetensors" : "train/tiny-bert/batch.safetensors");
}

#endif
