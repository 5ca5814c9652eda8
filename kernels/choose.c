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

/* The best rows and attention that run here, with OpenBLAS for f32. Named here, filled in when it is asked for. */
static struct sb_kernels openblas_kernels = {.name = "openblas"};

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
     {[SB_PACKED_F32] = &sb_linear_avx512_f32,
      [SB_PACKED_BF16] = &sb_linear_avx512_bf16,
      [SB_PACKED_INT8] = &sb_linear_avx512_vnni}},
#endif
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const struct sb_linear_kernel *const plain_linear[SB_PACKED_DTYPES] = {[SB_PACKED_F32] = &sb_linear_plain_f32,
                                                                              [SB_PACKED_BF16] = &sb_linear_plain_bf16,
                                                                              [SB_PACKED_INT8] = &sb_linear_plain_int8};

/* What may be used: runs here and agrees with the plain kernels. Filled once. */
static struct {
    bool kernels[VARIANTS], linear[VARIANTS][SB_PACKED_DTYPES], attention_bf16;
} trusted;
static pthread_once_t checked = PTHREAD_ONCE_INIT;

/* Whether it may be used; says so in the log when it may not because it is wrong. */
static bool trust(const char *name, const char *fault)
{
    if (fault)
        sb_log(SB_LOG_ERROR, "kernels", "%s: %s computes wrong results on this processor (%s); the next best is used",
               name, fault, sb_cpu()->model);
    return !fault;
}

static bool trust_linear(const struct sb_linear_kernel *linear)
{
    return linear && linear->runs_here() && trust(linear->name, sb_linear_fault(linear));
}

static void check_all(void)
{
    for (size_t i = 0; i < VARIANTS; i++) {
        const struct sb_kernels *kernels = variants[i].kernels;
        trusted.kernels[i] = kernels->runs_here() && trust(kernels->name, sb_kernels_fault(kernels));
        for (size_t d = 0; d < SB_PACKED_DTYPES; d++)
            trusted.linear[i][d] = trust_linear(variants[i].linear[d]);
    }
#if defined(__x86_64__)
    const struct sb_attention_kernel *attention = &sb_attention_avx512_bf16;
    trusted.attention_bf16 = attention->runs_here() && trust(attention->name, sb_attention_fault(attention));
#endif
}

/* The last trusted variant; the plain one always is. */
static const struct sb_kernels *best_kernels(void)
{
    const struct sb_kernels *best = &sb_kernels_plain;
    for (size_t i = 0; i < VARIANTS; i++)
        if (trusted.kernels[i])
            best = variants[i].kernels;
    return best;
}

static bool openblas_trusted;

static void prepare_openblas(void)
{
    openblas_kernels = *best_kernels();
    openblas_kernels.name = "openblas";
    openblas_trusted = trust_linear(&sb_linear_openblas_f32);
}

static const struct sb_kernels *openblas(void)
{
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    pthread_once(&prepared, prepare_openblas);
    return openblas_trusted ? &openblas_kernels : NULL;
}

const struct sb_kernels *sb_kernels_at(size_t index)
{
    pthread_once(&checked, check_all);
    for (size_t i = 0; i < VARIANTS; i++)
        if (trusted.kernels[i] && index-- == 0)
            return variants[i].kernels;
    return NULL;
}

static const struct sb_kernels *named_kernels(const char *name, bool *known)
{
    *known = strcmp(name, "openblas") == 0;
    if (*known)
        return openblas();
    for (size_t i = 0; i < VARIANTS; i++) {
        *known = strcmp(name, variants[i].kernels->name) == 0;
        if (*known)
            return trusted.kernels[i] ? variants[i].kernels : NULL;
    }
    return NULL;
}

/* A processor without a variant of its own gets OpenBLAS where that is installed. */
static const struct sb_kernels *automatic_kernels(void)
{
    const struct sb_kernels *best = best_kernels();
    const struct sb_kernels *blas = best == &sb_kernels_plain || best == &sb_kernels_vector128 ? openblas() : NULL;
    return blas ? blas : best;
}

const struct sb_kernels *sb_kernels_choose(const char *name, struct sb_error *error)
{
    pthread_once(&checked, check_all);
    const char *asked = name ? name : getenv("SIMBERT_KERNELS");
    if (!asked || !*asked)
        return automatic_kernels();
    bool known;
    const struct sb_kernels *kernels = named_kernels(asked, &known);
    if (!known)
        sb_fail(error, SB_INVALID, "kernels '%s': unknown; one of plain, vector128, openblas, avx2, avx512", asked);
    else if (!kernels)
        sb_fail(error, SB_UNSUPPORTED,
                "kernels '%s': not to be had here: this processor (%s) lacks the instructions, the library is not "
                "installed, or its results are wrong",
                asked, sb_cpu()->model);
    return kernels;
}

const struct sb_linear_kernel *sb_linear_choose(const struct sb_kernels *kernels, enum sb_packed_dtype dtype)
{
    pthread_once(&checked, check_all);
    if (kernels == &openblas_kernels) {
        if (dtype == SB_PACKED_F32)
            return &sb_linear_openblas_f32;
        kernels = best_kernels();
    }
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
    return index == 0 && openblas() ? &sb_linear_openblas_f32 : NULL;
}

const struct sb_attention_kernel *sb_attention_choose(const struct sb_kernels *kernels, enum sb_packed_dtype dtype)
{
    pthread_once(&checked, check_all);
#if defined(__x86_64__)
    if (dtype != SB_PACKED_F32 && kernels == &sb_kernels_avx512 && trusted.attention_bf16)
        return &sb_attention_avx512_bf16;
#endif
    (void)kernels, (void)dtype;
    return NULL;
}
