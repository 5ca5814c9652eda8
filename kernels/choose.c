/*
 * Which variant runs here.
 */
#include "base/cpu.h"
#include "kernels/variants.h"

#include <stdlib.h>
#include <string.h>

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool has_avx2(void)
{
    return sb_cpu()->avx2 && sb_cpu()->fma && sb_cpu()->f16c;
}

static bool has_avx512(void)
{
    const struct sb_cpu *cpu = sb_cpu();
    return has_avx2() && cpu->avx512f && cpu->avx512bw && cpu->avx512dq && cpu->avx512vl;
}
#endif

/* Slowest first; a variant further down is preferred. */
static const struct {
    const struct sb_kernels *kernels;
    bool (*runs_here)(void);
} variants[] = {
    {&sb_kernels_plain, always},
    {&sb_kernels_vector128, always},
#if defined(__x86_64__)
    {&sb_kernels_avx2, has_avx2},
    {&sb_kernels_avx512, has_avx512},
#endif
};
enum { VARIANTS = sizeof variants / sizeof *variants };

const struct sb_kernels *sb_kernels_at(size_t index)
{
    for (size_t i = 0; i < VARIANTS; i++)
        if (variants[i].runs_here() && index-- == 0)
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
        bool runs = variants[i].runs_here();
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
