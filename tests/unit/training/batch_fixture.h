/* A tokenizer, data from text, and batches that must be built. Static: each test links alone. */
#ifndef SB_TESTS_TRAINING_BATCH_FIXTURE_H
#define SB_TESTS_TRAINING_BATCH_FIXTURE_H

#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/batch.h"

#include <stdlib.h>
#include <string.h>

static struct sb_tokenizer *tokenizer;

static inline void open_tokenizer(void)
{
    ck_assert_int_eq(sb_tokenizer_open(&tokenizer, golden("tokenizers/simbert"), NULL), SB_OK);
}

static inline void close_tokenizer(void)
{
    sb_tokenizer_free(tokenizer);
}

static inline struct sb_data *open_data(const char *name, const char *text)
{
    struct sb_data *data;
    struct sb_error error;
    struct sb_data_options options = sb_data_defaults();
    scratch_text(name, text);
    struct sb_data_file file = {.path = scratch(name)};
    enum sb_status status = sb_data_open(&data, &file, 1, &options, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return data;
}

/* `count` pairs of texts of many lengths, none like another. */
static inline struct sb_data *many_pairs(int count)
{
    struct sb_buffer text = {0};
    for (int i = 0; i < count; i++) {
        sb_buffer_format(&text, "第%d个问题", i);
        for (int k = 0; k < i * 7 % 13; k++)
            sb_buffer_text(&text, "长");
        sb_buffer_format(&text, "\t问题之%d\t%d\n", i, i % 2);
    }
    struct sb_data *data = open_data("many.tsv", text.data);
    sb_buffer_free(&text);
    return data;
}

static inline struct sb_batches *new_batches(const struct sb_data *data, const struct sb_batch_options *options)
{
    struct sb_batches *batches;
    struct sb_error error;
    enum sb_status status = sb_batches_new(&batches, data, tokenizer, options, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return batches;
}

static inline void build(struct sb_batches *batches, struct sb_batch *batch, uint64_t epoch, size_t index)
{
    struct sb_error error;
    enum sb_status status = sb_batches_build(batches, batch, epoch, index, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
}

static inline const int32_t *labels_of(const struct sb_batch *batch, size_t row)
{
    return batch->labels + (batch->rows[row].ids - batch->ids);
}

/* A row's tokens as text, special ones included. */
static inline const char *shown(const struct sb_batch *batch, size_t row)
{
    struct sb_buffer b = {0};
    for (size_t i = 0; i < batch->rows[row].length; i++)
        sb_buffer_text(&b, sb_tokenizer_token(tokenizer, batch->rows[row].ids[i]));
    return keep(sb_buffer_take(&b, NULL));
}

/* The test case of a file: each test with the tokenizer open. */
static inline TCase *batch_case(const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, open_tokenizer, close_tokenizer);
    tcase_set_timeout(tests, 60);
    return tests;
}

#endif
