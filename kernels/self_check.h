/*
 * Trust no kernel unseen: each chosen kernel is computed once against the plain one on small odd shapes before it is used
 * (about a millisecond in all). A wrong result, whether from a miscompiled file, a broken library or a processor's fault, makes
 * sb_kernels_choose and sb_linear_choose take the next best.
 *
 * Thread rule: any thread; nothing is kept.
 */
#ifndef SB_KERNELS_SELF_CHECK_H
#define SB_KERNELS_SELF_CHECK_H

#include "kernels/kernels.h"

/* NULL when the kernel agrees with the plain one, else the name of what does not: "linear", "fill", "attention", "transpose", ... */
const char *sb_linear_fault(const struct sb_linear_kernel *kernel);
const char *sb_kernels_fault(const struct sb_kernels *kernels);
const char *sb_attention_fault(const struct sb_attention_kernel *kernel);

#endif
