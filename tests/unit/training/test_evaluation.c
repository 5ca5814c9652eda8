/* Measures against values worked out by hand, with ties, constants and nothing at all. */
#include "base/random.h"
#include "tests/unit/support.h"
#include "training/evaluation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double spearman(const float *x, const float *y, size_t n)
{
    double rho;
    ck_assert_int_eq(sb_spearman(&rho, x, y, n, NULL), SB_OK);
    return rho;
}

static double auc(const float *x, const float *y, size_t n)
{
    double area;
    ck_assert_int_eq(sb_auc(&area, x, y, n, NULL), SB_OK);
    return area;
}

START_TEST(pearson_by_hand)
{
    /* deviations -2 -1 0 1 2 and -1 -2 2 -1 2: products 2 + 2 + 0 - 1 + 4 = 7, squares 10 and 14 */
    const float x[] = {1, 2, 3, 4, 5}, y[] = {4, 3, 7, 4, 7}, down[] = {10, 8, 6, 4, 2}, constant[] = {.1f, .1f, .1f};
    ck_assert_double_eq_tol(sb_pearson(x, y, 5), 7 / sqrt(140), 1e-15);
    ck_assert_double_eq_tol(sb_pearson(x, down, 5), -1, 1e-15);
    ck_assert(isnan(sb_pearson(x, constant, 3)) && isnan(sb_pearson(constant, x, 3)));
    ck_assert(isnan(sb_pearson(x, y, 1)) && isnan(sb_pearson(x, y, 0)));
}
END_TEST

START_TEST(spearman_by_hand)
{
    /* No ties: 1 - 6 sum d^2 / (n (n^2 - 1)), ranks 1 2 3 4 5 and 2 1 4 3 5: 1 - 6 * 4 / 120 */
    const float x[] = {0, 1, 10, 100, 1000}, y[] = {7, 5, 9, 8, 11};
    ck_assert_double_eq_tol(spearman(x, y, 5), 0.8, 1e-15);
    /* Ties share their mean rank: ranks 1 2.5 2.5 4 and 1.5 1.5 3 4: Pearson of those is 3.75 / sqrt(4.5 * 4.5). */
    const float tied[] = {-1, 3, 3, 4}, other[] = {0, 0, 1, 2};
    ck_assert_double_eq_tol(spearman(tied, other, 4), 3.75 / 4.5, 1e-15);
    /* Only the order counts. */
    const float cubes[] = {-8, -1, 0, 1, 27}, line[] = {-2, -1, 0, 1, 3};
    ck_assert_double_eq_tol(spearman(cubes, line, 5), 1, 1e-15);
    ck_assert(isnan(spearman(x, (const float[]){1, 1, 1, 1, 1}, 5)) && isnan(spearman(x, y, 0)));
}
END_TEST

START_TEST(auc_by_hand)
{
    /* positives .9 .6 .4, negatives .7 .4 .1: .9 beats 3, .6 beats 2, .4 beats 1 and ties with 1: 6.5 of 9 */
    const float x[] = {.9f, .7f, .6f, .4f, .4f, .1f}, y[] = {1, 0, 1, 1, 0, 0};
    ck_assert_double_eq_tol(auc(x, y, 6), 6.5 / 9, 1e-15);
    ck_assert_double_eq_tol(auc((const float[]){1, 1, 1}, (const float[]){1, 0, 1}, 3), 0.5, 1e-15);
    ck_assert(isnan(auc(x, (const float[]){1, 1}, 2)) && isnan(auc(x, y, 0)));
}
END_TEST

static void check_best(const float *x, const float *y, size_t n, double accuracy, double threshold)
{
    double a, t;
    ck_assert_int_eq(sb_best_accuracy(&a, &t, x, y, n, NULL), SB_OK);
    ck_assert_double_eq_tol(a, accuracy, 1e-15);
    ck_assert_double_eq_tol(t, threshold, 1e-7);
    ck_assert_double_eq_tol(sb_accuracy(x, y, n, t), accuracy, 1e-15);
}

START_TEST(accuracy_by_hand)
{
    const float x[] = {.95f, .92f, .9f, .5f, .2f}, y[] = {1, 0, 1, 1, 0};
    ck_assert_double_eq_tol(sb_accuracy(x, y, 5, 0.91), 2.0 / 5, 1e-15);
    /* The threshold itself counts as below: .5 is an exact float. */
    ck_assert_double_eq_tol(sb_accuracy(x, y, 5, 0.5), 3.0 / 5, 1e-15);
    ck_assert(isnan(sb_accuracy(x, y, 0, 0.5)));
    check_best(x, y, 5, 4.0 / 5, 0.35);
    check_best(x, (const float[]){1, 1, 1, 1, 1}, 5, 1, .2 - 1);  /* all above */
    check_best(x, (const float[]){0, 0, 0, 0, 0}, 5, 1, .95 + 1); /* all below */
    check_best((const float[]){1, 1, 1, 2}, (const float[]){0, 1, 0, 1}, 4, 3.0 / 4,
               1.5);                                                           /* equal values stay together */
    check_best(x, (const float[]){.75f, .25f, .5f, .5f, 0}, 5, 4.0 / 5, 0.35); /* graded labels: from .5 up */
}
END_TEST

START_TEST(pair_measures_are_all_of_them)
{
    const float x[] = {.95f, .92f, .9f, .5f, .2f}, y[] = {1, 0, 1, 1, 0};
    struct sb_pair_measures m;
    ck_assert_int_eq(sb_measure_pairs(&m, x, y, 5, 0.9, NULL), SB_OK);
    ck_assert(m.count == 5 && m.positives == 3 && m.threshold == 0.9);
    ck_assert_double_eq(m.pearson, sb_pearson(x, y, 5));
    ck_assert_double_eq(m.spearman, spearman(x, y, 5));
    ck_assert_double_eq_tol(m.auc, 4.0 / 6, 1e-15);
    ck_assert_double_eq_tol(m.accuracy, sb_accuracy(x, y, 5, 0.9), 1e-15);
    ck_assert_double_eq_tol(m.best_accuracy, 0.8, 1e-15);
}
END_TEST

/* Against all pairs counted one by one, over many with ties. */
START_TEST(measures_of_many_values)
{
    enum { N = 500 };
    float x[N], y[N];
    double wins = 0, pairs = 0, best = 0;
    for (size_t i = 0; i < N; i++) {
        y[i] = (float)(sb_random_uniform(1, 0, i) < 0.3);
        x[i] = (float)((int)(30 * sb_random_uniform(1, 1, i)) + (y[i] > 0 ? 5 : 0)) / 16;
    }
    for (size_t i = 0; i < N; i++) {
        best = fmax(best, fmax(sb_accuracy(x, y, N, (double)x[i]), sb_accuracy(x, y, N, -1)));
        for (size_t j = 0; j < N && y[i] > 0; j++)
            if (y[j] == 0) {
                wins += x[i] > x[j] ? 1 : x[i] == x[j] ? 0.5 : 0;
                pairs++;
            }
    }
    struct sb_pair_measures m;
    ck_assert_int_eq(sb_measure_pairs(&m, x, y, N, 0.9, NULL), SB_OK);
    ck_assert_double_eq_tol(m.auc, wins / pairs, 1e-12);
    ck_assert_double_eq_tol(m.best_accuracy, best, 1e-12);
}
END_TEST

/* ---- retrieval ---- */

START_TEST(ranks_by_hand)
{
    /* Query 0 itself scores 1. Relevant: 2 (.8) and 5 (.3); candidate 4 ties with 5 and stands ahead. */
    const float scores[] = {1, .9f, .8f, .5f, .3f, .3f, .1f};
    const size_t relevant[] = {2, 5};
    size_t ranks[2];
    sb_retrieval_ranks(ranks, scores, 7, 0, relevant, 2);
    ck_assert_uint_eq(ranks[0], 2); /* behind 1 */
    ck_assert_uint_eq(ranks[1], 4); /* behind 1, 3, 4; 2 does not count */
    ck_assert_double_eq(sb_recall_at(ranks, 2, 1), 0);
    ck_assert_double_eq(sb_recall_at(ranks, 2, 2), 0.5);
    ck_assert_double_eq(sb_recall_at(ranks, 2, 4), 1);
    ck_assert_double_eq(sb_reciprocal_rank(ranks, 2), 0.5);
    sb_retrieval_ranks(ranks, scores, 7, SIZE_MAX, relevant, 2);
    ck_assert(ranks[0] == 3 && ranks[1] == 5);
    ck_assert(isnan(sb_recall_at(ranks, 0, 1)) && isnan(sb_reciprocal_rank(ranks, 0)));
}
END_TEST

/* The query itself may score below the relevant one: then leaving it out changes nothing. */
START_TEST(the_query_is_left_out_wherever_it_stands)
{
    const float scores[] = {.2f, .9f, .8f};
    const size_t relevant[] = {2};
    size_t rank;
    sb_retrieval_ranks(&rank, scores, 3, 0, relevant, 1);
    ck_assert_uint_eq(rank, 2);
    sb_retrieval_ranks(&rank, scores, 3, 1, relevant, 1);
    ck_assert_uint_eq(rank, 1);
}
END_TEST

/* ---- texts ---- */

static double distinct(size_t n, size_t count, const char *const *texts)
{
    struct sb_code_points points[8] = {0};
    double value;
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(sb_text_normalize(&points[i], texts[i], strlen(texts[i]), NULL), SB_OK);
    ck_assert_int_eq(sb_distinct(&value, points, count, n, NULL), SB_OK);
    for (size_t i = 0; i < count; i++)
        sb_code_points_free(&points[i]);
    return value;
}

START_TEST(distinct_by_hand)
{
    const char *const texts[] = {"怎么退货", "怎样退货？", "退", ""}; /* the mark at the end does not count */
    ck_assert_double_eq_tol(distinct(1, 2, texts), 5.0 / 8, 1e-15);   /* 怎 么 退 货 样 */
    ck_assert_double_eq_tol(distinct(2, 2, texts), 5.0 / 6, 1e-15);   /* 怎么 么退 退货 怎样 样退 */
    ck_assert_double_eq_tol(distinct(1, 4, texts), 5.0 / 9, 1e-15);
    ck_assert_double_eq_tol(distinct(2, 4, texts), 5.0 / 6, 1e-15);
    ck_assert_double_eq(distinct(2, 1, texts + 2), 0);
    ck_assert_double_eq(distinct(1, 0, texts), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evaluation");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, pearson_by_hand);
    tcase_add_test(tcase, spearman_by_hand);
    tcase_add_test(tcase, auc_by_hand);
    tcase_add_test(tcase, accuracy_by_hand);
    tcase_add_test(tcase, pair_measures_are_all_of_them);
    tcase_add_test(tcase, measures_of_many_values);
    tcase_add_test(tcase, ranks_by_hand);
    tcase_add_test(tcase, the_query_is_left_out_wherever_it_stands);
    tcase_add_test(tcase, distinct_by_hand);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
