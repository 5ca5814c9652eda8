/* The activations as the reference writes them, and their derivatives. */
#ifndef SB_KERNELS_PLAIN_ACT_H
#define SB_KERNELS_PLAIN_ACT_H

#include "kernels/kernels.h"

#include <math.h>

static inline float plain_act(float x, enum sb_act act)
{
    switch (act) {
    case SB_ACT_GELU: return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case SB_ACT_GELU_TANH: return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case SB_ACT_RELU: return x > 0 ? x : 0;
    case SB_ACT_SWISH: return x / (1.0f + expf(-x));
    case SB_ACT_TANH: return tanhf(x);
    case SB_ACT_NONE: break;
    }
    return x;
}

/* act'(x) */
static inline float plain_act_slope(float x, enum sb_act act)
{
    switch (act) {
    case SB_ACT_GELU: /* Phi(x) + x phi(x), the normal distribution and its density */
        return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
    case SB_ACT_GELU_TANH: {
        float t = tanhf(0.79788456f * (x + 0.044715f * x * x * x));
        return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 0.134145f * x * x);
    }
    case SB_ACT_RELU: return x > 0 ? 1.0f : 0;
    case SB_ACT_SWISH: {
        float s = 1.0f / (1.0f + expf(-x));
        return s * (1.0f + x * (1.0f - s));
    }
    case SB_ACT_TANH: return 1.0f - tanhf(x) * tanhf(x);
    case SB_ACT_NONE: break;
    }
    return 1.0f;
}

#endif
