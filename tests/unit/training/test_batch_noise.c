/*
 * Noise in rows for writing: masked sources, and decoder inputs that are not what the labels say.
 */
#include "tests/unit/training/batch_fixture.h"

START_TEST(sources_are_masked_now_and_then)
{
    struct sb_data *data = many_pairs(400);
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    o.source_probability = 0.5;
    o.mask.probability = 1;
    o.mask.mask = 1;
    o.mask.random = 0;
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    int masked = 0, mask = sb_tokenizer_special(tokenizer).mask;
    for (size_t i = 0; i < sb_batches_in_epoch(batches); i++) {
        build(batches, &batch, 0, i);
        for (size_t r = 0; r < batch.row_count; r++) {
            masked += batch.rows[r].ids[1] == mask;
            ck_assert_int_ne(batch.rows[r].ids[0], mask);
            for (size_t t = batch.rows[r].prefix - 1; t < batch.rows[r].length; t++)
                ck_assert_int_ne(batch.rows[r].ids[t], mask);
        }
    }
    ck_assert_int_gt(masked, 350);
    ck_assert_int_lt(masked, 450);
    sb_batch_free(&batch);
    sb_batches_free(batches);
    sb_data_close(data);
}
END_TEST

START_TEST(replaced_inputs_keep_their_labels)
{
    struct sb_data *data = many_pairs(100);
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    struct sb_batches *plain = new_batches(data, &o);
    o.replace_row = 0.5;
    o.replace_token = 0.3;
    o.replace_from_vocabulary = true;
    struct sb_batches *noisy = new_batches(data, &o);
    struct sb_batch a = {0}, b = {0};
    build(plain, &a, 3, 1);
    build(noisy, &b, 3, 1);
    ck_assert_uint_eq(a.token_count, b.token_count);
    ck_assert_mem_eq(a.labels, b.labels, a.token_count * sizeof *a.labels);
    size_t rows = 0, changed = 0, inputs = 0;
    for (size_t r = 0; r < a.row_count; r++) {
        size_t in_row = 0, n = a.rows[r].length, prefix = a.rows[r].prefix;
        for (size_t i = 0; i < n; i++)
            if (a.rows[r].ids[i] != b.rows[r].ids[i]) {
                ck_assert(i >= prefix && i + 1 < n);
                in_row++;
            }
        rows += in_row > 0;
        changed += in_row;
        inputs += in_row > 0 ? n - 1 - prefix : 0;
    }
    ck_assert_uint_gt(rows, a.row_count / 4);
    ck_assert_uint_lt(rows, a.row_count * 3 / 4);
    ck_assert(changed * 10 > inputs * 2 && changed * 10 < inputs * 5); /* rows without any are not counted: above .3 */
    sb_batch_free(&a);
    sb_batch_free(&b);
    sb_batches_free(plain);
    sb_batches_free(noisy);
    sb_data_close(data);
}
END_TEST

START_TEST(scheduled_sampling_takes_predictions)
{
    struct sb_data *data = many_pairs(64);
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch a = {0}, b = {0};
    build(batches, &a, 0, 0);
    int32_t *predictions = malloc(a.token_count * sizeof *predictions);
    for (size_t i = 0; i < a.token_count; i++)
        predictions[i] = (int32_t)(1000 + i);
    sb_batch_replace_scheduled(&a, 0, a.row_count, predictions, 0.4);
    /* Half and half gives the same: draws belong to the rows. */
    build(batches, &b, 0, 0);
    size_t first, count, at;
    sb_batch_share(&b, 1, 2, &first, &count);
    at = (size_t)(b.rows[first].ids - b.ids);
    sb_batch_replace_scheduled(&b, first, count, predictions + at, 0.4);
    sb_batch_replace_scheduled(&b, 0, first, predictions, 0.4);
    ck_assert_mem_eq(a.ids, b.ids, a.token_count * sizeof *a.ids);
    build(batches, &b, 0, 0);
    size_t changed = 0, inputs = 0;
    for (size_t i = 0; i < a.token_count; i++)
        if (a.ids[i] != b.ids[i]) {
            ck_assert_int_eq(a.ids[i], (int32_t)(1000 + i - 1));
            changed++;
        }
    for (size_t r = 0; r < a.row_count; r++)
        inputs += a.rows[r].length - 1 - a.rows[r].prefix;
    ck_assert(changed * 100 > inputs * 33 && changed * 100 < inputs * 47);
    ck_assert_mem_eq(a.labels, b.labels, a.token_count * sizeof *a.labels);
    free(predictions);
    sb_batch_free(&a);
    sb_batch_free(&b);
    sb_batches_free(batches);
    sb_data_close(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/batch_noise");
    TCase *noise = batch_case("noise");
    tcase_add_test(noise, sources_are_masked_now_and_then);
    tcase_add_test(noise, replaced_inputs_keep_their_labels);
    tcase_add_test(noise, scheduled_sampling_takes_predictions);
    suite_add_tcase(suite, noise);
    return run_suite(suite);
}
