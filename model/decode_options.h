/*
 * How to decode. Names and meanings are Hugging Face's generation options (REFERENCE section 5); with `reference` the
 * beam search is the one of the SimBERT scripts.
 *
 *     struct sb_decode_options options = sb_decode_defaults();
 *     options.do_sample = false;
 *     options.num_beams = options.num_sequences = 4;
 *     sb_decoder_new(&decoder, &options, &input, &error);           // model/decode.h; checks the options
 *
 * What goes with what: do_sample draws num_sequences samples and takes no beams; without it num_beams 1 is greedy
 * search and more is beam search, to which alone belong num_beam_groups, force_words and length_penalty. temperature,
 * top_k and top_p act on samples only.
 */
#ifndef SB_MODEL_DECODE_OPTIONS_H
#define SB_MODEL_DECODE_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SB_MAX_SEQUENCES = 1000,
    SB_MAX_BEAMS = 64,
    SB_MAX_NEW_TOKENS = 8192,
    SB_MAX_BAD_WORDS = 4096,
    SB_MAX_FORCE_WORDS = 32,
};

enum sb_early_stopping {
    SB_STOP_FALSE, /* when the best running beam, as it stands, does not beat the worst finished one */
    SB_STOP_TRUE,  /* as soon as num_beams hypotheses have ended */
    SB_STOP_NEVER, /* when no running beam can beat the worst finished one */
};

/* Lists of token id sequences, one behind the other: sequence i is ids[ends[i-1], ends[i]). Borrowed by the options. */
struct sb_token_lists {
    const int32_t *ids;
    const size_t *ends; /* [count] */
    size_t count;
};

struct sb_decode_options {
    bool do_sample;      /* sampling, else beam search (greedy when num_beams is 1) */
    int num_sequences;   /* how many hypotheses to return */
    int num_beams;       /* beam search: live hypotheses */
    int num_beam_groups; /* divides num_beams; > 1: diverse beam search */
    double diversity_penalty;
    int top_k;    /* 0: off */
    double top_p; /* 1: off */
    double temperature;
    double length_penalty; /* beams are ranked by score / length^length_penalty */
    enum sb_early_stopping early_stopping;
    int no_repeat_ngram_size;  /* 0: off; the prompt's n-grams count */
    double repetition_penalty; /* 1: off; the prompt's tokens count */
    int min_new_tokens;        /* the end token counts, as in Hugging Face */
    int max_new_tokens;
    struct sb_token_lists bad_words; /* the end token alone is ignored, as in Hugging Face */
    struct sb_token_lists force_words;
    uint64_t seed;  /* sampling: the same seed gives the same texts whatever else runs */
    bool reference; /* beam search of the reference: topk = num_beams, min_ends, minlen = min_new_tokens */
    int reference_min_ends;
};

struct sb_decode_options sb_decode_defaults(void); /* one sample with top_k 5, temperature 1, max_new_tokens 64 */

/* SB_INVALID names the option, its bound and what it was. */
SB_MUST_CHECK enum sb_status sb_decode_options_check(const struct sb_decode_options *options, size_t vocab_size,
                                                     struct sb_error *error);

#endif
