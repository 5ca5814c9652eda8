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
 */
#ifndef SB_MODEL_PARAPHRASE_H
#define SB_MODEL_PARAPHRASE_H

#include "model/decode_options.h"
#include "model/task.h"

/* Code points [start, end) of the text. */
struct sb_text_range {
    size_t start, end;
};

struct sb_paraphrase {
    const char *text; /* NUL-terminated UTF-8 */
    size_t size;
    double similarity; /* cosine to the source text */
    double logprob;    /* sum over the tokens, end token included */
    int edit_distance; /* code points, after normalisation as for duplicates */
    bool stopped;      /* ended by itself ("stop"), else cut at max_new_tokens ("length") */
};

struct sb_paraphrase_options {
    struct sb_decode_options decode; /* decode.num_sequences is set from num_candidates */
    int n;                           /* results wanted at most, 20 */
    int num_candidates;              /* generated, 100; >= n */
    double min_similarity, max_similarity; /* -1, 1.01: everything */
    int min_edit_distance;           /* 0 */
    bool drop_copies;                /* candidates equal to the source after normalisation; duplicates always go */
    bool rerank;                     /* order by similarity, else by generation order (beam: by score) */
    const struct sb_text_range *mask; /* words replaced by [MASK] before generating, which forces them to be reworded */
    size_t mask_count;
    /* Not NULL: called as soon as a candidate has passed the filters, in completion order, on the computing thread. It must
       not block. candidate is borrowed for the call. */
    void (*on_candidate)(void *context, const struct sb_paraphrase *candidate);
    void *context;
};

struct sb_paraphrase_options sb_paraphrase_defaults(void);

/* SB_UNSUPPORTED when the model cannot generate; SB_INVALID names the option and its bound. The text is copied; texts longer than
   the model takes are cut at the best separator. Long lists in options are copied too. */
SB_MUST_CHECK enum sb_status sb_paraphrase_task_new(struct sb_task **task, struct sb_model *model, const char *text, size_t size,
                                                    const struct sb_paraphrase_options *options, struct sb_error *error);

/* The results in final order, borrowed from the task. */
const struct sb_paraphrase *sb_paraphrase_task_results(const struct sb_task *task, size_t *count);

struct sb_paraphrase_counts {
    int64_t source_tokens, generated_tokens, decode_steps;
    int64_t dropped_copies, dropped_duplicates, dropped_similarity, dropped_edit_distance, dropped_empty;
    size_t cache_bytes;
};
struct sb_paraphrase_counts sb_paraphrase_task_counts(const struct sb_task *task);

#endif
