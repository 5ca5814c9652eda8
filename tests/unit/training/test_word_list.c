/*
 * Words as units of noise: the longest match, and what is read of a file.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/noise.h"
#include "training/word_list.h"

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

static struct sb_word_list *open_words(const char *text)
{
    struct sb_word_list *words;
    struct sb_error error;
    scratch_text("words.txt", text);
    enum sb_status status = sb_word_list_open(&words, scratch("words.txt"), tokenizer, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return words;
}

static struct sb_encoding encode(const char *text)
{
    struct sb_encoding encoding = {0};
    ck_assert_int_eq(sb_tokenizer_encode(tokenizer, &encoding, text, strlen(text), NULL, 0, 0, NULL), SB_OK);
    return encoding;
}

/* The units of a text, a bar behind each. */
static const char *units(const struct sb_word_list *words, const char *text, enum sb_noise_unit unit)
{
    struct sb_encoding e = encode(text);
    struct sb_noise_vocabulary vocabulary;
    struct sb_draws draws = {.seed = 1};
    struct sb_buffer shown = {0};
    size_t ends[64];
    ck_assert_int_eq(sb_noise_vocabulary_open(&vocabulary, tokenizer, true, NULL), SB_OK);
    vocabulary.words = words;
    size_t count = sb_noise_units(ends, e.ids + 1, e.length - 2, unit, &vocabulary, &draws);
    for (size_t k = 0, i = 0; k < count; k++) {
        for (; i < ends[k]; i++)
            sb_buffer_text(&shown, sb_tokenizer_token(tokenizer, e.ids[i + 1]));
        sb_buffer_text(&shown, "|");
    }
    sb_noise_vocabulary_close(&vocabulary);
    sb_encoding_free(&e);
    return keep(sb_buffer_take(&shown, NULL));
}

START_TEST(units_are_the_longest_words)
{
    struct sb_word_list *words = open_words("北京\n北京大学\n大学生\n学生 300 n\n生活\r\n我\n\nword list\tx\n");
    ck_assert_uint_eq(sb_word_list_count(words), 5); /* 我 is one token, "word list" is cut at its space to one token */
    ck_assert_str_eq(units(words, "我在北京大学生活", SB_UNIT_WORD), "我|在|北京大学|生活|");
    ck_assert_str_eq(units(words, "北京大生", SB_UNIT_WORD), "北京|大|生|");
    ck_assert_str_eq(units(words, "学生学", SB_UNIT_WORD), "学生|学|");
    ck_assert_str_eq(units(NULL, "学生学", SB_UNIT_WORD), "学|生|学|");
    ck_assert_str_eq(units(words, "学生学", SB_UNIT_TOKEN), "学|生|学|");
    sb_word_list_free(words);
}
END_TEST

/* Against all words one by one: many, with common beginnings, so that the table grows. */
START_TEST(matches_equal_a_plain_search)
{
    static const char letters[][4] = {"中", "国", "人", "大", "小", "学", "生", "心", "天", "地", "上", "下", "来"};
    enum { LETTERS = sizeof letters / sizeof *letters, WORDS = 6000 };
    struct sb_buffer text = {0};
    char (*list)[32] = calloc(WORDS, sizeof *list);
    uint32_t state = 7;
    for (int i = 0; i < WORDS; i++) {
        size_t at = 0;
        for (int k = 0; k < 2 + i % 5; k++, state = state * 1664525 + 1013904223)
            at += (size_t)snprintf(list[i] + at, sizeof *list - at, "%s", letters[(state >> 16) % LETTERS]);
        sb_buffer_format(&text, "%s\n", list[i]);
    }
    struct sb_word_list *words = open_words(text.data);
    for (int round = 0; round < 200; round++) {
        char sentence[64];
        size_t at = 0, longest = 0;
        for (int k = 0; k < 7; k++, state = state * 1664525 + 1013904223)
            at += (size_t)snprintf(sentence + at, sizeof sentence - at, "%s", letters[(state >> 16) % LETTERS]);
        for (int i = 0; i < WORDS; i++)
            if (strncmp(sentence, list[i], strlen(list[i])) == 0 && strlen(list[i]) / 3 > longest)
                longest = strlen(list[i]) / 3;
        struct sb_encoding e = encode(sentence);
        ck_assert_uint_eq(sb_word_list_match(words, e.ids + 1, e.length - 2), longest);
        sb_encoding_free(&e);
    }
    sb_word_list_free(words);
    sb_buffer_free(&text);
    free(list);
}
END_TEST

static void refuse(const char *text, const char *says)
{
    struct sb_word_list *words;
    struct sb_error error;
    scratch_text("words.txt", text);
    ck_assert_int_eq(sb_word_list_open(&words, scratch("words.txt"), tokenizer, &error), SB_INVALID);
    ck_assert_ptr_null(words);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
}

START_TEST(what_is_no_list_is_refused)
{
    struct sb_word_list *words;
    refuse("", "no line is a word");
    refuse("我\n你\n", "no line is a word");
    refuse("北京\n\xff\xfe\n", "words.txt:2");
    ck_assert_int_eq(sb_word_list_open(&words, scratch("missing.txt"), tokenizer, NULL), SB_NOT_FOUND);
    sb_word_list_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/word_list");
    TCase *tests = tcase_create("words");
    tcase_add_checked_fixture(tests, open_tokenizer, close_tokenizer);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, units_are_the_longest_words);
    tcase_add_test(tests, matches_equal_a_plain_search);
    tcase_add_test(tests, what_is_no_list_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
