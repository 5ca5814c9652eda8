/*
 * Which variant runs here, and computes right.
 */
#include "base/cpu.h"
#include "base/log.h"
#include "kernels/self_check.h"
#include "kernels/variants.h"

#include <pthread.h>
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

/* What may be used: runs here and agrees with the plain kernels. Filled once. */
static struct {
    bool kernels[VARIANTS], linear[VARIANTS][SB_PACKED_DTYPES];
} trusted;
static pthread_once_t checked = PTHREAD_ONCE_INIT;

static bool trust(const char *name, bool runs, const char *fault)
{
    if (runs && fault)
        sb_log(SB_LOG_ERROR, "kernels", "%s: %s computes wrong results on this processor (%s); the next best is used", name, fault,
               sb_cpu()->model);
    return runs && !fault;
}

static void check_all(void)
{
    for (size_t i = 0; i < VARIANTS; i++) {
        const struct sb_kernels *kernels = variants[i].kernels;
        bool runs = kernels->runs_here();
        trusted.kernels[i] = trust(kernels->name, runs, runs ? sb_kernels_fault(kernels) : NULL);
        for (size_t d = 0; d < SB_PACKED_DTYPES; d++) {
            const struct sb_linear_kernel *linear = variants[i].linear[d];
            runs = linear && linear->runs_here();
            trusted.linear[i][d] = runs && trust(linear->name, runs, sb_linear_fault(linear));
        }
    }
}

const struct sb_kernels *sb_kernels_at(size_t index)
{
    pthread_once(&checked, check_all);
    for (size_t i = 0; i < VARIANTS; i++)
        if (trusted.kernels[i] && index-- == 0)
            return variants[i].kernels;
    return NULL;
}

const struct sb_kernels *sb_kernels_choose(const char *name, struct sb_error *error)
{
    pthread_once(&checked, check_all);
    const char *asked = name ? name : getenv("SIMBERT_KERNELS");
    if (asked && !*asked)
        asked = NULL;
    const struct sb_kernels *best = NULL;
    for (size_t i = 0; i < VARIANTS; i++) {
        if (asked && strcmp(asked, variants[i].kernels->name) == 0) {
            if (trusted.kernels[i])
                return variants[i].kernels;
            sb_fail(error, SB_UNSUPPORTED, "kernels '%s': this processor (%s) lacks the instructions or computes them wrong", asked,
                    sb_cpu()->model);
            return NULL;
        }
        if (trusted.kernels[i])
            best = variants[i].kernels;
    }
    if (!asked)
        return best;
    sb_fail(error, SB_INVALID, "kernels '%s': unknown; one of plain, vector128, avx2, avx512", asked);
    return NULL;
}

const struct sb_linear_kernel *sb_linear_choose(const struct sb_kernels *kernels, enum sb_packed_dtype dtype)
{
    pthread_once(&checked, check_all);
    for (size_t i = 0; i < VARIANTS; i++)
        if (variants[i].kernels == kernels && trusted.linear[i][dtype])
            return variants[i].linear[dtype];
    return plain_linear[dtype];
}

const struct sb_linear_kernel *sb_linear_at(size_t index)
{
    pthread_once(&checked, check_all);
    for (size_t d = 0; d < SB_PACKED_DTYPES; d++)
        if (index-- == 0)
            return plain_linear[d];
    for (size_t i = 0; i < VARIANTS; i++)
        for (size_t d = 0; d < SB_PACKED_DTYPES; d++)
            if (trusted.linear[i][d] && index-- == 0)
                return variants[i].linear[d];
    return NULL;
}
