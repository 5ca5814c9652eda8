/*
 * WordPiece against the reference (golden/tokenize: bert4keras) and Hugging Face's tokenizers, every row.
 */
#include "base/file.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "tokenizer/simplify.h"
#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_tokenizer *open_tokenizer(const char *path)
{
    struct sb_tokenizer *tokenizer;
    struct sb_error error;
    enum sb_status status = sb_tokenizer_open(&tokenizer, path, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return tokenizer;
}

static const char *text_of(const cJSON *row, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(row, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* The texts of the goldens hold NUL where JSON says \u0000, at which cJSON cuts them; such rows are read with U+0001 instead,
   which the tokenizers drop in the same way. */
static char *patched_line(const char *line)
{
    char *copy = strdup(line);
    for (char *at = copy; (at = strstr(at, "\\u0000"));)
        at[5] = '1';
    return copy;
}

static cJSON *next_row(FILE **file, const char *name)
{
    if (!*file)
        *file = fopen(golden(name), "r");
    ck_assert_ptr_nonnull(*file);
    char *line = NULL;
    size_t capacity = 0;
    if (getline(&line, &capacity, *file) <= 0) {
        free(line);
        fclose(*file);
        *file = NULL;
        return NULL;
    }
    char *patched = patched_line(line);
    cJSON *row = cJSON_Parse(patched);
    ck_assert_ptr_nonnull(row);
    free(line);
    free(patched);
    return row;
}

static void assert_ids(const struct sb_encoding *e, const cJSON *ids, const char *text)
{
    ck_assert_msg((int)e->length == cJSON_GetArraySize(ids), "'%s': %zu tokens, expected %d", text, e->length,
                  cJSON_GetArraySize(ids));
    const cJSON *id = ids->child;
    for (size_t i = 0; i < e->length; i++, id = id->next)
        ck_assert_msg(e->ids[i] == id->valueint, "'%s': token %zu is %d, expected %d", text, i, e->ids[i],
                      id->valueint);
}

static void assert_offsets(const struct sb_encoding *e, const cJSON *offsets, const char *text)
{
    const cJSON *span = offsets->child;
    for (size_t i = 0; i < e->length; i++, span = span->next) {
        int start = cJSON_IsNull(span) ? -1 : span->child->valueint,
            end = cJSON_IsNull(span) ? -1 : span->child->next->valueint;
        ck_assert_msg(e->offsets[i].start == start && e->offsets[i].end == end,
                      "'%s': token %zu at [%d, %d), expected [%d, %d)", text, i, e->offsets[i].start, e->offsets[i].end,
                      start, end);
    }
}

/* The reference's tokenizers by vocabulary and case. */
struct set {
    struct sb_tokenizer *google, *google_cased, *simbert;
};

static struct sb_tokenizer *open_cased(const char *vocab_dir)
{
    const char *dir = temporary_folder();
    char path[512], command[2048];
    snprintf(path, sizeof path, "%s/tokenizer_config.json", dir);
    FILE *config = fopen(path, "w");
    fputs("{\"do_lower_case\": false}", config);
    fclose(config);
    snprintf(command, sizeof command, "cp '%s/vocab.txt' '%s/'", vocab_dir, dir);
    ck_assert_int_eq(system(command), 0);
    return open_tokenizer(dir);
}

static struct set open_set(void)
{
    return (struct set){open_tokenizer(golden("tokenizers/google-chinese")),
                        open_cased(golden("tokenizers/google-chinese")), open_tokenizer(golden("tokenizers/simbert"))};
}

static void close_set(struct set *s)
{
    sb_tokenizer_free(s->google), sb_tokenizer_free(s->google_cased), sb_tokenizer_free(s->simbert);
}

static struct sb_tokenizer *choose(const struct set *s, const cJSON *row)
{
    if (strcmp(text_of(row, "vocab"), "simbert") == 0)
        return s->simbert;
    const cJSON *lower = cJSON_GetObjectItem(row, "lower");
    return lower && cJSON_IsFalse(lower) ? s->google_cased : s->google;
}

START_TEST(wordpiece_equals_the_reference)
{
    struct set set = open_set();
    struct sb_encoding e = {0};
    FILE *file = NULL;
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, "tokenize/wordpiece.jsonl")); rows++, cJSON_Delete(row)) {
        const char *text = text_of(row, "text");
        struct sb_tokenizer *t = choose(&set, row);
        ck_assert_int_eq(sb_tokenizer_encode(t, &e, text, strlen(text), NULL, 0, 0, NULL), SB_OK);
        assert_ids(&e, cJSON_GetObjectItem(row, "ids"), text);
        const cJSON *token = cJSON_GetObjectItem(row, "tokens")->child;
        for (size_t i = 0; i < e.length; i++, token = token->next)
            ck_assert_str_eq(sb_encoding_token(&e, t, i), token->valuestring);
        if (!cJSON_IsNull(cJSON_GetObjectItem(row, "offsets")))
            assert_offsets(&e, cJSON_GetObjectItem(row, "offsets"), text);
    }
    ck_assert_int_eq(rows, 2075);
    sb_encoding_free(&e);
    close_set(&set);
}
END_TEST

START_TEST(pairs_are_cut_like_the_reference)
{
    struct set set = open_set();
    struct sb_encoding e = {0};
    FILE *file = NULL;
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, "tokenize/pairs.jsonl")); rows++, cJSON_Delete(row)) {
        bool left = strcmp(text_of(row, "truncate_from"), "left") == 0;
        const char *first = text_of(row, "first"), *second = text_of(row, "second");
        const cJSON *maxlen = cJSON_GetObjectItem(row, "maxlen");
        size_t limit = cJSON_IsNumber(maxlen) ? (size_t)maxlen->valueint : 0;
        ck_assert_int_eq(sb_tokenizer_encode_cut(choose(&set, row), &e, first, strlen(first), second,
                                                 second ? strlen(second) : 0, limit, left, NULL),
                         SB_OK);
        assert_ids(&e, cJSON_GetObjectItem(row, "ids"), first);
        const cJSON *segment = cJSON_GetObjectItem(row, "segments")->child;
        for (size_t i = 0; i < e.length; i++, segment = segment->next)
            ck_assert_int_eq(e.segments[i], segment->valueint);
    }
    ck_assert_int_eq(rows, 240);
    sb_encoding_free(&e);
    close_set(&set);
}
END_TEST

START_TEST(decoding_equals_the_reference)
{
    struct set set = open_set();
    FILE *file = NULL;
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, "tokenize/decode.jsonl")); rows++, cJSON_Delete(row)) {
        int32_t ids[1024];
        size_t n = 0;
        const cJSON *id;
        cJSON_ArrayForEach(id, cJSON_GetObjectItem(row, "ids")) ids[n++] = id->valueint;
        struct sb_buffer out = {0};
        ck_assert_int_eq(sb_tokenizer_decode(choose(&set, row), &out, ids, n, false, NULL), SB_OK);
        if (text_of(row, "text")) /* else the reference raises an error, which is not copied */
            ck_assert_str_eq(out.length ? out.data : "", text_of(row, "text"));
        sb_buffer_free(&out);
    }
    ck_assert_int_eq(rows, 416);
    close_set(&set);
}
END_TEST

START_TEST(the_simplified_vocabulary_equals_the_reference)
{
    static const char *const first[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
    struct sb_tokenizer *t = open_tokenizer(golden("tokenizers/google-chinese"));
    FILE *file = NULL;
    static const enum sb_simplify_rule rules[] = {SB_SIMPLIFY_BERT4KERAS, SB_SIMPLIFY_RELEASE};
    int32_t *keep = malloc((size_t)sb_tokenizer_vocab_size(t) * sizeof *keep);
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, "tokenize/keep_tokens.jsonl")); rows++, cJSON_Delete(row)) {
        ck_assert_int_lt(rows, 2);
        size_t kept = sb_simplify_vocabulary(keep, t, rules[rows], first, 4);
        const cJSON *ids = cJSON_GetObjectItem(row, "keep_tokens"), *id = ids->child;
        ck_assert_uint_eq(kept, (size_t)cJSON_GetArraySize(ids));
        for (size_t i = 0; i < kept; i++, id = id->next)
            ck_assert_msg(keep[i] == id->valueint, "place %zu: %d, expected %d", i, keep[i], id->valueint);
    }
    ck_assert_int_eq(rows, 2);
    free(keep);
    sb_tokenizer_free(t);
}
END_TEST

static void check_hugging_face_row(struct sb_tokenizer *t, const cJSON *row)
{
    struct sb_encoding e = {0};
    const char *text = text_of(row, "text");
    ck_assert_int_eq(sb_tokenizer_encode(t, &e, text, strlen(text), NULL, 0, 0, NULL), SB_OK);
    assert_ids(&e, cJSON_GetObjectItem(row, "ids"), text);
    const cJSON *span = cJSON_GetObjectItem(row, "offsets")->child,
                *special = cJSON_GetObjectItem(row, "special")->child;
    const cJSON *token = cJSON_GetObjectItem(row, "tokens")->child;
    for (size_t i = 0; i < e.length; i++, span = span->next, special = special->next, token = token->next) {
        bool framing = i == 0 || i + 1 == e.length; /* Hugging Face says [0, 0) there */
        ck_assert_str_eq(sb_encoding_token(&e, t, i), token->valuestring);
        if (framing)
            ck_assert_int_eq(e.offsets[i].start, -1);
        else
            ck_assert_msg(e.offsets[i].start == span->child->valueint &&
                              e.offsets[i].end == span->child->next->valueint,
                          "'%s': token %zu at [%d, %d), expected [%d, %d)", text, i, e.offsets[i].start,
                          e.offsets[i].end, span->child->valueint, span->child->next->valueint);
    }
    struct sb_buffer out = {0};
    ck_assert_int_eq(sb_tokenizer_decode(t, &out, e.ids, e.length, false, NULL), SB_OK);
    ck_assert_str_eq(out.length ? out.data : "", text_of(row, "decoded"));
    sb_buffer_free(&out);
    sb_encoding_free(&e);
}

START_TEST(tokenizer_json_equals_hugging_face)
{
    struct sb_tokenizer *t = open_tokenizer(golden("tokenizers/wordpiece-en"));
    FILE *file = NULL;
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, "tokenize/wordpiece-en.jsonl")); rows++, cJSON_Delete(row))
        check_hugging_face_row(t, row);
    ck_assert_int_eq(rows, 727);
    struct sb_encoding e = {0};
    for (cJSON *row; (row = next_row(&file, "tokenize/pairs-en.jsonl")); rows++, cJSON_Delete(row)) {
        const char *first = text_of(row, "first"), *second = text_of(row, "second");
        ck_assert_int_eq(sb_tokenizer_encode(t, &e, first, strlen(first), second, strlen(second),
                                             (size_t)cJSON_GetObjectItem(row, "maxlen")->valueint, NULL),
                         SB_OK);
        assert_ids(&e, cJSON_GetObjectItem(row, "ids"), first);
    }
    ck_assert_int_eq(rows, 807);
    sb_encoding_free(&e);
    sb_tokenizer_free(t);
}
END_TEST

/* A tokenizer.json over the Chinese vocabulary, as the tokenizers package writes it. */
static struct sb_tokenizer *open_chinese_json(bool lowercase)
{
    struct sb_tokenizer *reference = open_tokenizer(golden("tokenizers/google-chinese"));
    struct sb_buffer json = {0};
    sb_buffer_text(&json, "{\"added_tokens\":[");
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (int i = 0; i < 5; i++)
        sb_buffer_format(&json, "%s{\"id\":%d,\"content\":\"%s\",\"special\":true}", i ? "," : "",
                         sb_tokenizer_id(reference, special[i], strlen(special[i])), special[i]);
    sb_buffer_format(&json,
                     "],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
                     "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":%s},"
                     "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
                     "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":{",
                     lowercase ? "true" : "false");
    for (int32_t id = 0; id < sb_tokenizer_vocab_size(reference); id++) {
        const char *token = sb_tokenizer_token(reference, id);
        sb_buffer_text(&json, id ? "," : "");
        sb_buffer_json_string(&json, *token ? token : "\u2028", *token ? strlen(token) : 3);
        sb_buffer_format(&json, ":%d", id);
    }
    sb_buffer_text(&json, "}}}");
    char path[512];
    snprintf(path, sizeof path, "%s/tokenizer.json", temporary_folder());
    ck_assert_int_eq(sb_write_file(path, json.data, json.length, NULL), SB_OK);
    sb_buffer_free(&json);
    sb_tokenizer_free(reference);
    return open_tokenizer(path);
}

START_TEST(each_manner_keeps_its_own_answers)
{
    struct sb_tokenizer *reference = open_tokenizer(golden("tokenizers/google-chinese")), *hf = open_chinese_json(true);
    struct sb_encoding e = {0};
    FILE *file = NULL;
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, "tokenize/hf-differs.jsonl")); rows++, cJSON_Delete(row)) {
        const char *text = text_of(row, "text");
        ck_assert_int_eq(sb_tokenizer_encode(reference, &e, text, strlen(text), NULL, 0, 0, NULL), SB_OK);
        assert_ids(&e, cJSON_GetObjectItem(row, "reference"), text);
        ck_assert_int_eq(sb_tokenizer_encode(hf, &e, text, strlen(text), NULL, 0, 0, NULL), SB_OK);
        assert_ids(&e, cJSON_GetObjectItem(row, "hf"), text);
    }
    ck_assert_int_eq(rows, 29);
    sb_encoding_free(&e);
    sb_tokenizer_free(reference);
    sb_tokenizer_free(hf);
}
END_TEST

static void check_real(struct sb_tokenizer *t, const char *name)
{
    struct sb_encoding e = {0};
    FILE *file = NULL;
    int rows = 0;
    for (cJSON *row; (row = next_row(&file, name)); rows++, cJSON_Delete(row)) {
        const char *text = text_of(row, "text");
        ck_assert_int_eq(sb_tokenizer_encode(t, &e, text, strlen(text), NULL, 0, 512, NULL), SB_OK);
        assert_ids(&e, cJSON_GetObjectItem(row, "ids"), text);
    }
    ck_assert_int_eq(rows, 254);
    sb_encoding_free(&e);
    sb_tokenizer_free(t);
}

START_TEST(real_models_tokenize_like_their_references)
{
    check_real(open_tokenizer("models/simbert-small-zh"), "real/simbert-small-zh.jsonl");
    /* bge-small-zh has Google's vocabulary and keeps the case. */
    check_real(open_chinese_json(false), "real/bge-small-zh.jsonl");
}
END_TEST

/* As in a dictionary that is filled line by line. */
START_TEST(the_last_of_equal_lines_counts)
{
    scratch_text("twice/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\r\na\n");
    struct sb_tokenizer *t = open_tokenizer(scratch("twice"));
    ck_assert_int_eq(sb_tokenizer_id(t, "a", 1), 6);
    ck_assert_int_eq(sb_tokenizer_id(t, "b", 1), 5);
    sb_tokenizer_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wordpiece");
    TCase *tests = tcase_create("wordpiece");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, wordpiece_equals_the_reference);
    tcase_add_test(tests, pairs_are_cut_like_the_reference);
    tcase_add_test(tests, decoding_equals_the_reference);
    tcase_add_test(tests, the_simplified_vocabulary_equals_the_reference);
    tcase_add_test(tests, tokenizer_json_equals_hugging_face);
    tcase_add_test(tests, each_manner_keeps_its_own_answers);
    tcase_add_test(tests, real_models_tokenize_like_their_references);
    tcase_add_test(tests, the_last_of_equal_lines_counts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
