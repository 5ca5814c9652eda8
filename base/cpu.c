#include "base/cpu.h"

#include "base/cgroup.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static struct sb_cpu cpu;

#if defined(__x86_64__)
#include <cpuid.h>

/* XCR0: which registers the operating system saves when it switches threads. */
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void detect(void)
{
    enum { AVX_STATE = 0x06, AVX512_STATE = 0xE6 }; /* XMM, YMM; and opmask, ZMM */
    uint32_t a, b, c, d, name[12] = {0};
    for (uint32_t i = 0; i < 3 && __get_cpuid(0x80000002 + i, &a, &b, &c, &d); i++)
        memcpy(name + 4 * i, (uint32_t[]){a, b, c, d}, 16);
    snprintf(cpu.model, sizeof cpu.model, "%.48s", (const char *)name);

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) /* OSXSAVE: xgetbv exists */
        return;
    uint64_t saved = saved_registers();
    bool avx = (saved & AVX_STATE) == AVX_STATE && (c >> 28 & 1);
    bool avx512 = avx && (saved & AVX512_STATE) == AVX512_STATE;
    cpu.fma = avx && (c >> 12 & 1);
    cpu.f16c = avx && (c >> 29 & 1);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    cpu.avx2 = avx && (b >> 5 & 1);
    cpu.avx512f = avx512 && (b >> 16 & 1);
    cpu.avx512dq = avx512 && (b >> 17 & 1);
    cpu.avx512bw = avx512 && (b >> 30 & 1);
    cpu.avx512vl = avx512 && (b >> 31 & 1);
    cpu.avx512_vnni = avx512 && (c >> 11 & 1);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d))
        cpu.avx512_bf16 = avx512 && (a >> 5 & 1);
}
#else
static void detect(void)
{
    struct utsname system;
    if (uname(&system) == 0)
        snprintf(cpu.model, sizeof cpu.model, "%.63s", system.machine);
}
#endif

const struct sb_cpu *sb_cpu(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, detect);
    return &cpu;
}

/* Processors that the affinity mask allows; the mask grows until the kernel's fits. */
static int affinity_count(void)
{
    for (size_t bits = CPU_SETSIZE; bits <= 1 << 20; bits *= 2) {
        cpu_set_t *set = CPU_ALLOC(bits);
        if (!set)
            break;
        size_t size = CPU_ALLOC_SIZE(bits);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    return 1;
}

int sb_cpu_count(void)
{
    int count = affinity_count();
    double quota = sb_cpu_quota();
    if (quota > 0 && ceil(quota) < count)
        count = (int)ceil(quota);
    return count;
}

double sb_cpu_quota(void)
{
    return sb_cgroup_limits("").cpus;
}

size_t sb_memory_limit(void)
{
    return sb_cgroup_limits("").memory;
}

size_t sb_memory_resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re"); /* pages: size resident ... */
    if (!file)
        return 0;
    size_t pages = 0;
    if (fscanf(file, "%*u %zu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

int64_t sb_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
