/*
 * What an example becomes: the rows of the released scripts, and every kind of row.
 */
#include "tests/unit/golden_tensors.h"
#include "tests/unit/training/batch_fixture.h"

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
    o.lone_once = true;
    batches = new_batches(data, &o);
    build(batches, &batch, 0, 0);
    ck_assert_uint_eq(batch.row_count, 1);
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

/* The tokens that a teacher reads of the first row, as text. */
static const char *clean(const struct sb_batch *batch)
{
    struct sb_buffer b = {0};
    int32_t ids[64];
    size_t count = sb_batch_clean_text(batch, 0, ids);
    sb_buffer_text(&b, "");
    for (size_t i = 0; i < count; i++)
        sb_buffer_text(&b, sb_tokenizer_token(tokenizer, ids[i]));
    return keep(sb_buffer_take(&b, NULL));
}

START_TEST(noise_comes_off_again)
{
    static const struct {
        enum sb_rows rows;
        const char *text;
    } cases[] = {{SB_ROWS_SENTENCES, "[CLS]怎么申请退货[SEP]"},
                 {SB_ROWS_MASKED_LM, "[CLS]怎么申请退货[SEP]"},
                 {SB_ROWS_DENOISING, "怎么申请退货[SEP]"},
                 {SB_ROWS_CAUSAL_LM, ""}};
    struct sb_data *data = open_data("x.txt", "怎么申请退货\n");
    struct sb_batch batch = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_batch_options o = sb_batch_defaults(cases[i].rows);
        o.mask.probability = 1;
        o.denoise = (struct sb_denoise_rule){.mask = 0.5, .erase = 0.3, .replace = 0.2, .permute = 1, .distance = 3};
        o.replace_row = o.replace_token = 1;
        o.replace_from_vocabulary = true;
        struct sb_batches *batches = new_batches(data, &o);
        for (uint64_t epoch = 0; epoch < 5; epoch++) {
            build(batches, &batch, epoch, 0);
            ck_assert_str_eq(clean(&batch), cases[i].text);
        }
        sb_batches_free(batches);
    }
    sb_batch_free(&batch);
    sb_data_close(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/batch_rows");
    TCase *rows = batch_case("rows");
    tcase_add_test(rows, simbert_rows_equal_the_reference);
    tcase_add_test(rows, roformer_sim_rows_equal_the_reference);
    tcase_add_test(rows, long_pairs_are_cut_as_the_reference_cuts_them);
    tcase_add_test(rows, pair_rules_differ_by_one_token);
    tcase_add_test(rows, synonyms_give_two_different_members);
    tcase_add_test(rows, sentences_are_rows_of_their_own);
    tcase_add_test(rows, chats_go_one_way);
    tcase_add_test(rows, language_models_have_their_labels);
    tcase_add_test(rows, noise_comes_off_again);
    suite_add_tcase(suite, rows);
    return run_suite(suite);
}
