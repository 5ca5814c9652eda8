#include "model/sampling.h"

#define SB_VECTOR_BYTES 16 /* what every processor has */
#include "kernels/vector_math.h"
#include "model/logits_scan.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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

/* Appends every token in (low, high], in order of id. Behind the first one found the rest of its block is copied
   without branches: where one is, many are. */
static void collect(struct sb_distribution *d, const float *row, size_t n, float low, float high)
{
    float *logits = d->logits;
    int32_t *ids = d->ids;
    size_t count = d->count;
    for (size_t i = 0; count < n && (i = sb_find_above(row, n, i, low)) < n;) {
        size_t end = (i / SB_SCAN_BLOCK + 1) * SB_SCAN_BLOCK;
        for (; i < end && i < n && count < n; i++) { /* the arrays' last place is full once all tokens are there */
            logits[count] = row[i];
            ids[count] = (int32_t)i;
            count += (row[i] > low) & (row[i] <= high);
        }
    }
    d->count = count;
}

/* Logits between which a nucleus seems to end. */
struct bounds {
    float above, below;
};

/* Fills weights and total, of a few tokens. Differences are divided by the temperature, not logits: the largest cannot
   overflow. */
static void weigh(struct sb_distribution *d, float largest, double temperature)
{
    d->total = 0;
    for (size_t i = 0; i < d->count; i++)
        d->total += d->weights[i] = exp((double)(d->logits[i] - largest) / temperature);
}

/* weigh() at temperature 1, of many tokens. */
static void weigh_many(struct sb_distribution *d, float largest)
{
    typedef double four_doubles __attribute__((vector_size(4 * sizeof(double)), aligned(8), may_alias));
    four_doubles sums = {0};
    size_t i = 0;
    for (; i + SB_LANES <= d->count; i += SB_LANES) {
        four_doubles weights = __builtin_convertvector(vec_exp(vec_load(d->logits + i) - largest), four_doubles);
        *(four_doubles *)(d->weights + i) = weights;
        sums += weights;
    }
    d->total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (; i < d->count; i++)
        d->total += d->weights[i] = exp((double)(d->logits[i] - largest));
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

static void swap_weighed(struct sb_distribution *d, size_t a, size_t b)
{
    double weight = d->weights[a];
    d->weights[a] = d->weights[b];
    d->weights[b] = weight;
    swap(d, a, b);
}

/* Brings what is better than a pivot to the front of [low, high), the pivot behind it; returns its place. Each token is
   swapped, wanted in front or not: which it is can not be foreseen, and a mistaken branch costs more. */
static size_t partition(struct sb_distribution *d, size_t low, size_t high)
{
    size_t end = low; /* [low, end) is better, [end, i) is not */
    swap_weighed(d, low + (high - low) / 2, high - 1);
    float logit = d->logits[high - 1];
    int32_t id = d->ids[high - 1];
    for (size_t i = low; i < high - 1; i++) {
        bool is_better = (d->logits[i] > logit) | ((d->logits[i] == logit) & (d->ids[i] < id));
        swap_weighed(d, i, end);
        end += is_better;
    }
    swap_weighed(d, end, high - 1);
    return end;
}

/* Keeps the fewest tokens whose weights reach `needed`, in no order: a quickselect by weight. The first `low` tokens,
   which weigh `kept`, are better than all others and known to be needed. */
static void select_nucleus(struct sb_distribution *d, size_t low, double kept, double needed)
{
    size_t high = d->count; /* what lies before low is kept, what lies from high on is not */
    while (low < high && kept < needed) {
        size_t pivot = partition(d, low, high);
        double before = sum_weights(d, low, pivot);
        if (kept + before >= needed) {
            high = pivot;
        } else {
            kept += before + d->weights[pivot];
            low = pivot + 1;
        }
    }
    d->count = low;
    d->total = kept;
}

/* Where the nucleus of a flat row ends, judged by a sample of tokens at even distances. False when few tokens hold most
   of the probability: a sample does not see them. A guess, to be checked. all: the sum of exp(x - largest) over row. */
static bool guess_bounds(struct bounds *bounds, const float *row, size_t n, double top_p, float largest, double all)
{
    enum { SAMPLE = 128 };
    float sample[SAMPLE]; /* the best first */
    double total = 0, sum = 0;
    size_t step = n / SAMPLE, end = 0;
    if (step < 8)
        return false;
    for (size_t i = 0; i < SAMPLE; i++) {
        float x = row[i * step];
        size_t at = i;
        for (; at > 0 && x > sample[at - 1]; at--)
            sample[at] = sample[at - 1];
        sample[at] = x;
        total += exp((double)(x - largest));
    }
    if (!(total * (double)step > 0.5 * all))
        return false;
    for (; end < SAMPLE && sum < (top_p - 0.05) * total; end++)
        sum += exp((double)(sample[end] - largest));
    bounds->above = end ? sample[end - 1] : largest;
    for (; end < SAMPLE && sum < (top_p + 0.04) * total; end++)
        sum += exp((double)(sample[end] - largest));
    bounds->below = end < SAMPLE ? sample[end] : -INFINITY;
    return true;
}

/* The nucleus of the whole vocabulary at temperature 1. all: the sum of exp(x - largest) over row. */
static void keep_nucleus(struct sb_distribution *d, const float *row, size_t n, double top_p, float largest, double all)
{
    static const float windows[] = {6, 12, 24, INFINITY};
    double needed = top_p * all;
    struct bounds bounds;
    if (guess_bounds(&bounds, row, n, top_p, largest, all)) {
        collect(d, row, n, bounds.above, INFINITY);
        size_t sure = d->count;
        collect(d, row, n, bounds.below, bounds.above);
        weigh_many(d, largest);
        double kept = d->total - sum_weights(d, sure, d->count);
        if (kept < needed && d->total >= needed) {
            select_nucleus(d, sure, kept, needed);
            return;
        }
    }
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        d->count = 0;
        collect(d, row, n, largest - windows[i], INFINITY);
        weigh_many(d, largest);
        if (d->total >= needed)
            break;
    }
    select_nucleus(d, 0, 0, needed);
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
        collect(d, row, n, -INFINITY, INFINITY);
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
