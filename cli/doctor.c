/* simbert doctor: what this machine offers, what is used of it, and whether the model is sound. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/model_choice.h"
#include "cli/output.h"
#include "model/model.h"
#include "weights/convert.h"

#include <stdlib.h>
#include <string.h>

/* Tries are short, so that some of them run undisturbed on a busy machine. */
enum { ROWS = 96, IN = 512, OUT = 2048, TRIES = 20, CHAIN = 500000 };

/* Cycles a second of this thread, from a chain of additions that each wait for the one before. */
static double measure_frequency(void)
{
    int64_t best = INT64_MAX;
    for (int try = 0; try < TRIES; try++) {
        int64_t start = sb_now_ns();
        unsigned long x = 1;
#pragma GCC unroll 16
        for (long i = 0; i < CHAIN; i++) {
            x += x;
            __asm__ volatile("" : "+r"(x)); /* so that no two turns are folded into one */
        }
        int64_t spent = sb_now_ns() - start;
        best = spent < best ? spent : best;
    }
    return (double)CHAIN / (double)best * 1e9;
}

/* Operations a second of one kernel on a layer as it occurs in the default model; 0 when out of memory. */
static double measure_linear(const struct sb_linear_kernel *kernel)
{
    size_t bytes = sb_packed_bytes(kernel, OUT, IN), scratch_bytes = sb_linear_scratch(ROWS, IN);
    struct sb_packed packed;
    char *panels = aligned_alloc(64, (bytes + 63) / 64 * 64),
         *scratch = aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
    float *x = calloc(ROWS * IN, sizeof *x), *y = calloc(ROWS * OUT, sizeof *y);
    int64_t best = INT64_MAX;
    bool good = panels && scratch && x && y;
    if (good) {
        memset(panels, 0, bytes);
        sb_packed_init(&packed, kernel, panels, OUT, IN);
    }
    for (int try = 0; good && try < TRIES; try++) {
        int64_t start = sb_now_ns();
        sb_linear(y, OUT, x, IN, ROWS, &packed, NULL, NULL, scratch);
        int64_t spent = sb_now_ns() - start;
        best = spent < best ? spent : best;
    }
    free(panels);
    free(scratch);
    free(x);
    free(y);
    return good ? 2.0 * ROWS * IN * OUT / (double)best * 1e9 : 0;
}

static void put_processor(struct sb_buffer *out, double frequency)
{
    const struct sb_cpu *cpu = sb_cpu();
    const struct {
        const char *name;
        bool has;
    } features[] = {{"avx2", cpu->avx2},
                    {"fma", cpu->fma},
                    {"f16c", cpu->f16c},
                    {"avx512f", cpu->avx512f},
                    {"avx512bw", cpu->avx512bw},
                    {"avx512dq", cpu->avx512dq},
                    {"avx512vl", cpu->avx512vl},
                    {"avx512_bf16", cpu->avx512_bf16},
                    {"avx512_vnni", cpu->avx512_vnni}};
    sb_buffer_format(out, "processor   %s, %.2f GHz measured\n", cpu->model[0] ? cpu->model : "unknown",
                     frequency / 1e9);
    sb_buffer_text(out, "features   ");
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (features[i].has)
            sb_buffer_format(out, " %s", features[i].name);
    sb_buffer_text(out, "\n");
    if (sb_cpu_quota() > 0)
        sb_buffer_format(out, "threads     %d (the control group allows %.2f processors)\n", sb_cpu_count(),
                         sb_cpu_quota());
    else
        sb_buffer_format(out, "threads     %d (no quota)\n", sb_cpu_count());
    if (sb_memory_limit() > 0)
        sb_buffer_format(out, "memory      the control group allows %zu MiB\n", sb_memory_limit() >> 20);
    else
        sb_buffer_text(out, "memory      no limit set\n");
}

/* The peak is an estimate: one multiply-add of 512 bits, or two of 256, a cycle. */
static void put_kernels(struct sb_buffer *out, const struct sb_kernels *kernels, double frequency)
{
    sb_buffer_format(out, "kernels     %s (each checked against plain C)\n", kernels->name);
    for (int d = 0; d < SB_PACKED_DTYPES; d++) {
        const struct sb_linear_kernel *linear = sb_linear_choose(kernels, (enum sb_packed_dtype)d);
        double speed = measure_linear(linear), peak = frequency * 32 * (1 << d);
        sb_buffer_format(out, "  %-9s %-18s %6.1f GFLOP/s", sb_packed_dtype_name((enum sb_packed_dtype)d), linear->name,
                         speed / 1e9);
        if (linear->is_fast)
            sb_buffer_format(out, ", %.0f %% of an estimated %.0f", 100 * speed / peak, peak / 1e9);
        else
            sb_buffer_text(out, ", not accelerated on this processor");
        sb_buffer_text(out, "\n");
    }
}

/* Opens the model as the server would; the report of inspect stands in for the reason when it does not fit. */
static enum sb_status put_model(struct sb_buffer *out, const struct sb_model_choice *choice, bool *sound,
                                struct sb_error *error)
{
    struct sb_model *model = NULL;
    struct sb_buffer report = {0};
    char *dir = NULL;
    enum sb_status status = sb_model_find(&dir, choice->dir, error);
    if (status == SB_OK)
        status = sb_inspect(&report, sound, dir, false, error);
    if (status == SB_OK && !*sound)
        sb_buffer_format(out, "model       %s does not fit:\n%s", dir, report.data ? report.data : "");
    int64_t start = sb_now_ns();
    if (status == SB_OK && *sound)
        status = sb_model_choice_open(&model, choice, error);
    if (model)
        sb_buffer_format(out, "model       %s: sound, %s, %d dimensions, %s, %zu MiB, opened in %.0f ms\n", dir,
                         sb_model_dtype(model), sb_model_dimensions(model),
                         sb_model_can_generate(model) ? "embeds and writes" : "embeds only",
                         sb_model_bytes(model) >> 20, (double)(sb_now_ns() - start) / 1e6);
    sb_model_release(model);
    sb_buffer_free(&report);
    free(dir);
    return status;
}

static enum sb_status doctor(const struct sb_model_choice *choice, struct sb_error *error)
{
    struct sb_buffer out = {0};
    const struct sb_kernels *kernels = sb_kernels_choose(choice->kernels, error);
    bool sound = false;
    if (!kernels)
        return error->status;
    double frequency = measure_frequency();
    put_processor(&out, frequency);
    put_kernels(&out, kernels, frequency);
    enum sb_status status = put_model(&out, choice, &sound, error);
    enum sb_status written = sb_output_write(&out, status == SB_OK ? error : NULL);
    sb_buffer_free(&out);
    if (status == SB_OK && written == SB_OK && !sound)
        return sb_fail(error, SB_CORRUPT, "the model does not fit; see above");
    return status == SB_OK ? written : status;
}

int sb_command_doctor(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert doctor [OPTION]...\n"
        "\n"
        "Shows what this machine offers and what is used of it: processor features, limits of the control group, the\n"
        "kernels chosen and their measured speed; and checks the model, its checksums included where the format has "
        "them.\n";
    static const char examples[] = "  simbert doctor\n"
                                   "  simbert doctor --kernels avx2 --model my-model\n";
    struct sb_model_choice choice = {0};
    struct sb_option options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {{"Model", options}, {0}};
    int count, exit;
    sb_model_options_table(options, &choice);
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    if (count > 0) {
        sb_fail(error, SB_INVALID, "it takes no arguments, but was given '%.100s'", argv[0]);
        return SB_EXIT_USAGE;
    }
    return sb_exit(doctor(&choice, error));
}
