/*
 * How to decode. Names and meanings are Hugging Face's generation options (REFERENCE section 5); with `reference` the beam search
 * is the one of the SimBERT scripts.
 */
#ifndef SB_MODEL_DECODE_OPTIONS_H
#define SB_MODEL_DECODE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_early_stopping {
    SB_STOP_FALSE, /* stop when the best running beam is unlikely to beat the worst finished one (Hugging Face 5.x heuristic) */
    SB_STOP_TRUE,  /* stop as soon as num_beams hypotheses have ended */
    SB_STOP_NEVER, /* stop when no running beam can beat the worst finished one */
};

/* Lists of token id sequences, one behind the other: sequence i is ids[ends[i-1], ends[i]). Borrowed by the options. */
struct sb_token_lists {
    const int32_t *ids;
    const size_t *ends; /* [count] */
    size_t count;
};

struct sb_decode_options {
    bool do_sample;          /* sampling, else beam search (greedy when num_beams is 1) */
    int num_sequences;       /* how many hypotheses to return */
    int num_beams;           /* beam search: live hypotheses */
    int num_beam_groups;     /* divides num_beams; > 1: diverse beam search */
    double diversity_penalty;
    int top_k;               /* 0: off */
    double top_p;            /* 1: off */
    double temperature;
    double length_penalty;
    enum sb_early_stopping early_stopping;
    int no_repeat_ngram_size; /* 0: off */
    double repetition_penalty; /* 1: off */
    int min_new_tokens;       /* the end token counts, as in Hugging Face */
    int max_new_tokens;
    struct sb_token_lists bad_words, force_words;
    uint64_t seed;           /* sampling: the same seed gives the same texts whatever else runs */
    bool reference;          /* beam search of the reference: topk = num_beams, min_ends, minlen = min_new_tokens */
    int reference_min_ends;
};

struct sb_decode_options sb_decode_defaults(void); /* sampling with top_k 5, temperature 1, max_new_tokens 64 */

#endif
