/* Terms of mixed text, BM25 against its formula over every document, changes that the index follows, and fusion. */
#include "retrieval/fusion.h"
#include "retrieval/search_text.h"
#include "retrieval/terms.h"
#include "tests/unit/retrieval/fixture.h"

#include <math.h>

static size_t terms_of(sb_term *out, const char *text)
{
    struct sb_terms terms = sb_terms_of(text, strlen(text));
    size_t n = 0;
    while (sb_terms_next(&terms, &out[n]))
        n++;
    return n;
}

static void same_terms(const char *a, const char *b)
{
    sb_term x[64], y[64];
    size_t n = terms_of(x, a), m = terms_of(y, b);
    ck_assert_msg(n == m && memcmp(x, y, n * sizeof *x) == 0, "'%s' and '%s' have different terms", a, b);
}

START_TEST(pairs_and_words)
{
    sb_term t[64], u[64];
    ck_assert_uint_eq(terms_of(t, ""), 0);
    ck_assert_uint_eq(terms_of(t, "，。 !"), 0);
    ck_assert_uint_eq(terms_of(t, "怎么退货"), 3);
    ck_assert_uint_eq(terms_of(t, "退"), 1);
    ck_assert_int_eq(sb_term_character(t[0]), 0x9000);
    ck_assert_uint_eq(terms_of(t, "退货，退"), 2);
    ck_assert(sb_term_holds(t[0], 0x9000) && sb_term_holds(t[0], 0x8D27) && !sb_term_holds(t[0], 0x8D28));
    ck_assert_int_eq(sb_term_character(t[0]), 0);
    ck_assert_uint_eq(terms_of(t, "iPhone15怎么退货 OK"), 5);
    ck_assert_uint_eq(terms_of(u, "iphone15"), 1);
    ck_assert_uint_eq(t[0], u[0]);
    same_terms("ＡＢＣ１２３", "abc123");
    same_terms("怎么/退货", "怎么 退货");
    same_terms("ÄÖ", "äö");
    ck_assert_uint_eq(terms_of(t, "한국어"), 2);
    ck_assert_uint_eq(terms_of(t, "\xFF怎么\x80"), 1); /* what is not UTF-8 separates */
}
END_TEST

static const char *const texts[] = {"怎么申请退货", "退货要多久",     "花呗怎么还款", "今天天气不错",
                                    "退货退款退货", "iPhone 15 价格", "退",           "天气 weather"};
enum { TEXTS = sizeof texts / sizeof *texts };

/* BM25 of a text for a query, by the formula. */
static double bm25(const char *query, size_t text)
{
    sb_term q[64], t[64];
    size_t n = terms_of(q, query), lengths = 0;
    double score = 0;
    for (size_t d = 0; d < TEXTS; d++)
        lengths += terms_of(t, texts[d]);
    for (size_t i = 0; i < n; i++) {
        size_t documents = 0, frequency = 0, length = 0;
        for (size_t d = 0; d < TEXTS; d++) {
            size_t m = terms_of(t, texts[d]), f = 0;
            for (size_t j = 0; j < m; j++)
                f += t[j] == q[i];
            documents += f > 0;
            if (d == text) {
                frequency = f;
                length = m;
            }
        }
        double idf = log(1 + (TEXTS - (double)documents + 0.5) / ((double)documents + 0.5));
        double norm = 1.2 * (0.25 + 0.75 * (double)length * TEXTS / (double)lengths);
        score += idf * (double)frequency * 2.2 / ((double)frequency + norm);
    }
    return score;
}

static void put_text(struct sb_store *store, size_t i, const char *text)
{
    char id[16];
    snprintf(id, sizeof id, "%zu", i);
    ck_assert_int_eq(put(store, "c", sentence(id, text, i), NULL), SB_OK);
}

static struct sb_search_results find(struct sb_store *store, const char *query, size_t top_k)
{
    struct sb_text_query text = {query, strlen(query)};
    struct sb_text_search search = {.texts = &text, .queries = 1, .top_k = top_k};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search_text(store, "c", &search, &results, NULL), SB_OK);
    return results;
}

START_TEST(scores_are_bm25)
{
    struct sb_store *store = open_with("bm25.db", "c");
    for (size_t i = 0; i < TEXTS; i++)
        put_text(store, i, texts[i]);
    const char *const queries[] = {"怎么退货", "IPHONE", "天气", "退货退货", "weather 天气"};
    for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
        struct sb_search_results results = find(store, queries[q], 100);
        size_t expected = 0;
        for (size_t i = 0; i < TEXTS; i++)
            expected += bm25(queries[q], i) > 0;
        ck_assert_uint_eq(results.ends[0], expected);
        for (size_t i = 0; i < results.ends[0]; i++) {
            const struct sb_match *match = &results.matches[i];
            ck_assert_double_eq_tol(match->score, bm25(queries[q], (size_t)atoi(match->sentence.id)), 1e-5);
            ck_assert(i == 0 || match[-1].score >= match->score);
        }
        sb_search_results_free(&results);
    }
    sb_store_close(store);
}
END_TEST

static void found(struct sb_store *store, const char *query, size_t count)
{
    struct sb_search_results results = find(store, query, 1000);
    ck_assert_msg(results.ends[0] == count, "'%s': %zu found, not %zu", query, results.ends[0], count);
    sb_search_results_free(&results);
}

START_TEST(one_character_finds_its_pairs)
{
    struct sb_store *store = open_with("character.db", "c");
    for (size_t i = 0; i < TEXTS; i++)
        put_text(store, i, texts[i]);
    found(store, "退", 4);
    found(store, "气", 2);
    found(store, "无", 0);
    sb_store_close(store);
}
END_TEST

START_TEST(changes_are_followed)
{
    struct sb_store *store = open_with("changes.db", "c");
    const char *id = "0";
    found(store, "退货", 0);
    for (size_t i = 0; i < TEXTS; i++)
        put_text(store, i, texts[i]);
    found(store, "退货", 3);
    put_text(store, 0, "明天会下雨吗");
    put_text(store, 0, "明天会下雪吗");
    found(store, "退货", 2);
    found(store, "下雨", 0);
    found(store, "下雪", 1);
    ck_assert_int_eq(sb_store_delete(store, "c", &id, 1, NULL, NULL), SB_OK);
    found(store, "下雪", 0);
    put_text(store, 0, "退货");
    found(store, "退货", 3);
    /* More rows die than live: rows close up, and most documents are dead more than once. */
    for (size_t i = 100; i < 3100; i++)
        put_text(store, i, "怎么退货");
    found(store, "退货", 1000);
    for (size_t i = 100; i < 3100; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu", i);
        id = name;
        ck_assert_int_eq(sb_store_delete(store, "c", &id, 1, NULL, NULL), SB_OK);
        if (i % 500 == 0)
            found(store, "花呗", 1);
    }
    found(store, "退货", 3);
    sb_store_close(store);
}
END_TEST

static bool is_seven(void *context, const struct sb_sentence *s)
{
    ++*(size_t *)context;
    return strcmp(s->id, "7") == 0;
}

START_TEST(filters_and_bounds)
{
    struct sb_store *store = open_with("bounds.db", "c");
    for (size_t i = 0; i < TEXTS; i++)
        put_text(store, i, texts[i]);
    struct sb_text_query text = {"天气", strlen("天气")};
    size_t asked = 0;
    struct sb_text_search search = {.texts = &text, .queries = 1, .top_k = 1, .keep = is_seven, .keep_context = &asked};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search_text(store, "c", &search, &results, NULL), SB_OK);
    ck_assert_uint_eq(results.ends[0], 1);
    ck_assert_str_eq(results.matches[0].sentence.id, "7");
    ck_assert_uint_eq(asked, 2);
    sb_search_results_free(&results);
    search.min_score = 1000;
    ck_assert_int_eq(sb_store_search_text(store, "c", &search, &results, NULL), SB_OK);
    ck_assert_uint_eq(results.ends[0], 0);
    sb_search_results_free(&results);
    search.top_k = 0;
    ck_assert_int_eq(sb_store_search_text(store, "c", &search, &results, NULL), SB_INVALID);
    search.top_k = 1001;
    ck_assert_int_eq(sb_store_search_text(store, "c", &search, &results, NULL), SB_INVALID);
    search.top_k = 1;
    ck_assert_int_eq(sb_store_search_text(store, "none", &search, &results, NULL), SB_NOT_FOUND);
    sb_store_close(store);
}
END_TEST

START_TEST(fusion_by_reciprocal_ranks)
{
    struct sb_match a[] = {{{.id = "x"}, 0.9}, {{.id = "y"}, 0.8}, {{.id = "q"}, 1}};
    struct sb_match b[] = {{{.id = "z"}, 7}, {{.id = "y"}, 6}, {{.id = "x"}, 5}};
    size_t ends_a[] = {2, 3}, ends_b[] = {3, 3};
    struct sb_search_results left = {a, ends_a, 2, NULL}, right = {b, ends_b, 2, NULL}, fused;
    ck_assert_int_eq(sb_fuse(&fused, &left, &right, 2, NULL), SB_OK);
    ck_assert_uint_eq(fused.queries, 2);
    ck_assert_uint_eq(fused.ends[0], 2);
    ck_assert_uint_eq(fused.ends[1], 3);
    ck_assert_str_eq(fused.matches[0].sentence.id, "x"); /* 1/61 + 1/63 > 2/62 */
    ck_assert_double_eq_tol(fused.matches[0].score, 1.0 / 61 + 1.0 / 63, 1e-12);
    ck_assert_str_eq(fused.matches[1].sentence.id, "y");
    ck_assert_double_eq_tol(fused.matches[1].score, 2.0 / 62, 1e-12);
    ck_assert_str_eq(fused.matches[2].sentence.id, "q");
    sb_search_results_free(&fused);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lexical");
    TCase *tests = tcase_create("lexical");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, pairs_and_words);
    tcase_add_test(tests, scores_are_bm25);
    tcase_add_test(tests, one_character_finds_its_pairs);
    tcase_add_test(tests, changes_are_followed);
    tcase_add_test(tests, filters_and_bounds);
    tcase_add_test(tests, fusion_by_reciprocal_ranks);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
