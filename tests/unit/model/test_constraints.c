/*
 * Forced words: how a list of words is kept track of. (The searches that use it: test_beam.c.)
 */
#include "model/constraints.h"
#include "tests/unit/support.h"

/* Word 0: 1 2 3, word 1: 4, word 2: 1 5. */
static const int32_t ids[] = {1, 2, 3, 4, 1, 5};
static const size_t ends[] = {3, 4, 6};
static const struct sb_token_lists words = {ids, ends, 3};

static struct sb_constraint_state after(const int32_t *tokens, size_t n)
{
    struct sb_constraint_state state;
    sb_constraints_replay(&state, &words, tokens, n);
    return state;
}

static void assert_next(const struct sb_constraint_state *state, const int32_t *expected, size_t n)
{
    int32_t tokens[SB_MAX_FORCE_WORDS];
    ck_assert_uint_eq(sb_constraints_next(state, &words, tokens), n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(tokens[i], expected[i]);
}

START_TEST(words_in_any_order)
{
    struct sb_constraint_state s = after((int32_t[]){9, 4, 9, 1, 2, 3, 1}, 7);
    ck_assert(!sb_constraints_met(&s, &words));
    ck_assert_uint_eq(s.met_count, 2);
    assert_next(&s, (int32_t[]){5}, 1);
    sb_constraints_push(&s, &words, 5);
    ck_assert(sb_constraints_met(&s, &words));
    s = after((int32_t[]){1, 2, 3, 1, 5, 4, 9}, 7);
    ck_assert(sb_constraints_met(&s, &words));
}
END_TEST

START_TEST(a_broken_word_goes_to_the_end_of_the_list)
{
    struct sb_constraint_state s = after(NULL, 0);
    assert_next(&s, (int32_t[]){1, 4, 1}, 3);
    s = after((int32_t[]){1, 2}, 2);
    assert_next(&s, (int32_t[]){3}, 1);
    s = after((int32_t[]){1, 2, 9}, 3);
    assert_next(&s, (int32_t[]){4, 1, 1}, 3);
    /* Word 2 is now the first that begins with 1. */
    sb_constraints_push(&s, &words, 1);
    assert_next(&s, (int32_t[]){5}, 1);
    /* The token that breaks a word begins no other, even if it could. */
    s = after((int32_t[]){1, 4}, 2);
    ck_assert_uint_eq(s.met_count, 0);
    assert_next(&s, (int32_t[]){4, 1, 1}, 3);
}
END_TEST

START_TEST(banks)
{
    static const struct {
        int32_t tokens[8];
        size_t n, bank;
    } cases[] = {
        {{9}, 1, 0},
        {{1}, 1, 1}, /* 3 - 2 missing */
        {{1, 2}, 2, 2},
        {{1, 2, 3}, 3, 3},
        {{4}, 1, 3},                 /* a whole word counts as the longest */
        {{4, 1, 2, 3, 1}, 5, 6 + 2}, /* 3 - 1 missing */
        {{4, 1, 2, 3, 1, 5}, 6, 9},
        {{1, 2, 9}, 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_constraint_state s = after(cases[i].tokens, cases[i].n);
        ck_assert_uint_eq(sb_constraints_bank(&s, &words), cases[i].bank);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("constraints");
    TCase *tcase = tcase_create("forced words");
    tcase_add_test(tcase, words_in_any_order);
    tcase_add_test(tcase, a_broken_word_goes_to_the_end_of_the_list);
    tcase_add_test(tcase, banks);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
