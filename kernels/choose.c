/*
 * Which variant runs here.
 */
#include "base/cpu.h"
#include "kernels/variants.h"

#include <stdlib.h>
#include <string.h>

/* Slowest first; a variant further down is preferred. linear[] are its linear kernels; NULL or one that does not run here: the
   plain one of that arithmetic. */
static const struct variant {
    const struct sb_kernels *kernels;
    const struct sb_linear_kernel *linear[SB_PACKED_DTYPES];
} variants[] = {
    {&sb_kernels_plain, {NULL}},
    {&sb_kernels_vector128, {[SB_PACKED_F32] = &sb_linear_vector128_f32}},
#if defined(__x86_64__)
    {&sb_kernels_avx2, {[SB_PACKED_F32] = &sb_linear_avx2_f32}},
    {&sb_kernels_avx512,
     {[SB_PACKED_F32] = &sb_linear_avx512_f32, [SB_PACKED_BF16] = &sb_linear_avx512_bf16, [SB_PACKED_INT8] = &sb_linear_avx512_vnni}},
#endif
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const struct sb_linear_kernel *const plain_linear[SB_PACKED_DTYPES] = {
    [SB_PACKED_F32] = &sb_linear_plain_f32, [SB_PACKED_BF16] = &sb_linear_plain_bf16, [SB_PACKED_INT8] = &sb_linear_plain_int8};

const struct sb_kernels *sb_kernels_at(size_t index)
{
    for (size_t i = 0; i < VARIANTS; i++)
        if (variants[i].kernels->runs_here() && index-- == 0)
            return variants[i].kernels;
    return NULL;
}

const struct sb_kernels *sb_kernels_choose(const char *name, struct sb_error *error)
{
    const char *asked = name ? name : getenv("SIMBERT_KERNELS");
    if (asked && !*asked)
        asked = NULL;
    const struct sb_kernels *best = NULL;
    for (size_t i = 0; i < VARIANTS; i++) {
        bool runs = variants[i].kernels->runs_here();
        if (asked && strcmp(asked, variants[i].kernels->name) == 0) {
            if (runs)
                return variants[i].kernels;
            sb_fail(error, SB_UNSUPPORTED, "kernels '%s': this processor (%s) lacks the instructions", asked, sb_cpu()->model);
            return NULL;
        }
        if (runs)
            best = variants[i].kernels;
    }
    if (!asked)
        return best;
    sb_fail(error, SB_INVALID, "kernels '%s': unknown; one of plain, vector128, avx2, avx512", asked);
    return NULL;
}

const struct sb_linear_kernel *sb_linear_choose(const struct sb_kernels *kernels, enum sb_packed_dtype dtype)
{
    for (size_t i = 0; i < VARIANTS; i++) {
        const struct sb_linear_kernel *linear = variants[i].linear[dtype];
        if (variants[i].kernels == kernels && linear && linear->runs_here())
            return linear;
    }
    return plain_linear[dtype];
}

const struct sb_linear_kernel *sb_linear_at(size_t index)
{
    for (size_t d = 0; d < SB_PACKED_DTYPES; d++)
        if (index-- == 0)
            return plain_linear[d];
    for (size_t i = 0; i < VARIANTS; i++)
        for (size_t d = 0; d < SB_PACKED_DTYPES; d++)
            if (variants[i].linear[d] && variants[i].linear[d]->runs_here() && index-- == 0)
                return variants[i].linear[d];
    return NULL;
}
