#include "cli/bench.h"

#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

enum sb_status sb_bench_times_reserve(struct sb_bench_times *times, size_t capacity, struct sb_error *error)
{
    times->wall = calloc(capacity, sizeof *times->wall);
    times->cpu = calloc(capacity, sizeof *times->cpu);
    times->capacity = capacity;
    return times->wall && times->cpu ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu measurements", capacity);
}

void sb_bench_times_free(struct sb_bench_times *times)
{
    free(times->wall);
    free(times->cpu);
    *times = (struct sb_bench_times){0};
}

void sb_bench_start(struct sb_bench_times *times)
{
    times->cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);
    times->wall_start = seconds(CLOCK_MONOTONIC);
}

void sb_bench_stop(struct sb_bench_times *times)
{
    times->wall[times->count] = seconds(CLOCK_MONOTONIC) - times->wall_start;
    times->cpu[times->count] = seconds(CLOCK_PROCESS_CPUTIME_ID) - times->cpu_start;
    times->count++;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sb_bench_quantile(double *values, size_t n, double p)
{
    qsort(values, n, sizeof *values, ascending);
    size_t at = (size_t)(p * (double)n);
    return values[at < n ? at : n - 1];
}
