/*
 * Batches: the rows of the released scripts, every kind of row, order and its independence of everything.
 */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_tokenizer *tokenizer;

static void open_tokenizer(void)
{
    ck_assert_int_eq(sb_tokenizer_open(&tokenizer, golden("tokenizers/simbert"), NULL), SB_OK);
}

static void close_tokenizer(void)
{
    sb_tokenizer_free(tokenizer);
}

static struct sb_data *open_data(const char *name, const char *text)
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
static struct sb_data *many_pairs(int count)
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

static struct sb_batches *new_batches(const struct sb_data *data, const struct sb_batch_options *options)
{
    struct sb_batches *batches;
    struct sb_error error;
    enum sb_status status = sb_batches_new(&batches, data, tokenizer, options, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return batches;
}

static void build(struct sb_batches *batches, struct sb_batch *batch, uint64_t epoch, size_t index)
{
    struct sb_error error;
    enum sb_status status = sb_batches_build(batches, batch, epoch, index, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
}

static const int32_t *labels_of(const struct sb_batch *batch, size_t row)
{
    return batch->labels + (batch->rows[row].ids - batch->ids);
}

/* A row's tokens as text, special ones included. */
static const char *shown(const struct sb_batch *batch, size_t row)
{
    struct sb_buffer b = {0};
    for (size_t i = 0; i < batch->rows[row].length; i++)
        sb_buffer_text(&b, sb_tokenizer_token(tokenizer, batch->rows[row].ids[i]));
    return keep(sb_buffer_take(&b, NULL));
}

/* ---- The released scripts' rows ---- */

static void check_golden_row(const struct sb_batch *batch, size_t row, const cJSON *expected)
{
    const cJSON *id = expected->child->child, *segment = expected->child->next->child;
    const struct sb_pass_row *r = &batch->rows[row];
    size_t prefix = 0;
    ck_assert_int_eq((int)r->length, cJSON_GetArraySize(expected->child));
    for (size_t i = 0; i < r->length; i++, id = id->next, segment = segment->next) {
        ck_assert_int_eq(r->ids[i], id->valueint);
        ck_assert_int_eq(r->segments[i], segment->valueint);
        prefix += segment->valueint == 0;
    }
    ck_assert_uint_eq(r->prefix, prefix);
    const int32_t *labels = labels_of(batch, row);
    for (size_t i = 0; i < r->length; i++)
        ck_assert_int_eq(labels[i], i + 1 >= prefix && i + 1 < r->length ? r->ids[i + 1] : -1);
}

static void append_pair(struct sb_buffer *lines, const char *a, const char *b)
{
    sb_buffer_text(lines, "{\"text1\":");
    sb_buffer_json_string(lines, a, strlen(a));
    sb_buffer_text(lines, ",\"text2\":");
    sb_buffer_json_string(lines, b, strlen(b));
    sb_buffer_text(lines, "}\n");
}

static void check_golden_rows(const char *style, const struct sb_batch_options *options, size_t expected_count)
{
    struct sb_buffer lines = {0};
    cJSON *rows[200];
    size_t count = 0;
    void *state = NULL;
    for (cJSON *row; (row = golden_next_line(&state, "tokenize/training-rows.jsonl"));) {
        if (strcmp(cJSON_GetObjectItem(row, "style")->valuestring, style) != 0) {
            cJSON_Delete(row);
            continue;
        }
        append_pair(&lines, cJSON_GetObjectItem(row, "a")->valuestring, cJSON_GetObjectItem(row, "b")->valuestring);
        rows[count++] = row;
    }
    ck_assert_uint_eq(count, expected_count);
    struct sb_data *data = open_data("golden.jsonl", lines.data);
    struct sb_batches *batches = new_batches(data, options);
    struct sb_batch batch = {0};
    size_t checked = 0;
    for (size_t i = 0; i < sb_batches_in_epoch(batches); i++) {
        build(batches, &batch, 0, i);
        for (size_t k = 0; k < batch.example_count; k++, checked++) {
            const cJSON *both = cJSON_GetObjectItem(rows[batch.examples[k]], "rows");
            check_golden_row(&batch, 2 * k, both->child);
            check_golden_row(&batch, 2 * k + 1, both->child->next);
        }
    }
    ck_assert_uint_eq(checked, expected_count);
    for (size_t i = 0; i < count; i++)
        cJSON_Delete(rows[i]);
    sb_batch_free(&batch);
    sb_batches_free(batches);
    sb_data_close(data);
    sb_buffer_free(&lines);
}

START_TEST(simbert_rows_equal_the_reference)
{
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    o.examples = 7;
    check_golden_rows("simbert", &o, 80);
}
END_TEST

START_TEST(roformer_sim_rows_equal_the_reference)
{
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    o.examples = 7;
    o.text_characters = 76; /* 64 * 1.2 */
    o.max_length = 128;
    o.pair_rule = SB_PAIR_ROFORMER_SIM;
    check_golden_rows("roformer-sim", &o, 40);
}
END_TEST

/* The first row of one pair. */
static void build_pair(struct sb_batch *batch, const char *a, const char *b, const struct sb_batch_options *options)
{
    struct sb_buffer line = {0};
    append_pair(&line, a, b);
    struct sb_data *data = open_data("pair.jsonl", line.data);
    struct sb_batches *batches = new_batches(data, options);
    build(batches, batch, 0, 0);
    sb_batches_free(batches);
    sb_data_close(data);
    sb_buffer_free(&line);
}

/* Pairs that are too long, against bert4keras' encode. */
START_TEST(long_pairs_are_cut_as_the_reference_cuts_them)
{
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    struct sb_batch batch = {0};
    void *state = NULL;
    int checked = 0, cut = 0;
    o.text_characters = 0;
    for (cJSON *row; (row = golden_next_line(&state, "tokenize/pairs.jsonl")); cJSON_Delete(row)) {
        const cJSON *second = cJSON_GetObjectItem(row, "second"), *maxlen = cJSON_GetObjectItem(row, "maxlen");
        const char *a = cJSON_GetObjectItem(row, "first")->valuestring;
        if (strcmp(cJSON_GetObjectItem(row, "vocab")->valuestring, "simbert") != 0 || !cJSON_IsNumber(maxlen) ||
            maxlen->valueint < 6 || strcmp(cJSON_GetObjectItem(row, "truncate_from")->valuestring, "right") != 0 ||
            !cJSON_IsString(second) || strspn(a, " \t\r\n") == strlen(a) ||
            strspn(second->valuestring, " \t\r\n") == strlen(second->valuestring))
            continue;
        o.max_length = (size_t)maxlen->valueint;
        build_pair(&batch, a, second->valuestring, &o);
        const cJSON *id = cJSON_GetObjectItem(row, "ids")->child,
                    *segment = cJSON_GetObjectItem(row, "segments")->child;
        for (size_t i = 0; i < batch.rows[0].length; i++, id = id->next, segment = segment->next) {
            ck_assert_ptr_nonnull(id);
            ck_assert_int_eq(batch.rows[0].ids[i], id->valueint);
            ck_assert_int_eq(batch.rows[0].segments[i], segment->valueint);
        }
        ck_assert_ptr_null(id);
        cut += batch.rows[0].length == o.max_length;
        checked++;
    }
    ck_assert_int_gt(checked, 40);
    ck_assert_int_gt(cut, 20);
    sb_batch_free(&batch);
}
END_TEST

/* 14 tokens for 13 places: where the second text counts with a [CLS] it is the longer one and loses a token. */
START_TEST(pair_rules_differ_by_one_token)
{
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    struct sb_batch batch = {0};
    o.max_length = 13;
    build_pair(&batch, "一二三四五", "六七八九十百", &o);
    ck_assert_str_eq(shown(&batch, 0), "[CLS]一二三四五[SEP]六七八九十[SEP]");
    o.pair_rule = SB_PAIR_ROFORMER_SIM; /* 7 and 7: a tie is the first one's */
    build_pair(&batch, "一二三四五", "六七八九十百", &o);
    ck_assert_str_eq(shown(&batch, 0), "[CLS]一二三四[SEP]六七八九十百[SEP]");
    sb_batch_free(&batch);
}
END_TEST

/* ---- Kinds of rows ---- */

START_TEST(synonyms_give_two_different_members)
{
    struct sb_data *data = open_data("s.jsonl", "{\"text\": \"一\", \"synonyms\": [\"二\", \"三\", \"四\"]}\n");
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    int32_t seen[4][4] = {{0}}, ids[4] = {0};
    const char *const names[] = {"一", "二", "三", "四"};
    for (int i = 0; i < 4; i++)
        ids[i] = sb_tokenizer_id(tokenizer, names[i], 3);
    for (uint64_t epoch = 0; epoch < 1200; epoch++) {
        build(batches, &batch, epoch, 0);
        ck_assert_uint_eq(batch.row_count, 2);
        int a = 0, b = 0;
        while (ids[a] != batch.rows[0].ids[1])
            a++;
        while (ids[b] != batch.rows[0].ids[3])
            b++;
        ck_assert_int_ne(a, b);
        ck_assert_int_eq(batch.rows[1].ids[1], ids[b]);
        ck_assert_int_eq(batch.rows[1].ids[3], ids[a]);
        seen[a][b]++;
    }
    for (int a = 0; a < 4; a++) /* 100 of each ordered pair are expected */
        for (int b = 0; b < 4; b++)
            ck_assert(a == b ? seen[a][b] == 0 : seen[a][b] > 60 && seen[a][b] < 140);
    sb_batch_free(&batch);
    sb_batches_free(batches);
    sb_data_close(data);
}
END_TEST

START_TEST(sentences_are_rows_of_their_own)
{
    struct sb_data *data = open_data("p.tsv", "花呗\t借呗\t0.25\n还款\t退货\t1\n");
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SENTENCES);
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    build(batches, &batch, 0, 0);
    ck_assert_uint_eq(batch.row_count, 4);
    size_t first = batch.examples[0] == 0 ? 0 : 2;
    ck_assert_str_eq(shown(&batch, first), "[CLS]花呗[SEP]");
    ck_assert_str_eq(shown(&batch, first + 1), "[CLS]借呗[SEP]");
    ck_assert_uint_eq(batch.rows[first].prefix, 4);
    ck_assert(batch.scores[first / 2] == 0.25f && batch.scores[1 - first / 2] == 1);
    ck_assert_int_eq(batch.classes[first / 2], 0);
    ck_assert_int_eq(batch.classes[1 - first / 2], 1);
    ck_assert_int_eq(batch.classes_of[0].first, 0);
    ck_assert_int_eq(batch.classes_of[0].count, 2);
    size_t positions[64];
    int32_t labels[64];
    ck_assert_uint_eq(sb_batch_targets(&batch, 0, 4, positions, labels), 0);
    sb_batches_free(batches);
    sb_data_close(data);
    data = open_data("n.tsv", "花呗\t借呗\tcontradiction\n");
    batches = new_batches(data, &o);
    build(batches, &batch, 0, 0);
    ck_assert(batch.scores[0] == 0);
    ck_assert_int_eq(batch.classes[0], 4);
    ck_assert_int_eq(batch.classes_of[0].first, 2);
    ck_assert_int_eq(batch.classes_of[0].count, 3);
    sb_batches_free(batches);
    sb_data_close(data);
    data = open_data("t.tsv", "花呗\t借呗\t退货\n");
    o.want_negatives = true;
    batches = new_batches(data, &o);
    build(batches, &batch, 0, 0);
    ck_assert_uint_eq(batch.rows_per_example, 3);
    ck_assert_uint_eq(sb_batches_max_rows(batches), 3);
    ck_assert_str_eq(shown(&batch, 2), "[CLS]退货[SEP]");
    sb_batches_free(batches);
    sb_data_close(data);
    data = open_data("x.txt", "花呗\n");
    o.want_negatives = false;
    batches = new_batches(data, &o);
    build(batches, &batch, 0, 0);
    ck_assert_uint_eq(batch.row_count, 2);
    ck_assert_str_eq(shown(&batch, 1), "[CLS]花呗[SEP]");
    sb_batches_free(batches);
    sb_data_close(data);
    sb_batch_free(&batch);
}
END_TEST

START_TEST(chats_go_one_way)
{
    struct sb_data *data =
        open_data("c.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"花呗\"}, {\"role\": "
                             "\"assistant\", \"content\": \"借呗\"}]}\n");
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    ck_assert_uint_eq(sb_batches_rows_per_example(batches), 1);
    build(batches, &batch, 0, 0);
    ck_assert_uint_eq(batch.row_count, 1);
    ck_assert_str_eq(shown(&batch, 0), "[CLS]花呗[SEP]借呗[SEP]");
    sb_batch_free(&batch);
    sb_batches_free(batches);
    sb_data_close(data);
}
END_TEST

START_TEST(language_models_have_their_labels)
{
    struct sb_data *data = open_data("x.txt", "怎么申请退货\n");
    struct sb_batch_options o = sb_batch_defaults(SB_ROWS_CAUSAL_LM);
    struct sb_batches *batches = new_batches(data, &o);
    struct sb_batch batch = {0};
    build(batches, &batch, 0, 0);
    ck_assert_uint_eq(batch.rows[0].prefix, 0);
    ck_assert_uint_eq(batch.rows[0].length, 8);
    size_t positions[64];
    int32_t labels[64];
    ck_assert_uint_eq(sb_batch_targets(&batch, 0, 1, positions, labels), 7);
    for (size_t i = 0; i < 7; i++) {
        ck_assert_uint_eq(positions[i], i);
        ck_assert_int_eq(labels[i], batch.rows[0].ids[i + 1]);
    }
    sb_batches_free(batches);
    o = sb_batch_defaults(SB_ROWS_MASKED_LM);
    o.mask.mask = 1;
    o.mask.random = 0;
    batches = new_batches(data, &o);
    const char *whole = "[CLS]怎么申请退货[SEP]";
    int differ = 0;
    const char *before = "";
    for (uint64_t epoch = 0; epoch < 50; epoch++) {
        build(batches, &batch, epoch, 0);
        ck_assert_uint_eq(batch.rows[0].prefix, 8);
        size_t n = sb_batch_targets(&batch, 0, 1, positions, labels);
        ck_assert_uint_gt(n, 0);
        ck_assert_str_ne(shown(&batch, 0), whole);
        differ += strcmp(before, shown(&batch, 0)) != 0;
        before = shown(&batch, 0);
        for (size_t i = 0; i < n; i++) {
            ck_assert_str_eq(sb_tokenizer_token(tokenizer, batch.ids[positions[i]]), "[MASK]");
            batch.ids[positions[i]] = labels[i];
        }
        ck_assert_str_eq(shown(&batch, 0), whole);
    }
    ck_assert_int_gt(differ, 10); /* other tokens in other epochs */
    sb_batches_free(batches);
    o = sb_batch_defaults(SB_ROWS_DENOISING);
    o.denoise = (struct sb_denoise_rule){.mask = 1};
    batches = new_batches(data, &o);
    build(batches, &batch, 0, 0);
    ck_assert_str_eq(shown(&batch, 0), "[CLS][MASK][MASK][MASK][MASK][MASK][MASK][SEP]怎么申请退货[SEP]");
    ck_assert_uint_eq(batch.rows[0].prefix, 8);
    ck_assert_uint_eq(sb_batch_targets(&batch, 0, 1, positions, labels), 7);
    ck_assert_uint_eq(positions[0], 7);
    ck_assert_int_eq(labels[0], batch.rows[0].ids[8]);
    ck_assert_uint_eq(batch.rows[0].segments[7], 0);
    ck_assert_uint_eq(batch.rows[0].segments[8], 1);
    sb_batches_free(batches);
    sb_batch_free(&batch);
    sb_data_close(data);
}
END_TEST

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

/* ---- Order ---- */

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
    TCase *rows = tcase_create("rows"), *order = tcase_create("order");
    tcase_add_checked_fixture(rows, open_tokenizer, close_tokenizer);
    tcase_add_checked_fixture(order, open_tokenizer, close_tokenizer);
    tcase_set_timeout(rows, 60);
    tcase_set_timeout(order, 60);
    tcase_add_test(rows, simbert_rows_equal_the_reference);
    tcase_add_test(rows, roformer_sim_rows_equal_the_reference);
    tcase_add_test(rows, long_pairs_are_cut_as_the_reference_cuts_them);
    tcase_add_test(rows, pair_rules_differ_by_one_token);
    tcase_add_test(rows, synonyms_give_two_different_members);
    tcase_add_test(rows, sentences_are_rows_of_their_own);
    tcase_add_test(rows, chats_go_one_way);
    tcase_add_test(rows, language_models_have_their_labels);
    tcase_add_test(rows, sources_are_masked_now_and_then);
    tcase_add_test(rows, replaced_inputs_keep_their_labels);
    tcase_add_test(rows, scheduled_sampling_takes_predictions);
    tcase_add_test(order, a_batch_depends_on_its_place_alone);
    tcase_add_test(order, an_epoch_has_each_example_once);
    tcase_add_test(order, windows_sort_by_length);
    tcase_add_test(order, seed_stream_and_epoch_tell_orders_apart);
    tcase_add_test(order, shares_cover_a_batch);
    tcase_add_test(order, what_makes_no_sense_is_refused);
    suite_add_tcase(suite, rows);
    suite_add_tcase(suite, order);
    return run_suite(suite);
}
