/*
 * Noise on decoder inputs, and its strength over the steps. The corruption of text is in noise_text.c.
 */
#include "training/noise.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

double sb_draw(struct sb_draws *draws)
{
    return sb_random_uniform(draws->seed, draws->stream, draws->next++);
}

static size_t scaled(double u, size_t bound)
{
    size_t i = (size_t)(u * (double)bound);
    return i < bound ? i : bound - 1; /* u * bound can round up to bound */
}

size_t sb_draw_below(struct sb_draws *draws, size_t bound)
{
    return scaled(sb_draw(draws), bound);
}

void sb_replace_inputs(int32_t *out, const int32_t *ids, size_t length, size_t prefix, double probability,
                       const double *u, const double *pick, const int32_t *choices, size_t count)
{
    if (!choices) {
        choices = ids + prefix;
        count = length - prefix;
    }
    memcpy(out, ids, length * sizeof *out);
    for (size_t j = prefix; j + 1 < length && count > 0; j++)
        if (u[j] < probability)
            out[j] = choices[scaled(pick[j], count)];
}

void sb_replace_by_predictions(int32_t *out, const int32_t *ids, size_t length, size_t prefix, double probability,
                               const double *u, const int32_t *predictions)
{
    memcpy(out, ids, length * sizeof *out);
    for (size_t j = prefix; j + 1 < length; j++)
        if (u[j] < probability)
            out[j] = predictions[j - 1];
}

/* k ln k = steps / 2: the sigmoid k / (k + exp(step / k)) is a half there. */
static double sigmoid_scale(double steps)
{
    double low = 1, high = steps / 2 + 3;
    for (int i = 0; i < 100; i++) {
        double k = (low + high) / 2;
        if (k * log(k) < steps / 2)
            low = k;
        else
            high = k;
    }
    return high;
}

double sb_probability_at(enum sb_probability_schedule schedule, double probability, uint64_t step, uint64_t steps)
{
    double at = (double)step, all = (double)(steps ? steps : 1);
    switch (schedule) {
    case SB_PROBABILITY_LINEAR: return probability * fmin(1, at / all);
    case SB_PROBABILITY_INVERSE_SIGMOID: {
        double k = sigmoid_scale(all);
        return probability * (1 - k / (k + exp(at / k)));
    }
    default: return probability;
    }
}
