/*
 * simbert bench: what the measurements share. Only cli/bench*.c include this.
 */
#ifndef SB_CLI_BENCH_H
#define SB_CLI_BENCH_H

#include "base/buffer.h"
#include "cli/model_choice.h"
#include "cli/texts.h"

#include <stdint.h>

struct sb_bench {
    const char *input; /* NULL: the built-in sentences */
    size_t count;      /* texts to use; 0: as many as the measurement wants */
    int repeat;        /* measurements, of which the median is reported */
    bool json;
    struct sb_model_choice model;
};

/* Each appends its results to out. */
typedef enum sb_status (*sb_bench_run)(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);
enum sb_status sb_bench_embed(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);
enum sb_status sb_bench_paraphrase(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);
enum sb_status sb_bench_train(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);
enum sb_status sb_bench_attention(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);
enum sb_status sb_bench_tokenize(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);
enum sb_status sb_bench_print_texts(struct sb_buffer *out, const struct sb_bench *bench, struct sb_error *error);

/* ---- texts ---- */

extern const char *const sb_bench_sentences[];
extern const size_t sb_bench_sentence_count;

/* Zero-initialise. */
struct sb_bench_input {
    char **items; /* [count] */
    size_t count;
    bool owns_items;
    struct sb_texts *texts;
    struct sb_text_batch batch; /* all of them */
};

/* bench->count texts, without it `wanted`: of the built-in ones, from the start again when they run out, or of the
   input, at most as many as it has. */
SB_MUST_CHECK enum sb_status sb_bench_load(struct sb_bench_input *input, const struct sb_bench *bench, size_t wanted,
                                           struct sb_error *error);
void sb_bench_input_free(struct sb_bench_input *input);

/* ---- times, in seconds ---- */

/* Zero-initialise. */
struct sb_bench_times {
    double *wall, *cpu; /* [count] each; cpu: of all threads of this process */
    size_t count, capacity;
    double wall_start, cpu_start;
};
SB_MUST_CHECK enum sb_status sb_bench_times_reserve(struct sb_bench_times *times, size_t capacity,
                                                    struct sb_error *error);
void sb_bench_times_free(struct sb_bench_times *times);
void sb_bench_start(struct sb_bench_times *times);
void sb_bench_stop(struct sb_bench_times *times); /* at most capacity times */

/* The value below which the fraction p of values[n] lies; sorts them. n >= 1. */
double sb_bench_quantile(double *values, size_t n, double p);

#endif
