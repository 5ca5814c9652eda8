/*
 * Logits processors: rules that raise, lower or forbid tokens before one is chosen. They work in place on one row of
 * logits (sampling) or of log probabilities (beam search) and forbid with minus infinity, as Hugging Face's 5.x
 * processors do.
 *
 *     sb_processors_apply(&processors, row, history, length);   // all that the options ask for, in Hugging Face's
 * order
 *
 * A history is the prompt's tokens and the generated ones behind them. Thread rule: one thread at a time (`stamps`).
 */
#ifndef SB_MODEL_LOGITS_PROCESSORS_H
#define SB_MODEL_LOGITS_PROCESSORS_H

#include "model/decode_options.h"

/* All pointers are borrowed. */
struct sb_processors {
    const struct sb_decode_options *options;
    size_t vocab_size, prompt_length;
    int32_t end_id;
    const int32_t *banned; /* tokens that never come: [banned_count] */
    size_t banned_count;
    uint32_t *stamps; /* [vocab_size], zeroed before the first use: when a token was last seen */
    uint32_t stamp;
};

/* row[vocab_size] in place. */
void sb_processors_apply(struct sb_processors *processors, float *row, const int32_t *history, size_t length);

/* The single rules. Every token of the history once: x < 0 ? x * penalty : x / penalty. */
void sb_repetition_penalty(struct sb_processors *processors, float *row, const int32_t *history, size_t length);

/* Forbids what would repeat an n-gram of the history. */
void sb_no_repeat_ngram(float *row, const int32_t *history, size_t length, size_t n);

/* Forbids the last token of each word whose other tokens end the history. The word [end] and words longer than the
   history have no effect. */
void sb_bad_words(float *row, const int32_t *history, size_t length, const struct sb_token_lists *words,
                  int32_t end_id);

/* Diverse beam search (4.46): row[t] -= penalty * how often earlier groups chose t in this step. Comes before all
 * others. */
void sb_hamming_penalty(float *row, const int32_t *chosen, size_t count, double penalty);

#endif
