#include "training/evaluation.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static enum sb_status no_memory(size_t n, struct sb_error *error)
{
    return sb_fail(error, SB_NO_MEMORY, "no memory to measure %zu values", n);
}

/* ---- sorting ---- */

/* A value and where it stood. */
struct item {
    float x;
    bool positive;
    size_t index;
};

static int compare_items(const void *a, const void *b)
{
    const struct item *first = a, *second = b;
    if (first->x != second->x)
        return first->x < second->x ? -1 : 1;
    return first->index < second->index ? -1 : first->index > second->index;
}

/* Ascending; free() it. y NULL: nothing is positive. NULL: no memory. */
static struct item *sorted(const float *x, const float *y, size_t n)
{
    struct item *items = malloc((n ? n : 1) * sizeof *items);
    for (size_t i = 0; i < n && items; i++)
        items[i] = (struct item){x[i], y && y[i] >= 0.5f, i};
    if (items)
        qsort(items, n, sizeof *items, compare_items);
    return items;
}

/* Where the run of values equal to items[start].x ends. */
static size_t run_end(const struct item *items, size_t start, size_t n)
{
    size_t end = start + 1;
    while (end < n && items[end].x == items[start].x)
        end++;
    return end;
}

/* ---- correlation ---- */

static double correlation(double xy, double xx, double yy)
{
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}

double sb_pearson(const float *x, const float *y, size_t n)
{
    double mean_x = 0, mean_y = 0, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        mean_x += (double)x[i] / (double)n;
        mean_y += (double)y[i] / (double)n;
    }
    /* A constant's deviations are only the rounding of its mean. */
    bool x_varies = false, y_varies = false;
    for (size_t i = 0; i < n; i++) {
        double dx = (double)x[i] - mean_x, dy = (double)y[i] - mean_y;
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
        x_varies |= x[i] != x[0];
        y_varies |= y[i] != y[0];
    }
    return x_varies && y_varies ? correlation(xy, xx, yy) : (double)NAN;
}

/* Twice the rank of each value minus n - 1, so that ranks are whole numbers around 0 even where values are equal. */
static enum sb_status centred_ranks(double *ranks, const float *x, size_t n, struct sb_error *error)
{
    struct item *items = sorted(x, NULL, n);
    if (!items)
        return no_memory(n, error);
    for (size_t start = 0, end; start < n; start = end) {
        end = run_end(items, start, n);
        for (size_t i = start; i < end; i++)
            ranks[items[i].index] = (double)(start + end - 1) - (double)(n - 1);
    }
    free(items);
    return SB_OK;
}

enum sb_status sb_spearman(double *rho, const float *x, const float *y, size_t n, struct sb_error *error)
{
    double *ranks = malloc((n ? 2 * n : 1) * sizeof *ranks), xy = 0, xx = 0, yy = 0;
    enum sb_status status = ranks ? centred_ranks(ranks, x, n, error) : no_memory(n, error);
    if (status == SB_OK)
        status = centred_ranks(ranks + n, y, n, error);
    for (size_t i = 0; i < n && status == SB_OK; i++) {
        xy += ranks[i] * ranks[n + i];
        xx += ranks[i] * ranks[i];
        yy += ranks[n + i] * ranks[n + i];
    }
    *rho = correlation(xy, xx, yy);
    free(ranks);
    return status;
}

/* ---- classification ---- */

enum sb_status sb_auc(double *auc, const float *x, const float *y, size_t n, struct sb_error *error)
{
    struct item *items = sorted(x, y, n);
    double wins = 0, negatives = 0, positives = 0;
    *auc = (double)NAN;
    if (!items)
        return no_memory(n, error);
    for (size_t start = 0, end; start < n; start = end) {
        double here[2] = {0, 0};
        end = run_end(items, start, n);
        for (size_t i = start; i < end; i++)
            here[items[i].positive]++;
        wins += here[1] * (negatives + here[0] / 2);
        negatives += here[0];
        positives += here[1];
    }
    if (positives > 0 && negatives > 0)
        *auc = wins / (positives * negatives);
    free(items);
    return SB_OK;
}

double sb_accuracy(const float *x, const float *y, size_t n, double threshold)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++)
        right += ((double)x[i] > threshold) == (y[i] >= 0.5f);
    return n ? (double)right / (double)n : (double)NAN;
}

enum sb_status sb_best_accuracy(double *accuracy, double *threshold, const float *x, const float *y, size_t n,
                                struct sb_error *error)
{
    struct item *items = sorted(x, y, n);
    size_t right = 0, best, start = 0;
    *accuracy = *threshold = (double)NAN;
    if (!items)
        return no_memory(n, error);
    for (size_t i = 0; i < n; i++)
        right += items[i].positive; /* a threshold below all */
    best = right;
    if (n > 0)
        *threshold = (double)items[0].x - 1;
    while (start < n) {
        size_t end = run_end(items, start, n);
        for (size_t i = start; i < end; i++)
            right = items[i].positive ? right - 1 : right + 1;
        if (right > best) {
            best = right;
            *threshold = end < n ? ((double)items[start].x + (double)items[end].x) / 2 : (double)items[start].x + 1;
        }
        start = end;
    }
    if (n > 0)
        *accuracy = (double)best / (double)n;
    free(items);
    return SB_OK;
}

enum sb_status sb_measure_pairs(struct sb_pair_measures *measures, const float *similarities, const float *labels,
                                size_t n, double threshold, struct sb_error *error)
{
    *measures = (struct sb_pair_measures){.count = n,
                                          .threshold = threshold,
                                          .pearson = sb_pearson(similarities, labels, n),
                                          .accuracy = sb_accuracy(similarities, labels, n, threshold)};
    for (size_t i = 0; i < n; i++)
        measures->positives += labels[i] >= 0.5f;
    enum sb_status status = sb_spearman(&measures->spearman, similarities, labels, n, error);
    if (status == SB_OK)
        status = sb_auc(&measures->auc, similarities, labels, n, error);
    if (status == SB_OK)
        status = sb_best_accuracy(&measures->best_accuracy, &measures->best_threshold, similarities, labels, n, error);
    return status;
}

/* ---- retrieval ---- */

void sb_retrieval_ranks(size_t *ranks, const float *scores, size_t candidates, size_t self, const size_t *relevant,
                        size_t count)
{
    for (size_t r = 0; r < count; r++) {
        float score = scores[relevant[r]];
        size_t rank = 1;
        for (size_t i = 0; i < candidates; i++)
            rank += scores[i] >= score;
        rank -= self != SIZE_MAX && scores[self] >= score;
        for (size_t other = 0; other < count; other++)
            rank -= scores[relevant[other]] >= score;
        ranks[r] = rank;
    }
}

double sb_recall_at(const size_t *ranks, size_t count, size_t k)
{
    size_t found = 0;
    for (size_t r = 0; r < count; r++)
        found += ranks[r] <= k;
    return count ? (double)found / (double)count : (double)NAN;
}

double sb_reciprocal_rank(const size_t *ranks, size_t count)
{
    size_t best = SIZE_MAX;
    for (size_t r = 0; r < count; r++)
        best = ranks[r] < best ? ranks[r] : best;
    return count ? 1 / (double)best : (double)NAN;
}

/* ---- texts ---- */

static int compare_grams(const void *a, const void *b)
{
    const uint64_t *first = a, *second = b;
    return *first < *second ? -1 : *first > *second;
}

/* Code points have 21 bits, so an n-gram of two is a number. */
static size_t gather_grams(uint64_t *grams, const struct sb_code_points *text, size_t n)
{
    size_t count = text->count >= n ? text->count - n + 1 : 0;
    for (size_t i = 0; i < count; i++) {
        grams[i] = (uint64_t)text->points[i];
        if (n == 2)
            grams[i] = grams[i] << 32 | (uint64_t)text->points[i + 1];
    }
    return count;
}

enum sb_status sb_distinct(double *distinct, const struct sb_code_points *texts, size_t count, size_t n,
                           struct sb_error *error)
{
    size_t all = 0, total = 0, different = 0;
    assert(n == 1 || n == 2);
    *distinct = 0;
    for (size_t i = 0; i < count; i++)
        all += texts[i].count;
    uint64_t *grams = malloc((all ? all : 1) * sizeof *grams);
    if (!grams)
        return no_memory(all, error);
    for (size_t i = 0; i < count; i++)
        total += gather_grams(grams + total, &texts[i], n);
    qsort(grams, total, sizeof *grams, compare_grams);
    for (size_t i = 0; i < total; i++)
        different += i == 0 || grams[i] != grams[i - 1];
    if (total > 0)
        *distinct = (double)different / (double)total;
    free(grams);
    return SB_OK;
}
