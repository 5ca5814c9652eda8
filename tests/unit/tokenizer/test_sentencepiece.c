/*
 * SentencePiece models against the library itself as the goldens recorded it, and segmentation against the reference.
 */
#include "base/utf8.h"
#include "tests/unit/golden_tensors.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

static struct sb_tokenizer *open_tokenizer(const char *path)
{
    struct sb_tokenizer *tokenizer;
    struct sb_error error;
    enum sb_status status = sb_tokenizer_open(&tokenizer, path, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return tokenizer;
}

static void check_encoding(struct sb_tokenizer *t, struct sb_encoding *e, const cJSON *row)
{
    const char *text = cJSON_GetObjectItem(row, "text")->valuestring;
    const cJSON *ids = cJSON_GetObjectItem(row, "ids"), *id = ids->child,
                *span = cJSON_GetObjectItem(row, "byte_spans")->child;
    ck_assert_int_eq(sb_tokenizer_encode_plain(t, e, text, strlen(text), NULL), SB_OK);
    ck_assert_int_eq((int)e->length, cJSON_GetArraySize(ids));
    for (size_t i = 0; i < e->length; i++, id = id->next, span = span->next) {
        ck_assert_int_eq(e->ids[i], id->valueint);
        ck_assert_int_eq(e->offsets[i].start, (int)sb_utf8_length(text, (size_t)span->child->valueint));
        ck_assert_int_eq(e->offsets[i].end, (int)sb_utf8_length(text, (size_t)span->child->next->valueint));
    }
}

START_TEST(sentencepiece_equals_the_library)
{
    struct sb_tokenizer *bpe = open_tokenizer(golden("tokenizers/bpe-zh")),
                        *unigram = open_tokenizer(golden("tokenizers/unigram-zh"));
    ck_assert_str_eq(sb_tokenizer_kind(bpe), "bpe");
    ck_assert_str_eq(sb_tokenizer_kind(unigram), "unigram");
    struct sb_encoding e = {0};
    void *lines = NULL;
    int rows = 0, encoded = 0;
    for (cJSON *row; (row = golden_next_line(&lines, "tokenize/sentencepiece.jsonl")); rows++, cJSON_Delete(row)) {
        struct sb_tokenizer *t = strcmp(cJSON_GetObjectItem(row, "model")->valuestring, "bpe-zh") == 0 ? bpe : unigram;
        const cJSON *text = cJSON_GetObjectItem(row, "text"), *id;
        const char *decoded = cJSON_GetObjectItem(row, "decoded")->valuestring;
        const cJSON *spans = cJSON_GetObjectItem(row, "byte_spans");
        const cJSON *last = spans && spans->child ? spans->child->prev : NULL;
        /* cJSON ends a string at \u0000; such a text is shorter than its last span */
        bool cut_at_nul = last && (size_t)last->child->next->valueint > strlen(text->valuestring);
        if (text && !cut_at_nul)
            encoded++, check_encoding(t, &e, row);
        int32_t ids[2048];
        size_t n = 0;
        cJSON_ArrayForEach(id, cJSON_GetObjectItem(row, "ids")) ids[n++] = id->valueint;
        struct sb_buffer out = {0};
        ck_assert_int_eq(sb_tokenizer_decode(t, &out, ids, n, true, NULL), SB_OK);
        ck_assert_str_eq(out.data ? out.data : "", decoded);
        sb_buffer_free(&out);
    }
    ck_assert_int_eq(rows, 1534);
    ck_assert_int_ge(encoded, 1350);
    sb_encoding_free(&e);
    sb_tokenizer_free(bpe);
    sb_tokenizer_free(unigram);
}
END_TEST

struct pieces {
    const cJSON *expected;
    const char *text;
};

static void check_piece(void *context, const char *text, size_t size)
{
    struct pieces *p = context;
    ck_assert_msg(p->expected != NULL, "'%s': one piece too many", p->text);
    ck_assert_msg(strlen(p->expected->valuestring) == size && memcmp(p->expected->valuestring, text, size) == 0,
                  "'%s': piece '%.*s', expected '%s'", p->text, (int)size, text, p->expected->valuestring);
    p->expected = p->expected->next;
}

START_TEST(segmentation_equals_the_reference)
{
    void *lines = NULL;
    int rows = 0;
    for (cJSON *row; (row = golden_next_line(&lines, "tokenize/segment.jsonl")); rows++, cJSON_Delete(row)) {
        const char *text = cJSON_GetObjectItem(row, "text")->valuestring;
        const cJSON *strips = cJSON_GetObjectItem(row, "strips");
        struct pieces pieces = {cJSON_GetObjectItem(row, "pieces")->child, text};
        ck_assert_int_eq(sb_segment_text(text, strlen(text), (size_t)cJSON_GetObjectItem(row, "maxlen")->valueint,
                                         cJSON_GetObjectItem(row, "seps")->valuestring,
                                         cJSON_IsNull(strips) ? NULL : strips->valuestring, check_piece, &pieces, NULL),
                         SB_OK);
        ck_assert_msg(pieces.expected == NULL, "'%s': a piece is missing", text);
    }
    ck_assert_int_eq(rows, 496);
}
END_TEST

static void keep_first(void *context, const char *text, size_t size)
{
    struct sb_buffer *first = context;
    if (!first->data)
        sb_buffer_bytes(first, text, size);
}

static const char *cut(struct sb_buffer *out, const char *text, size_t limit)
{
    ck_assert_int_eq(
        sb_segment_text(text, strlen(text), limit, SB_SEGMENT_SEPARATORS, SB_SEGMENT_STRIPS, keep_first, out, NULL),
        SB_OK);
    return out->data ? out->data : "";
}

static void check_training_row(struct sb_tokenizer *t, const cJSON *expected, const char *first, const char *second,
                               size_t limit)
{
    struct sb_encoding e = {0};
    ck_assert_int_eq(sb_tokenizer_encode(t, &e, first, strlen(first), second, strlen(second), limit, NULL), SB_OK);
    ck_assert_int_eq((int)e.length, cJSON_GetArraySize(expected->child));
    const cJSON *id = expected->child->child, *segment = expected->child->next->child;
    for (size_t i = 0; i < e.length; i++, id = id->next, segment = segment->next) {
        ck_assert_int_eq(e.ids[i], id->valueint);
        ck_assert_int_eq(e.segments[i], segment->valueint);
    }
    sb_encoding_free(&e);
}

/* The corpus pair becomes the two rows of the released scripts: cut by segmentation, then encoded both ways. */
START_TEST(training_rows_equal_the_reference)
{
    struct sb_tokenizer *t = open_tokenizer(golden("tokenizers/simbert"));
    void *lines = NULL;
    int rows = 0;
    for (cJSON *row; (row = golden_next_line(&lines, "tokenize/training-rows.jsonl")); rows++, cJSON_Delete(row)) {
        bool simbert = strcmp(cJSON_GetObjectItem(row, "style")->valuestring, "simbert") == 0;
        size_t characters = simbert ? 30 : 76; /* 64 * 1.2 */
        struct sb_buffer a = {0}, b = {0};
        const char *first = cut(&a, cJSON_GetObjectItem(row, "a")->valuestring, characters);
        const char *second = cut(&b, cJSON_GetObjectItem(row, "b")->valuestring, characters);
        ck_assert_str_eq(first, cJSON_GetObjectItem(row, "a_cut")->valuestring);
        ck_assert_str_eq(second, cJSON_GetObjectItem(row, "b_cut")->valuestring);
        const cJSON *both = cJSON_GetObjectItem(row, "rows");
        if (simbert) { /* RoFormer-Sim's script counts the second text without its [CLS] */
            check_training_row(t, both->child, first, second, 64);
            check_training_row(t, both->child->next, second, first, 64);
        }
        sb_buffer_free(&a);
        sb_buffer_free(&b);
    }
    ck_assert_int_eq(rows, 120);
    sb_tokenizer_free(t);
}
END_TEST

static void refuse(const char *path, enum sb_status status, const char *says)
{
    struct sb_tokenizer *t;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_tokenizer_open(&t, path, &error), status);
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
}

START_TEST(bad_files_are_refused_by_name)
{
    scratch_text("a/tokenizer.json", "{\"model\": {\"type\": \"BPE\"}}");
    refuse(scratch("a"), SB_UNSUPPORTED, "'BPE' is not supported");
    scratch_text("b/tokenizer.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 0, \"a\": 0}}}");
    refuse(scratch("b"), SB_CORRUPT, "id 0 stands twice");
    scratch_text("c/tokenizer.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 7}}}");
    refuse(scratch("c"), SB_CORRUPT, "whole number below 1");
    scratch_text("d/tokenizer.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}}");
    refuse(scratch("d"), SB_CORRUPT, "'[UNK]' is not in the vocabulary");
    scratch_text("e/tokenizer.json", "{\"model\": [");
    refuse(scratch("e"), SB_INVALID, "tokenizer.json");
    scratch_text("f/vocab.txt", "");
    refuse(scratch("f"), SB_INVALID, "0 tokens");
    scratch_text("j/vocab.txt", "[PAD]\n[UNK]\n[CLS]\na\n");
    refuse(scratch("j"), SB_CORRUPT, "'[SEP]' is not in the vocabulary");
    scratch_write("g/vocab.txt", "a\0b\n", 4);
    refuse(scratch("g"), SB_CORRUPT, "NUL");
    scratch_text("k/vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n\xff\n");
    refuse(scratch("k"), SB_CORRUPT, "malformed UTF-8 at byte 20");
    scratch_text("h/spiece.model", "this is no model");
    refuse(scratch("h"), SB_CORRUPT, "not a SentencePiece model");
    scratch_text("i/readme", "");
    refuse(scratch("i"), SB_NOT_FOUND, "holds no tokenizer");
    refuse(scratch("missing"), SB_NOT_FOUND, "missing");
}
END_TEST

START_TEST(bad_text_and_ids_are_refused)
{
    struct sb_tokenizer *wordpiece = open_tokenizer(golden("tokenizers/simbert")),
                        *bpe = open_tokenizer(golden("tokenizers/bpe-zh"));
    struct sb_encoding e = {0};
    struct sb_error error;
    struct sb_buffer out = {0};
    int32_t ids[] = {5, 13685};
    ck_assert_int_eq(sb_tokenizer_encode(wordpiece, &e, "ab\xff", 3, NULL, 0, 0, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "byte 2"));
    ck_assert(!sb_tokenizer_is_special(bpe, -1) && !sb_tokenizer_is_special(bpe, 50000) &&
              sb_tokenizer_is_special(bpe, 1));
    ck_assert_int_eq(sb_tokenizer_encode(bpe, &e, "ab\xed\xa0\x80", 5, NULL, 0, 0, &error), SB_INVALID);
    ck_assert_int_eq(sb_tokenizer_decode(wordpiece, &out, ids, 2, false, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "token id 13685 at 1"));
    ck_assert_int_eq(sb_segment_text("\xff", 1, 10, "\n", NULL, keep_first, &out, &error), SB_INVALID);
    ck_assert_int_eq(sb_tokenizer_encode(wordpiece, &e, "a\0b", 3, NULL, 0, 0, &error), SB_OK);
    ck_assert_int_eq(e.offsets[1].start, 0);
    ck_assert_int_eq(e.offsets[e.length - 2].end, 3);
    sb_buffer_free(&out);
    sb_encoding_free(&e);
    sb_tokenizer_free(wordpiece);
    sb_tokenizer_free(bpe);
}
END_TEST

/* A megabyte of one word, of spaces, of marks, and of marks out of order: linear time, no failure. */
START_TEST(huge_texts_are_linear)
{
    enum { SIZE = 1 << 20 };
    static char text[SIZE];
    struct sb_tokenizer *t = open_tokenizer(golden("tokenizers/google-chinese"));
    struct sb_encoding e = {0};
    static const char *const units[] = {"x",          " ",        "\xCC\x81",        "\xE4\xB8\xAD",
                                        "a\xCC\x81 ", "\xCE\xA3", "\xCC\x81\xCC\xA3"};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]), whole = SIZE / n * n;
        for (size_t i = 0; i < whole; i++)
            text[i] = units[u][i % n];
        ck_assert_int_eq(sb_tokenizer_encode(t, &e, text, whole, NULL, 0, 512, NULL), SB_OK);
        ck_assert_uint_le(e.length, 512);
    }
    sb_encoding_free(&e);
    sb_tokenizer_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tests = tcase_create("tokenizer");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, sentencepiece_equals_the_library);
    tcase_add_test(tests, segmentation_equals_the_reference);
    tcase_add_test(tests, training_rows_equal_the_reference);
    tcase_add_test(tests, bad_files_are_refused_by_name);
    tcase_add_test(tests, bad_text_and_ids_are_refused);
    tcase_add_test(tests, huge_texts_are_linear);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
