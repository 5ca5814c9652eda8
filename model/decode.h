/*
 * Decoding: a state machine that turns logits into texts of token ids. It never sees the network: it says which tokens
 * it needs logits for and takes them, so its rows can share forward passes with any other work, and one loop serves
 * sampling, greedy and beam search.
 *
 *     struct sb_decoder_input input = {.prompt = ids, .prompt_length = n, .vocab_size = vocab_size, .end_id = sep,
 *                                      .kernels = kernels};
 *     struct sb_decoder *decoder;
 *     if (sb_decoder_new(&decoder, &options, &input, &error) != SB_OK) ...
 *     sb_decoder_start(decoder, logits_behind_the_prompt);
 *     while (!sb_decoder_finished(decoder)) {
 *         struct sb_decoder_row row;
 *         for (size_t i = 0; i < sb_decoder_rows(decoder); i++)
 *             if (sb_decoder_row(decoder, i, &row))
 *                 sb_decoder_accept(decoder, i, logits_of(&row));
 *     }
 *     use(sb_decoder_result(decoder, 0));
 *     sb_decoder_free(decoder);
 *
 * Rows and slots. A live hypothesis is a row. Where its keys and values lie in the cache (model/kv_cache.h) is a path
 * of slot numbers; hypotheses that begin alike share the beginning of their paths, so a fork copies numbers only.
 * Samples that have drawn the same tokens so far are one row: with peaked models a hundred samples begin as a handful
 * of rows. At most max_rows rows live at a time and sb_decoder_slots() slots are in use; samples that find no row wait.
 *
 * Results do not depend on max_rows, nor on the order or the grouping in which rows are accepted: a sample's random
 * numbers are a function of (seed, sample, step).
 *
 * Everything is allocated in sb_decoder_new. Thread rule: one thread at a time.
 */
#ifndef SB_MODEL_DECODE_H
#define SB_MODEL_DECODE_H

#include "kernels/kernels.h"
#include "model/decode_options.h"

enum { SB_DECODER_ROWS = 32 }; /* samples that live at a time, unless max_rows says otherwise */

struct sb_decoder_input {
    const int32_t *prompt; /* copied; its tokens count for the repetition penalty and for n-grams */
    size_t prompt_length;
    size_t vocab_size;
    int32_t end_id;
    const int32_t *banned; /* copied: tokens that never come, beside options->bad_words */
    size_t banned_count;
    const struct sb_kernels *kernels; /* borrowed */
    size_t max_rows;                  /* of samples; 0: SB_DECODER_ROWS. Beam search has num_beams rows always */
};

struct sb_decoder;

/* Options are checked and copied, lists included. */
SB_MUST_CHECK enum sb_status sb_decoder_new(struct sb_decoder **decoder, const struct sb_decode_options *options,
                                            const struct sb_decoder_input *input, struct sb_error *error);
void sb_decoder_free(struct sb_decoder *decoder);

/* Target slots that the cache must have, at least 1. */
size_t sb_decoder_slots(const struct sb_decoder *decoder);
/* The same before there is a decoder, to see what it would cost; options must have passed their check. */
size_t sb_decoder_slots_of(const struct sb_decode_options *options, size_t max_rows);

/* Takes the logits [vocab_size] behind the prompt's last token. Once, first. */
void sb_decoder_start(struct sb_decoder *decoder, const float *logits);

/* A token whose logits are needed. Pointers are borrowed until the row is accepted. */
struct sb_decoder_row {
    const int32_t *history; /* the prompt and the generated tokens; the last one is to be fed */
    size_t length;          /* of the history; the fed token's position is length - 1 */
    const int32_t *path;    /* slots of the generated tokens before the last */
    size_t path_length;
    int32_t slot; /* for the keys and values of the last */
};

/* Row indices are below this number; it never changes. */
size_t sb_decoder_rows(const struct sb_decoder *decoder);
/* False when row i needs nothing now: it is empty, or was accepted and waits for its fellow beams. */
bool sb_decoder_row(const struct sb_decoder *decoder, size_t i, struct sb_decoder_row *row);
/* The logits [vocab_size] of row i, for which sb_decoder_row was true. Moves row i (samples), or with the last row of a
   step every row (beams), on to its next token. */
void sb_decoder_accept(struct sb_decoder *decoder, size_t i, const float *logits);

bool sb_decoder_finished(const struct sb_decoder *decoder);

struct sb_hypothesis {
    const int32_t *ids; /* generated tokens, the end token included if it came */
    size_t length;
    double score;   /* beams: what they are ranked by; samples: logprob */
    double logprob; /* sum of the model's own log probabilities, before processors, temperature and the like */
    bool stopped;   /* ended with the end token, else cut at max_new_tokens (or because every token was forbidden) */
    bool satisfied; /* holds all forced words; true when there are none */
    size_t index;   /* samples: the sample's number; beams: the rank */
};

/* Results so far, borrowed from the decoder: samples in the order in which they are completed (equal ones one behind
   the other, sharing ids), beams all at once at the end, the best first. */
size_t sb_decoder_results(const struct sb_decoder *decoder);
const struct sb_hypothesis *sb_decoder_result(const struct sb_decoder *decoder, size_t i);

#endif
