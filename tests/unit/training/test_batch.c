/*
 * Which examples make a batch: order and its independence of everything, shares, options that make no sense.
 */
#include "tests/unit/training/batch_fixture.h"

static void same_batch(const struct sb_batch *a, const struct sb_batch *b)
{
    ck_assert_uint_eq(a->token_count, b->token_count);
    ck_assert_uint_eq(a->row_count, b->row_count);
    ck_assert_mem_eq(a->ids, b->ids, a->token_count * sizeof *a->ids);
    ck_assert_mem_eq(a->labels, b->labels, a->token_count * sizeof *a->labels);
    ck_assert_mem_eq(a->examples, b->examples, a->example_count * sizeof *a->examples);
}

static struct sb_batch_options with_all_noise(size_t window)
{
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    o.examples = 16;
    o.window = window;
    o.source_probability = 0.5;
    o.replace_row = 0.5;
    o.replace_token = 0.3;
    return o;
}

START_TEST(a_batch_depends_on_its_place_alone)
{
    struct sb_data *data = many_pairs(150);
    for (size_t window = 1; window <= 4; window += 3) {
        struct sb_batch_options o = with_all_noise(window);
        struct sb_batches *forward = new_batches(data, &o), *lone;
        struct sb_batch a = {0}, b = {0};
        ck_assert_uint_eq(sb_batches_in_epoch(forward), 10);
        for (uint64_t epoch = 0; epoch < 2; epoch++)
            for (size_t i = 0; i < 10; i++) {
                build(forward, &a, epoch, i);
                lone = new_batches(data, &o);
                build(lone, &b, epoch, i);
                same_batch(&a, &b);
                sb_batches_free(lone);
            }
        sb_batch_free(&a);
        sb_batch_free(&b);
        sb_batches_free(forward);
    }
    sb_data_close(data);
}
END_TEST

START_TEST(an_epoch_has_each_example_once)
{
    struct sb_data *data = many_pairs(150);
    for (size_t window = 1; window <= 7; window += 3) {
        struct sb_batch_options o = with_all_noise(window);
        struct sb_batches *batches = new_batches(data, &o);
        struct sb_batch batch = {0};
        int seen[150] = {0};
        for (size_t i = 0; i < sb_batches_in_epoch(batches); i++) {
            build(batches, &batch, 5, i);
            ck_assert_uint_eq(batch.example_count, 15); /* 150 in 10, not 16 nine times and 6 */
            ck_assert_uint_le(batch.row_count, sb_batches_max_rows(batches));
            for (size_t k = 0; k < batch.example_count; k++)
                seen[batch.examples[k]]++;
        }
        for (int i = 0; i < 150; i++)
            ck_assert_int_eq(seen[i], 1);
        sb_batch_free(&batch);
        sb_batches_free(batches);
    }
    sb_data_close(data);
}
END_TEST

/* Spread of the row lengths within batches, summed over an epoch. */
static size_t spread(const struct sb_data *data, size_t window, size_t *falling)
{
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SENTENCES);
    o.examples = 16;
    o.window = window;
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    size_t sum = 0, before = 0;
    *falling = 0;
    for (size_t i = 0; i < sb_batches_in_epoch(batches); i++) {
        size_t low = SIZE_MAX, high = 0;
        build(batches, &batch, 0, i);
        for (size_t r = 0; r < batch.row_count; r += 2) {
            size_t n = batch.rows[r].length;
            low = n < low ? n : low;
            high = n > high ? n : high;
        }
        sum += high - low;
        *falling += batch.token_count < before;
        before = batch.token_count;
    }
    sb_batch_free(&batch);
    sb_batches_free(batches);
    return sum;
}

START_TEST(windows_sort_by_length)
{
    struct sb_data *data = many_pairs(320);
    size_t falling, loose = spread(data, 1, &falling), tight = spread(data, 20, &falling);
    ck_assert_uint_lt(tight * 3, loose);
    ck_assert_uint_gt(falling, 4); /* the batches themselves are in no order */
    sb_data_close(data);
}
END_TEST

START_TEST(seed_stream_and_epoch_tell_orders_apart)
{
    struct sb_data *data = many_pairs(150);
    struct sb_batch_options o = with_all_noise(1);
    struct sb_batch a = {0}, b = {0};
    struct sb_batches *batches = new_batches(data, &o);
    build(batches, &a, 0, 0);
    build(batches, &b, 1, 0);
    ck_assert_int_ne(memcmp(a.examples, b.examples, a.example_count * sizeof *a.examples), 0);
    sb_batches_free(batches);
    for (int i = 0; i < 2; i++) {
        o = with_all_noise(1);
        o.seed = i == 0;
        o.stream = i == 1;
        batches = new_batches(data, &o);
        build(batches, &b, 0, 0);
        ck_assert_int_ne(memcmp(a.examples, b.examples, a.example_count * sizeof *a.examples), 0);
        sb_batches_free(batches);
    }
    sb_batch_free(&a);
    sb_batch_free(&b);
    sb_data_close(data);
}
END_TEST

START_TEST(shares_cover_a_batch)
{
    struct sb_batch batch = {.example_count = 7, .rows_per_example = 2, .row_count = 14};
    for (size_t size = 1; size < 10; size++) {
        size_t next = 0;
        for (size_t rank = 0; rank < size; rank++) {
            size_t first, count;
            sb_batch_share(&batch, rank, size, &first, &count);
            ck_assert_uint_eq(first, next);
            ck_assert_uint_eq(count % 2, 0);
            next = first + count;
        }
        ck_assert_uint_eq(next, 14);
    }
}
END_TEST

static void refuse(const struct sb_data *data, const struct sb_batch_options *options, const char *says)
{
    struct sb_batches *batches;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_batches_new(&batches, data, tokenizer, options, &error), SB_INVALID);
    ck_assert_ptr_null(batches);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
}

START_TEST(what_makes_no_sense_is_refused)
{
    struct sb_data *data = open_data("x.txt", "花呗\n");
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    refuse(data, &o, "needs pairs of texts");
    o = sb_batch_defaults(SB_ROWS_SENTENCES);
    o.want_negatives = true;
    refuse(data, &o, "triplets");
    o = sb_batch_defaults(SB_ROWS_SENTENCES);
    o.examples = 0;
    refuse(data, &o, "0 examples");
    o = sb_batch_defaults(SB_ROWS_SENTENCES);
    o.max_length = 5;
    refuse(data, &o, "max_length 5");
    o = sb_batch_defaults(SB_ROWS_DENOISING);
    o.denoise.mask = 0.99;
    refuse(data, &o, "sum");
    o = sb_batch_defaults(SB_ROWS_SENTENCES);
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    ck_assert_int_eq(sb_batches_build(batches, &batch, 0, 1, NULL), SB_INVALID);
    sb_batch_free(&batch);
    sb_batches_free(batches);
    sb_data_close(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/batch");
    TCase *order = batch_case("order");
    tcase_add_test(order, a_batch_depends_on_its_place_alone);
    tcase_add_test(order, an_epoch_has_each_example_once);
    tcase_add_test(order, windows_sort_by_length);
    tcase_add_test(order, seed_stream_and_epoch_tell_orders_apart);
    tcase_add_test(order, shares_cover_a_batch);
    tcase_add_test(order, what_makes_no_sense_is_refused);
    suite_add_tcase(suite, order);
    return run_suite(suite);
}
