#include "model/sampling.h"

#include "model/logits_scan.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static bool better(const struct sb_distribution *d, size_t a, size_t b)
{
    return d->logits[a] > d->logits[b] || (d->logits[a] == d->logits[b] && d->ids[a] < d->ids[b]);
}

static void swap(struct sb_distribution *d, size_t a, size_t b)
{
    float logit = d->logits[a];
    int32_t id = d->ids[a];
    d->logits[a] = d->logits[b];
    d->ids[a] = d->ids[b];
    d->logits[b] = logit;
    d->ids[b] = id;
}

/* Restores the heap of the first n tokens, the worst on top, from place i down. */
static void sift_down(struct sb_distribution *d, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(d, child, child + 1))
            child++;
        if (better(d, child, i))
            return;
        swap(d, i, child);
    }
}

static void heapify(struct sb_distribution *d)
{
    for (size_t i = d->count / 2; i-- > 0;)
        sift_down(d, d->count, i);
}

/* The k best of row, the best first: a newcomer replaces the worst, which is on top of a heap. */
static void keep_best(struct sb_distribution *d, const float *row, size_t n, size_t k)
{
    float threshold = -INFINITY;
    d->count = 0;
    for (size_t i = sb_find_above(row, n, 0, threshold); i < n; i = sb_find_above(row, n, i + 1, threshold)) {
        size_t at = d->count < k ? d->count++ : 0;
        d->logits[at] = row[i];
        d->ids[at] = (int32_t)i;
        if (d->count < k)
            continue;
        if (at == 0)
            sift_down(d, k, 0);
        else
            heapify(d);
        threshold = d->logits[0];
    }
    if (d->count < k)
        heapify(d);
    for (size_t end = d->count; end > 1; end--) { /* the worst goes last */
        swap(d, 0, end - 1);
        sift_down(d, end - 1, 0);
    }
}

/* Every token above the threshold, in order of id. */
static void collect(struct sb_distribution *d, const float *row, size_t n, float threshold)
{
    d->count = 0;
    for (size_t i = sb_find_above(row, n, 0, threshold); i < n; i = sb_find_above(row, n, i + 1, threshold)) {
        d->logits[d->count] = row[i];
        d->ids[d->count++] = (int32_t)i;
    }
}

/* Fills weights and total. Differences are divided by the temperature, not logits: the largest cannot overflow. */
static void weigh(struct sb_distribution *d, float largest, double temperature)
{
    d->total = 0;
    for (size_t i = 0; i < d->count; i++)
        d->total += d->weights[i] = exp((double)(d->logits[i] - largest) / temperature);
}

/* Of a distribution in order, the best first: cuts what is not needed to reach the sum of weights `needed`. */
static void cut(struct sb_distribution *d, double needed)
{
    double sum = 0;
    size_t kept = 0;
    while (kept < d->count && sum < needed)
        sum += d->weights[kept++];
    d->count = kept;
    d->total = sum;
}

static void swap_weighed(struct sb_distribution *d, size_t a, size_t b)
{
    double weight = d->weights[a];
    d->weights[a] = d->weights[b];
    d->weights[b] = weight;
    swap(d, a, b);
}

/* Brings what is better than a pivot to the front of [low, high), the pivot behind it; returns its place and the weight
   of what lies before it. */
static size_t partition(struct sb_distribution *d, size_t low, size_t high, double *before)
{
    size_t end = low;
    *before = 0;
    swap_weighed(d, low + (high - low) / 2, high - 1);
    for (size_t i = low; i < high - 1; i++)
        if (better(d, i, high - 1)) {
            *before += d->weights[i];
            swap_weighed(d, i, end++);
        }
    swap_weighed(d, end, high - 1);
    return end;
}

/* Keeps the fewest tokens whose weights reach `needed`, in no order: a quickselect by weight. */
static void select_nucleus(struct sb_distribution *d, double needed)
{
    size_t low = 0, high = d->count; /* what lies before low is kept, what lies from high on is not */
    double sum = 0, before;          /* sum: the weight of what is kept */
    while (low < high && sum < needed) {
        size_t pivot = partition(d, low, high, &before);
        if (sum + before >= needed) {
            high = pivot;
        } else {
            sum += before + d->weights[pivot];
            low = pivot + 1;
        }
    }
    d->count = low;
    d->total = sum;
}

/* The nucleus of the whole vocabulary at temperature 1. all: the sum of exp(x - largest) over row. */
static void keep_nucleus(struct sb_distribution *d, const float *row, size_t n, double top_p, float largest, double all)
{
    static const float windows[] = {6, 12, 24, INFINITY};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        collect(d, row, n, largest - windows[i]);
        weigh(d, largest, 1);
        if (d->total >= top_p * all)
            break;
    }
    select_nucleus(d, top_p * all);
}

/* row = (row - largest) / temperature. */
static void scale(float *row, size_t n, float largest, double temperature)
{
    float t = temperature > (double)FLT_MIN ? (float)temperature : FLT_MIN;
    for (size_t i = 0; i < n; i++)
        row[i] = (row[i] - largest) / t;
}

void sb_distribution_make(struct sb_distribution *distribution, float *row, size_t n,
                          const struct sb_decode_options *options, const struct sb_kernels *kernels)
{
    struct sb_distribution *d = distribution;
    if (options->top_k > 0) {
        keep_best(d, row, n, (size_t)options->top_k);
        weigh(d, d->count ? d->logits[0] : 0, options->temperature);
        if (options->top_p < 1)
            cut(d, options->top_p * d->total);
        return;
    }
    float largest, log_sum;
    kernels->log_sum_exp(&largest, &log_sum, row, n);
    d->count = 0;
    if (!(largest > -INFINITY)) /* nothing is possible */
        return;
    if (options->temperature != 1) {
        scale(row, n, largest, options->temperature);
        kernels->log_sum_exp(&largest, &log_sum, row, n);
    }
    if (options->top_p < 1) {
        keep_nucleus(d, row, n, options->top_p, largest, exp((double)log_sum));
    } else {
        collect(d, row, n, -INFINITY);
        weigh(d, largest, 1);
    }
}

size_t sb_distribution_draw(const struct sb_distribution *distribution, double u)
{
    double left = u * distribution->total;
    size_t i = 0;
    while (i + 1 < distribution->count && (left -= distribution->weights[i]) >= 0)
        i++;
    return i;
}
