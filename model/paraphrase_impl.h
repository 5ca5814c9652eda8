/*
 * Inside of paraphrasing: the source's rows and the list of candidates. Only model/paraphrase*.c include this.
 */
#ifndef SB_MODEL_PARAPHRASE_IMPL_H
#define SB_MODEL_PARAPHRASE_IMPL_H

#include "model/decode.h"
#include "model/paraphrase.h"
#include "model/text_normalize.h"

/* ---- paraphrase_source.c: the text as the model reads it ---- */

struct sb_paraphrase_source {
    int32_t *ids; /* [length]: [CLS] text [SEP] */
    int32_t
        *prompt; /* [length]: the same with [MASK] where words are to be reworded; ids itself when there is no mask */
    size_t length;
    struct sb_code_points normalized; /* of the text as it was cut */
};

/* max_length: tokens that the source may have. */
SB_MUST_CHECK enum sb_status sb_paraphrase_source_read(struct sb_paraphrase_source *source,
                                                       const struct sb_tokenizer *tokenizer, const char *text,
                                                       size_t size, size_t max_length, const struct sb_text_range *mask,
                                                       size_t mask_count, struct sb_error *error);
void sb_paraphrase_source_free(struct sb_paraphrase_source *source);

/* ---- paraphrase_candidates.c: what was generated, and what remains of it ---- */

struct sb_paraphrase_candidate {
    struct sb_paraphrase result; /* text is owned */
    size_t index;                /* sample number or rank of the beam */
    struct sb_code_points normalized;
    int32_t *ids; /* [length]: its row to be embedded */
    size_t length;
    bool offered, embedded;
    bool reported; /* it, or one that is the same text, went to on_candidate */
};

struct sb_paraphrase_candidates {
    struct sb_paraphrase_candidate *items; /* [capacity] */
    size_t count, capacity, to_embed;      /* to_embed: candidates that wait for their vector */
    struct sb_paraphrase *results;         /* [capacity] */
    size_t result_count;
    const int32_t *last_ids; /* of the hypothesis before: equal samples come one behind the other */
    int64_t *last_counter;   /* what became of it; NULL: it was taken */
    struct sb_paraphrase_counts counts;
    /* Scratch. */
    struct sb_buffer text;
    struct sb_encoding encoding;
    size_t *distances; /* [distances_capacity] */
    size_t distances_capacity;
};

/* capacity: how many hypotheses there will be. */
SB_MUST_CHECK enum sb_status sb_paraphrase_candidates_init(struct sb_paraphrase_candidates *candidates, size_t capacity,
                                                           struct sb_error *error);
void sb_paraphrase_candidates_free(struct sb_paraphrase_candidates *candidates);

/* Counts the hypothesis as dropped, or adds it as a candidate to be embedded. */
SB_MUST_CHECK enum sb_status
sb_paraphrase_candidates_add(struct sb_paraphrase_candidates *candidates, const struct sb_hypothesis *hypothesis,
                             const struct sb_paraphrase_source *source, const struct sb_tokenizer *tokenizer,
                             size_t max_length, const struct sb_paraphrase_options *options, struct sb_error *error);

/* The candidate's similarity is known: reports it when it passes and is the first of its kind. */
void sb_paraphrase_candidates_embedded(struct sb_paraphrase_candidates *candidates, size_t i,
                                       const struct sb_paraphrase_options *options);

/* All are embedded: fills results. */
void sb_paraphrase_candidates_rank(struct sb_paraphrase_candidates *candidates,
                                   const struct sb_paraphrase_options *options);

#endif
