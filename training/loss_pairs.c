/*
 * Losses of how near the two vectors of a pair are: a measure of each pair, a loss of the measures, and its gradient
 * back through the measure.
 */
#include "training/loss_impl.h"

#include <math.h>

/* measures[n]: u against v; for triplets [n, 2 n): u against the negative. */
static void layout(struct sb_loss_work *work, struct sb_arena *arena)
{
    work->measures = sb_arena_take(arena, 2 * work->rows, sizeof(double));
    work->dmeasures = sb_arena_take(arena, 2 * work->rows, sizeof(double));
}

static enum sb_loss_measure distance_measure(const struct sb_loss_work *work, enum sb_loss_measure euclidean)
{
    return work->options->distance == SB_LOSS_COSINE ? SB_MEASURE_COSINE : euclidean;
}

/* u against matrix `other`. Sets dmeasures to zero. */
static void measure(struct sb_loss_work *work, enum sb_loss_measure kind, size_t other, size_t at)
{
    for (size_t i = 0; i < work->rows; i++) {
        work->measures[at + i] = sb_loss_measure(kind, sb_loss_row(work->x, work, 0, i),
                                                 sb_loss_row(work->x, work, other, i), work->dimensions);
        work->dmeasures[at + i] = 0;
    }
}

static void measure_backward(struct sb_loss_work *work, enum sb_loss_measure kind, size_t other, size_t at)
{
    for (size_t i = 0; i < work->rows; i++)
        if (work->dmeasures[at + i] != 0)
            sb_loss_measure_backward(kind, sb_loss_row(work->dx, work, 0, i), sb_loss_row(work->dx, work, other, i),
                                     work->dmeasures[at + i], work->measures[at + i], sb_loss_row(work->x, work, 0, i),
                                     sb_loss_row(work->x, work, other, i), work->dimensions);
}

/* A distance of the measure at i, and back: 1 - cos, or the Euclidean distance itself. */
static double distance_at(const struct sb_loss_work *work, size_t i)
{
    return work->options->distance == SB_LOSS_COSINE ? 1 - work->measures[i] : work->measures[i];
}

static void add_distance_gradient(struct sb_loss_work *work, size_t i, double gradient)
{
    work->dmeasures[i] += work->options->distance == SB_LOSS_COSINE ? -gradient : gradient;
}

static double above_zero(double x)
{
    return x > 0 ? x : 0;
}

/* ---- cosent, angle ---- */

/* The largest exponent, at least 0, so that no exponential overflows. */
static double largest_exponent(const struct sb_loss_work *work)
{
    const float *scores = work->input->scores;
    double largest = 0;
    for (size_t i = 0; i < work->rows; i++)
        for (size_t j = 0; j < work->rows; j++)
            if (scores[i] < scores[j])
                largest = fmax(largest, work->options->scale * (work->measures[i] - work->measures[j]));
    return largest;
}

/* log(1 + sum over y_i < y_j of exp(s (measure_i - measure_j))) */
static double rank_measures(struct sb_loss_work *work)
{
    size_t n = work->rows;
    const float *scores = work->input->scores;
    double largest = largest_exponent(work), sum = exp(-largest), s = work->options->scale;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (scores[i] < scores[j])
                sum += exp(s * (work->measures[i] - work->measures[j]) - largest);
    double log_sum = largest + log(sum);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (scores[i] < scores[j]) {
                double g = s * exp(s * (work->measures[i] - work->measures[j]) - log_sum);
                work->dmeasures[i] += g;
                work->dmeasures[j] -= g;
            }
    return log_sum;
}

static double rank_by(struct sb_loss_work *work, enum sb_loss_measure kind)
{
    measure(work, kind, 1, 0);
    double loss = rank_measures(work);
    measure_backward(work, kind, 1, 0);
    return loss;
}

static double cosent(struct sb_loss_work *work)
{
    return rank_by(work, SB_MEASURE_COSINE);
}

static double angle(struct sb_loss_work *work)
{
    return rank_by(work, SB_MEASURE_ANGLE);
}

/* ---- cosine_similarity ---- */

static double cosine_similarity(struct sb_loss_work *work)
{
    double sum = 0, share = 1 / (double)work->rows;
    measure(work, SB_MEASURE_COSINE, 1, 0);
    for (size_t i = 0; i < work->rows; i++) {
        double difference = work->measures[i] - (double)work->input->scores[i];
        sum += difference * difference;
        work->dmeasures[i] = 2 * share * difference;
    }
    measure_backward(work, SB_MEASURE_COSINE, 1, 0);
    return sum * share;
}

/* ---- contrastive ---- */

static double contrastive(struct sb_loss_work *work)
{
    double sum = 0, share = 1 / (double)work->rows;
    enum sb_loss_measure kind = distance_measure(work, SB_MEASURE_SHIFTED_EUCLIDEAN);
    measure(work, kind, 1, 0);
    for (size_t i = 0; i < work->rows; i++) {
        double y = (double)work->input->scores[i], d = distance_at(work, i);
        double inside = above_zero(work->options->margin - d);
        sum += (y * d * d + (1 - y) * inside * inside) / 2;
        add_distance_gradient(work, i, share * (y * d - (1 - y) * inside));
    }
    measure_backward(work, kind, 1, 0);
    return sum * share;
}

/* What a hard pair's distance is compared with. */
struct bounds {
    double positives_above, negatives_below;
};

/* The nearest negative and the farthest positive. Where the other side has fewer than two pairs, a pair is compared with
   the mean of its own side, as sentence-transformers does. */
static struct bounds hard_bounds(const struct sb_loss_work *work)
{
    double nearest = INFINITY, farthest = -INFINITY, sums[2] = {0, 0};
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < work->rows; i++) {
        size_t positive = work->input->scores[i] > 0.5f;
        double d = distance_at(work, i);
        sums[positive] += d;
        counts[positive]++;
        if (positive)
            farthest = fmax(farthest, d);
        else
            nearest = fmin(nearest, d);
    }
    return (struct bounds){
        .positives_above = counts[0] > 1 || counts[1] == 0 ? nearest : sums[1] / (double)counts[1],
        .negatives_below = counts[1] > 1 || counts[0] == 0 ? farthest : sums[0] / (double)counts[0],
    };
}

/* Which pairs are hard does not change with the vectors, as far as the gradient goes. */
static double online_contrastive(struct sb_loss_work *work)
{
    double sum = 0;
    enum sb_loss_measure kind = distance_measure(work, SB_MEASURE_SHIFTED_EUCLIDEAN);
    measure(work, kind, 1, 0);
    struct bounds bounds = hard_bounds(work);
    for (size_t i = 0; i < work->rows; i++) {
        double d = distance_at(work, i), inside = above_zero(work->options->margin - d);
        if (work->input->scores[i] > 0.5f && d > bounds.positives_above) {
            sum += d * d;
            add_distance_gradient(work, i, 2 * d);
        } else if (work->input->scores[i] <= 0.5f && d < bounds.negatives_below) {
            sum += inside * inside;
            add_distance_gradient(work, i, -2 * inside);
        }
    }
    measure_backward(work, kind, 1, 0);
    return sum;
}

/* ---- triplet ---- */

static double triplet(struct sb_loss_work *work)
{
    size_t n = work->rows;
    double sum = 0, share = 1 / (double)n;
    enum sb_loss_measure kind = distance_measure(work, SB_MEASURE_EUCLIDEAN);
    measure(work, kind, 1, 0);
    measure(work, kind, 2, n);
    for (size_t i = 0; i < n; i++) {
        double loss = above_zero(distance_at(work, i) - distance_at(work, n + i) + work->options->margin);
        sum += loss;
        if (loss > 0) {
            add_distance_gradient(work, i, share);
            add_distance_gradient(work, n + i, -share);
        }
    }
    measure_backward(work, kind, 1, 0);
    measure_backward(work, kind, 2, n);
    return sum * share;
}

const struct sb_loss_method sb_loss_cosent = {layout, cosent, NULL};
const struct sb_loss_method sb_loss_angle = {layout, angle, NULL};
const struct sb_loss_method sb_loss_cosine_similarity = {layout, cosine_similarity, NULL};
const struct sb_loss_method sb_loss_contrastive = {layout, contrastive, NULL};
const struct sb_loss_method sb_loss_online_contrastive = {layout, online_contrastive, NULL};
const struct sb_loss_method sb_loss_triplet = {layout, triplet, NULL};
