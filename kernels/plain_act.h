/* The activations as the reference writes them. */
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

#endif
