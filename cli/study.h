/*
 * simbert study: what its parts share.
 *
 *   study.c            the command line, progress, files
 *   study_measure.c    what a trained model is worth, by the parts of simbert eval
 *   study_decoding.c   what it writes, greedily and by beam search
 */
#ifndef SB_CLI_STUDY_H
#define SB_CLI_STUDY_H

#include "cli/eval.h"
#include "study/study.h"

/* All borrowed. */
struct sb_study_measurer {
    const char *dev, *dtype;
    size_t pairs, texts; /* samples of dev */
    int threads;
};

/* Adds the parts of the study that are asked for (enum sb_study_part). */
SB_MUST_CHECK enum sb_status sb_study_measure_model(const struct sb_study_measurer *measurer,
                                                    struct sb_study_measures *measures, const char *model, unsigned parts,
                                                    struct sb_error *error);

/* For a sample of the queries: what is written to their text, against the first relevant one. greedy_f1, greedy_ended, greedy_copies,
   and the same by beams. */
SB_MUST_CHECK enum sb_status sb_study_measure_decoding(struct sb_study_measures *measures, struct sb_workers *workers,
                                                       const struct sb_eval_data *eval, const struct sb_eval_options *options,
                                                       struct sb_error *error);

#endif
