/* Vocabularies of words: runs of ideographs become the longest words of the vocabulary. And which file says what the case is. */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <string.h>

/* The layout of the released word vocabularies: special tokens, characters, words by length, pieces. */
static const char *const words[] = {"[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "t",   "恤",
                                    "今",    "天",        "气",    "很",    "好",    "我",     "，",  "abc",
                                    "今天",  "天气",      "我们",  "很好",  "中华",  "人民",   "t恤", "中华人民共和国",
                                    "##d",   "##今"};
enum { WORDS = sizeof words / sizeof *words };

static struct sb_tokenizer *open_ok(const char *path)
{
    struct sb_tokenizer *tokenizer;
    struct sb_error error;
    ck_assert_msg(sb_tokenizer_open(&tokenizer, path, &error) == SB_OK, "%s", error.message);
    return tokenizer;
}

static struct sb_tokenizer *open_words(void)
{
    struct sb_buffer text = {0};
    for (int i = 0; i < WORDS; i++)
        sb_buffer_format(&text, "%s\n", words[i]);
    scratch_text("m/vocab.txt", text.data);
    sb_buffer_free(&text);
    return open_ok(scratch("m"));
}

/* The same vocabulary as Hugging Face's file. */
static struct sb_tokenizer *open_words_json(void)
{
    struct sb_buffer text = {0};
    sb_buffer_text(&text,
                   "{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true},\"pre_tokenizer\":{\"type\":"
                   "\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":{");
    for (int i = 0; i < WORDS; i++)
        sb_buffer_format(&text, "%s\"%s\":%d", i ? "," : "", words[i], i);
    sb_buffer_text(&text, "}}}");
    scratch_text("j/tokenizer.json", text.data);
    sb_buffer_free(&text);
    return open_ok(scratch("j"));
}

/* Tokens with their places, "今天(0,2) [UNK](2,3)". */
static void describe(struct sb_buffer *out, const struct sb_tokenizer *tokenizer, const char *text)
{
    struct sb_encoding encoding = {0};
    struct sb_error error;
    sb_buffer_reset(out);
    ck_assert_msg(sb_tokenizer_encode_plain(tokenizer, &encoding, text, strlen(text), &error) == SB_OK, "%s",
                  error.message);
    for (size_t i = 0; i < encoding.length; i++)
        sb_buffer_format(out, "%s%s(%d,%d)", i ? " " : "", sb_tokenizer_token(tokenizer, encoding.ids[i]),
                         encoding.offsets[i].start, encoding.offsets[i].end);
    sb_encoding_free(&encoding);
}

static const struct {
    const char *text, *tokens;
} cases[] = {
    {"今天天气很好", "今天(0,2) 天气(2,4) 很好(4,6)"},
    {"我今天，天气", "我(0,1) 今天(1,3) ，(3,4) 天气(4,6)"},
    {"今 天", "今(0,1) 天(2,3)"}, /* a space ends a word */
    {"中华人民共和国我们", "中华人民共和国(0,7) 我们(7,9)"},
    {"中华人民我", "中华(0,2) 人民(2,4) 我(4,5)"}, /* the longest word does not match: shorter ones do */
    {"今天今天气", "今天(0,2) 今天(2,4) 气(4,5)"}, /* from the left: not 今 天气 */
    {"今天龘气", "今天(0,2) [UNK](2,3) 气(3,4)"},  /* an unknown ideograph is unknown alone */
    {"龘", "[UNK](0,1)"},
    {"ABCd今天", "abc(0,3) ##d(3,4) 今天(4,6)"},
    {"xyz今天", "[UNK](0,3) 今天(3,5)"},
    {"T恤今天", "t(0,1) 恤(1,2) 今天(2,4)"}, /* words of ideographs alone */
    {"", ""},
};

START_TEST(the_longest_words_from_the_left)
{
    struct sb_tokenizer *tokenizers[] = {open_words(), open_words_json()};
    struct sb_buffer found = {0};
    for (int k = 0; k < 2; k++) {
        ck_assert(sb_tokenizer_joins_ideographs(tokenizers[k]));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            describe(&found, tokenizers[k], cases[i].text);
            ck_assert_str_eq(found.length ? found.data : "", cases[i].tokens);
        }
        sb_tokenizer_free(tokenizers[k]);
    }
    sb_buffer_free(&found);
}
END_TEST

START_TEST(shown_cut_and_decoded)
{
    struct sb_tokenizer *tokenizer = open_words();
    struct sb_encoding encoding = {0};
    struct sb_buffer text = {0};
    static const char sentence[] = "今天天气很好，我们abcd", unknown[] = "今天龘";
    ck_assert_int_eq(sb_tokenizer_encode(tokenizer, &encoding, unknown, strlen(unknown), NULL, 0, 0, NULL), SB_OK);
    ck_assert_str_eq(sb_encoding_token(&encoding, tokenizer, 2), "龘");
    ck_assert_int_eq(sb_tokenizer_encode(tokenizer, &encoding, sentence, strlen(sentence), NULL, 0, 0, NULL), SB_OK);
    ck_assert_uint_eq(encoding.length, 9);
    ck_assert_int_eq(sb_tokenizer_decode(tokenizer, &text, encoding.ids, encoding.length, false, NULL), SB_OK);
    ck_assert_str_eq(text.data, sentence);
    ck_assert_int_eq(sb_tokenizer_encode(tokenizer, &encoding, sentence, strlen(sentence), NULL, 0, 4, NULL), SB_OK);
    ck_assert_uint_eq(encoding.length, 4);
    ck_assert(encoding.truncated);
    ck_assert_str_eq(sb_tokenizer_token(tokenizer, encoding.ids[2]), "天气");
    sb_encoding_free(&encoding);
    sb_buffer_free(&text);
    sb_tokenizer_free(tokenizer);
}
END_TEST

/* A tenth of the vocabulary decides. Characters alone, as the "char" models have them, are no words. */
START_TEST(what_a_vocabulary_of_words_is)
{
    for (int total = 39; total <= 40; total++) {
        struct sb_buffer text = {0}, found = {0};
        sb_buffer_text(&text, "[UNK]\n[CLS]\n[SEP]\n今天\n天气\n我们\n中华\n");
        for (int i = 7; i < total; i++)
            sb_buffer_format(&text, "x%d\n", i);
        scratch_text("v/vocab.txt", text.data);
        struct sb_tokenizer *tokenizer = open_ok(scratch("v"));
        describe(&found, tokenizer, "今天");
        ck_assert_int_eq(sb_tokenizer_joins_ideographs(tokenizer), total == 39);
        ck_assert_str_eq(found.data, total == 39 ? "今天(0,2)" : "[UNK](0,1) [UNK](1,2)");
        sb_tokenizer_free(tokenizer);
        sb_buffer_free(&text);
        sb_buffer_free(&found);
    }
    static const char *const characters[] = {"tokenizers/google-chinese", "tokenizers/simbert", "models/tiny-roformer",
                                             "tokenizers/unigram-zh"};
    for (size_t i = 0; i < sizeof characters / sizeof *characters; i++) {
        struct sb_tokenizer *tokenizer = open_ok(golden(characters[i]));
        ck_assert(!sb_tokenizer_joins_ideographs(tokenizer));
        sb_tokenizer_free(tokenizer);
    }
}
END_TEST

/* bert_config.json, config.json, tokenizer_config.json: the last one that says it. */
START_TEST(case_by_config)
{
    static const char *const names[] = {"m/bert_config.json", "m/config.json", "m/tokenizer_config.json"};
    struct sb_buffer found = {0};
    for (int i = 0; i < 3; i++) {
        bool lower = i == 1;
        scratch_text(names[i], lower ? "{\"do_lower_case\":true}" : "{\"do_lower_case\":false}");
        struct sb_tokenizer *tokenizer = open_words();
        describe(&found, tokenizer, "ABC");
        ck_assert_str_eq(found.data, lower ? "abc(0,3)" : "[UNK](0,3)");
        sb_tokenizer_free(tokenizer);
    }
    sb_buffer_free(&found);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer/words");
    TCase *tests = tcase_create("words");
    tcase_add_test(tests, the_longest_words_from_the_left);
    tcase_add_test(tests, shown_cut_and_decoded);
    tcase_add_test(tests, what_a_vocabulary_of_words_is);
    tcase_add_test(tests, case_by_config);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
