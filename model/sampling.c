#include "model/sampling.h"

#define SB_VECTOR_BYTES 16 /* what every processor has */
#include "kernels/vector_math.h"
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

/* Every token above the threshold, in order of id. Behind the first one found the rest of its block is copied without branches: where
   one is, many are. */
static void collect(struct sb_distribution *d, const float *row, size_t n, float threshold)
{
    d->count = 0;
    for (size_t i = 0; (i = sb_find_above(row, n, i, threshold)) < n;) {
        size_t end = (i / SB_SCAN_BLOCK + 1) * SB_SCAN_BLOCK;
        for (; i < end && i < n; i++) {
            d->logits[d->count] = row[i];
            d->ids[d->count] = (int32_t)i;
            d->count += row[i] > threshold;
        }
    }
}

/* Fills weights and total, of a few tokens. Differences are divided by the temperature, not logits: the largest cannot overflow. */
static void weigh(struct sb_distribution *d, float largest, double temperature)
{
    d->total = 0;
    for (size_t i = 0; i < d->count; i++)
        d->total += d->weights[i] = exp((double)(d->logits[i] - largest) / temperature);
}

/* Four chains hide the latency of the addition. */
static double sum_weights(const struct sb_distribution *d, size_t from, size_t end)
{
    double sums[4] = {0};
    size_t i = from;
    for (; i + 4 <= end; i += 4)
        for (size_t j = 0; j < 4; j++)
            sums[j] += d->weights[i + j];
    for (; i < end; i++)
        sums[0] += d->weights[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* weigh() at temperature 1, of many tokens. */
static void weigh_many(struct sb_distribution *d, float largest)
{
    typedef double four_doubles __attribute__((vector_size(4 * sizeof(double)), aligned(8), may_alias));
    size_t i = 0;
    for (; i + SB_LANES <= d->count; i += SB_LANES)
        *(four_doubles *)(d->weights + i) =
            __builtin_convertvector(vec_exp(vec_load(d->logits + i) - largest), four_doubles);
    for (; i < d->count; i++)
        d->weights[i] = exp((double)(d->logits[i] - largest));
    d->total = sum_weights(d, 0, d->count);
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

/* Brings what is better than the pivot to the front of [low, high), the pivot behind it; returns its place. What is on the right side
   already stays: of a nucleus that is nearly everything, little moves. */
static size_t partition(struct sb_distribution *d, size_t low, size_t high, size_t pivot)
{
    size_t left = low, right = high - 1; /* [low, left) is better, [right, high - 1) is not, the pivot is last */
    swap_weighed(d, pivot, high - 1);
    for (;;) {
        while (left < right && better(d, left, high - 1))
            left++;
        while (left < right && !better(d, right - 1, high - 1))
            right--;
        if (left == right)
            break;
        swap_weighed(d, left++, --right);
    }
    swap_weighed(d, left, high - 1);
    return left;
}

/* A token of [low, high) before which, the best first, lies somewhat less than the fraction of the weight: judged by a sample of
   tokens at even distances, sorted. */
static size_t choose_pivot(const struct sb_distribution *d, size_t low, size_t high, double fraction)
{
    enum { SAMPLE = 64 };
    size_t sample[SAMPLE], step = (high - low) / SAMPLE;
    double total = 0, sum = 0;
    if (step < 4)
        return low + (high - low) / 2;
    for (size_t i = 0; i < SAMPLE; i++) {
        size_t token = low + i * step, at = i;
        for (; at > 0 && better(d, token, sample[at - 1]); at--)
            sample[at] = sample[at - 1];
        sample[at] = token;
        total += d->weights[token];
    }
    size_t i = 0;
    while (i + 1 < SAMPLE && (sum += d->weights[sample[i]]) < (fraction - 0.05) * total)
        i++;
    return sample[i];
}

/* Keeps the fewest tokens whose weights reach `needed`, in no order: a quickselect by weight. */
static void select_nucleus(struct sb_distribution *d, double needed)
{
    size_t low = 0, high = d->count;  /* what lies before low is kept, what lies from high on is not */
    double kept = 0, open = d->total; /* the weights of what is kept, and of [low, high) */
    while (low < high && kept < needed) {
        size_t pivot = partition(d, low, high, choose_pivot(d, low, high, (needed - kept) / open));
        double before = sum_weights(d, low, pivot);
        if (kept + before >= needed) {
            high = pivot;
            open = before;
        } else {
            kept += before + d->weights[pivot];
            open -= before + d->weights[pivot];
            low = pivot + 1;
        }
    }
    d->count = low;
    d->total = kept;
}

/* The nucleus of the whole vocabulary at temperature 1. all: the sum of exp(x - largest) over row. */
static void keep_nucleus(struct sb_distribution *d, const float *row, size_t n, double top_p, float largest, double all)
{
    static const float windows[] = {6, 12, 24, INFINITY};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        collect(d, row, n, largest - windows[i]);
        weigh_many(d, largest);
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
        weigh_many(d, largest);
    }
}

/* Whole blocks are passed by their sum, then single tokens. */
size_t sb_distribution_draw(const struct sb_distribution *distribution, double u)
{
    enum { BLOCK = 16 };
    double left = u * distribution->total, block;
    size_t i = 0;
    for (; i + BLOCK < distribution->count && (block = sum_weights(distribution, i, i + BLOCK)) <= left; i += BLOCK)
        left -= block;
    while (i + 1 < distribution->count && (left -= distribution->weights[i]) >= 0)
        i++;
    return i;
}
