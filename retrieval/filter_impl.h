/*
 * Inside of filters. Only retrieval/filter*.c include this.
 *
 * A filter is three arrays. Tests are what is asked of one field's value; rules combine tests; steps are the fields'
 * paths as a tree, so that one walk over the metadata meets them all:
 *
 *     {"a.b": 1, "a.c": {"gt": 2, "lt": 9}}
 *
 *     steps   a ─┬─ b   tests 0         rules   AND ─┬─ TEST 0
 *                └─ c   tests 1, 2                   ├─ TEST 1
 *                                                    └─ TEST 2
 *
 * Links are indices into the arrays; SB_NONE is no link.
 */
#ifndef SB_RETRIEVAL_FILTER_IMPL_H
#define SB_RETRIEVAL_FILTER_IMPL_H

#include "retrieval/filter.h"

#include <stdint.h>

enum {
    SB_NONE = -1,
    /* Every test, its NOT, and the combining rules around: each comes with at least one member of the JSON. */
    SB_FILTER_MAX_RULES = 1024,
    SB_FILTER_MAX_STEPS = 512,
};

struct sb_filter_text {
    const char *bytes;
    size_t size;
};

enum sb_filter_test_kind { SB_TEST_IN, SB_TEST_BOUND, SB_TEST_EXISTS };

/* IN: the value is one of texts and numbers, both sorted, or one of the three constants.
   BOUND: it stands to texts[0] or numbers[0] as `above` and `or_equal` say. */
struct sb_filter_test {
    enum sb_filter_test_kind kind;
    bool has_true, has_false, has_null, above, or_equal;
    struct sb_filter_text *texts; /* the bytes lie behind the array, in the same allocation */
    size_t text_count;
    double *numbers;
    size_t number_count;
    int next; /* the next test of the same field */
};

enum sb_filter_rule_kind { SB_RULE_AND, SB_RULE_OR, SB_RULE_NOT, SB_RULE_TEST };

struct sb_filter_rule {
    enum sb_filter_rule_kind kind;
    int test;        /* TEST */
    int child, next; /* its operands are a list */
};

struct sb_filter_step {
    char *name; /* owned */
    size_t size;
    int child, next;
    int test; /* the first one that is asked of this field */
};

struct sb_filter {
    struct sb_filter_test tests[SB_FILTER_MAX_TESTS];
    struct sb_filter_rule rules[SB_FILTER_MAX_RULES];
    struct sb_filter_step steps[SB_FILTER_MAX_STEPS]; /* step 0 is the object itself */
    int test_count, rule_count, step_count;
    int fields; /* steps that have tests */
    int values;
};

/* Order by bytes, a prefix first: below 0, 0, above 0. */
int sb_filter_text_order(struct sb_filter_text a, struct sb_filter_text b);

#endif
