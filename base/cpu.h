/*
 * What this machine lets us use: instruction sets, processors (affinity and cgroup quota), memory, time.
 */
#ifndef SB_BASE_CPU_H
#define SB_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_cpu {
    bool avx2, fma, f16c; /* and the operating system saves the registers */
    bool avx512f, avx512bw, avx512dq, avx512vl;
    bool avx512_bf16, avx512_vnni;
    char model[64]; /* the processor's own name */
};

/* Detected once; never NULL. */
const struct sb_cpu *sb_cpu(void);

/* Threads worth starting: the smaller of the affinity mask and the cgroup (v1 or v2) CPU quota rounded up, or 1. */
int sb_cpu_count(void);

/* The cgroup's CPU quota in processors (for example 1.5), or 0 when there is none. */
double sb_cpu_quota(void);

/* The cgroup's memory limit in bytes, or 0 when there is none. */
size_t sb_memory_limit(void);

/* Resident set of this process in bytes; 0 if unknown. */
size_t sb_memory_resident(void);

/* Monotonic clock in nanoseconds. */
int64_t sb_now_ns(void);

#endif
