/*
 * Paraphrases of a text: generate candidates, drop copies and duplicates, embed, filter, rank (REFERENCE section 5,
 * gen_synonyms). A task (model/task.h), so the server can mix it with other work.
 *
 *     struct sb_paraphrase_options options = sb_paraphrase_defaults();
 *     struct sb_task *task;
 *     sb_paraphrase_task_new(&task, model, text, size, &options, &error);
 *     sb_task_run(task, session, &error);
 *     size_t count;
 *     const struct sb_paraphrase *best = sb_paraphrase_task_results(task, &count);
 *     sb_task_free(task);
 *
 * The same text, options and seed give the same results, whatever else runs.
 */
#ifndef SB_MODEL_PARAPHRASE_H
#define SB_MODEL_PARAPHRASE_H

#include "model/decode_options.h"
#include "model/task.h"

/* What the key/value cache of one task may take. Sampling keeps within it by running fewer samples at a time; beams
   that need more are refused. */
#define SB_PARAPHRASE_CACHE_BYTES ((size_t)384 << 20)

/* Code points [start, end) of the text. */
struct sb_text_range {
    size_t start, end;
};

struct sb_paraphrase {
    const char *text; /* NUL-terminated UTF-8 */
    size_t size;
    double similarity; /* cosine to the source text */
    double logprob;    /* sum over the tokens, end token included; the model's own, whatever the sampling options */
    int edit_distance; /* code points, after normalisation as for duplicates (model/text_normalize.h) */
    bool stopped;      /* ended by itself ("stop"), else cut at max_new_tokens ("length") */
};

struct sb_paraphrase_options {
    /* decode.num_sequences is set: num_candidates when sampling, the smaller of num_beams and num_candidates for beams
       (so greedy search, num_beams 1, makes one candidate), 1 for the reference's search. */
    struct sb_decode_options decode;
    int n;                                 /* results wanted at most, 20 */
    int num_candidates;                    /* generated, 100; >= n */
    double min_similarity, max_similarity; /* -1, 1.01: everything */
    int min_edit_distance;                 /* 0 */
    bool drop_copies;                 /* candidates equal to the source after normalisation; duplicates always go */
    bool rerank;                      /* order by similarity, else by generation order (beam: by score) */
    const struct sb_text_range *mask; /* words replaced by [MASK] before generating, which forces them to be reworded */
    size_t mask_count;
    /* Not NULL: called as soon as a candidate has passed the filters, in completion order, on the computing thread. It
       must not block. candidate is borrowed for the call. Of candidates that are the same text after normalisation the
       first completed is reported; the results hold that of the lowest sample number, so that they do not depend on
       timing. */
    void (*on_candidate)(void *context, const struct sb_paraphrase *candidate);
    void *context;
};

struct sb_paraphrase_options sb_paraphrase_defaults(void);

/* SB_UNSUPPORTED when the model cannot generate; SB_INVALID names the option and its bound; SB_LIMIT: the beams' cache
   would pass SB_PARAPHRASE_CACHE_BYTES. Text and options are copied, lists too. Source and candidate share the model's
   positions: a text is cut at the best separator to what max_new_tokens leaves, but not to less than half of the
   positions, and max_new_tokens is lowered to what the text leaves. */
SB_MUST_CHECK enum sb_status sb_paraphrase_task_new(struct sb_task **task, struct sb_model *model, const char *text,
                                                    size_t size, const struct sb_paraphrase_options *options,
                                                    struct sb_error *error);

/* The results in final order, borrowed from the task; none unless it has finished with SB_OK. */
const struct sb_paraphrase *sb_paraphrase_task_results(const struct sb_task *task, size_t *count);

struct sb_paraphrase_counts {
    int64_t source_tokens;
    int64_t generated_tokens; /* of all candidates, end tokens included */
    int64_t decode_steps;     /* tokens fed: fewer, because candidates share their beginnings */
    /* A candidate is dropped for the first of these reasons that holds. */
    int64_t dropped_force_words, dropped_empty, dropped_copies, dropped_duplicates;
    int64_t dropped_edit_distance, dropped_similarity;
    size_t cache_bytes;
};
struct sb_paraphrase_counts sb_paraphrase_task_counts(const struct sb_task *task);

#endif
