/*
 * simbert eval: what its parts share, and the measuring of one file for whoever else wants it (before and after
 * training).
 *
 *     struct sb_eval_options options = sb_eval_defaults();
 *     struct sb_eval_result result;
 *     if (sb_eval_file(&result, workers, "faq.tsv", &options, &error) == SB_OK)
 *         sb_eval_put_json(&out, &result, model);
 *
 * What is measured depends on what the file holds. Pairs with labels: how the cosines go with the labels. Pairs of label
 * 1 and synonyms: retrieval, and if the model can write, likelihood and paraphrases. Pairs with graded scores: only how
 * the cosines go with the scores, because it is not said which of them mean the same.
 *
 * Nothing depends on the number of threads.
 */
#ifndef SB_CLI_EVAL_H
#define SB_CLI_EVAL_H

#include "base/buffer.h"
#include "cli/workers.h"
#include "training/data.h"
#include "training/evaluation.h"
#include "training/evaluation_likelihood.h"

#include <stdbool.h>

struct sb_eval_options {
    size_t limit;     /* examples of a file, a sample that `seed` names; 0: all */
    double threshold; /* of the accuracy that is reported beside the best one */
    size_t texts;     /* whose likelihood and paraphrases are measured, a sample likewise; 0: none */
    int paraphrases;  /* of each; 0: none */
    bool decodes;     /* also what is written greedily and by beam search to each of these texts */
    size_t seed;
    struct sb_data_file form; /* format, columns and score range of the file; zero: found out from its lines */
    bool tolerant;    /* bad lines are left out; otherwise they are an error: figures of a part would pass for those of all */
    const char *progress; /* SB_PROGRESS_CHOICES */
    bool json;            /* for the progress, which by itself is not shown with JSON */
};
struct sb_eval_options sb_eval_defaults(void);

enum { SB_EVAL_CUTOFFS = 3 };
extern const size_t sb_eval_cutoffs[SB_EVAL_CUTOFFS]; /* 1, 5, 10 */

/* Query: the first text of a pair of label 1, or of synonyms. Candidates: all texts of the file but the query. */
struct sb_eval_retrieval {
    size_t queries, candidates; /* queries 0: not measured */
    double mrr;
    double recall[SB_EVAL_CUTOFFS]; /* share of a query's relevant texts among the first k, mean over the queries */
};

/* Of samples by top_k 5, as in the SimBERT scripts. */
struct sb_eval_paraphrases {
    size_t texts, written, kept;      /* written: samples; kept: without copies, duplicates and empty ones */
    double copy_rate, duplicate_rate; /* shares of what was written: equal to the source, to an earlier sample */
    double similarity, edit_distance; /* to the source, means over what was kept */
    double distinct[2];               /* distinct-1, -2: means over the texts of which something was kept */
};

/* What is written without sampling, against the given paraphrase. */
struct sb_eval_decoding {
    double f1;     /* of pairs of neighbouring characters, mean over the texts */
    double ended;  /* share that ended before it was cut off */
    double copies; /* share that is the text itself */
};

struct sb_eval_result {
    const char *path; /* borrowed from the caller */
    enum sb_data_kind kind;
    size_t examples;
    bool graded;                   /* scores other than 0 and 1 */
    struct sb_pair_measures pairs; /* count 0: no labels that differ */
    struct sb_eval_retrieval retrieval;
    size_t likelihood_pairs;
    struct sb_likelihood likelihood;
    bool decoded;
    struct sb_eval_decoding greedy, beam; /* of the same texts as the likelihood */
    struct sb_eval_paraphrases paraphrases;
};

/* Errors name the file, and the line if it is one line's fault. */
SB_MUST_CHECK enum sb_status sb_eval_file(struct sb_eval_result *result, struct sb_workers *workers, const char *path,
                                          const struct sb_eval_options *options, struct sb_error *error);

void sb_eval_put_json(struct sb_buffer *out, const struct sb_eval_result *result, const struct sb_model *model);
void sb_eval_put_table(struct sb_buffer *out, const struct sb_eval_result *result, const struct sb_model *model);

/* ---- cli/eval_data.c: what a file says, every text once ---- */

struct sb_eval_pair {
    size_t a, b; /* of texts */
    float label;
};

/* The texts that mean the same as `text`: relevant[first, first + count). */
struct sb_eval_query {
    size_t text, first, count;
};

struct sb_eval_data {
    char **texts;                  /* [text_count], all different, in the order of their first occurrence */
    struct sb_eval_pair *pairs;    /* [pair_count]; synonyms: the text and each of its synonyms, label 1 */
    struct sb_eval_query *queries; /* [query_count]; none of graded scores */
    size_t *relevant;              /* [relevant_count] of texts */
    size_t text_count, pair_count, query_count, relevant_count;
    bool labelled, graded; /* labels differ; some are neither 0 nor 1 */
};

SB_MUST_CHECK enum sb_status sb_eval_data_read(struct sb_eval_data *eval, struct sb_eval_result *result,
                                               const struct sb_eval_options *options, struct sb_error *error);
void sb_eval_data_free(struct sb_eval_data *eval);

/* ---- cli/eval_similarity.c, cli/eval_generation.c: fill their parts of the result ---- */

SB_MUST_CHECK enum sb_status sb_eval_similarity(struct sb_eval_result *result, const struct sb_eval_data *eval,
                                                struct sb_workers *workers, const struct sb_eval_options *options,
                                                struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_eval_generation(struct sb_eval_result *result, const struct sb_eval_data *eval,
                                                struct sb_workers *workers, const struct sb_eval_options *options,
                                                struct sb_error *error);

#endif
