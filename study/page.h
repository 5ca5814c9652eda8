/*
 * The results of a study as text: JSON, a page in Markdown, a plot as SVG.
 *
 *     struct sb_buffer out = {0};
 *     sb_study_put_page(&out, results, &about);
 *
 * Thread rule: that of the buffer.
 */
#ifndef SB_STUDY_PAGE_H
#define SB_STUDY_PAGE_H

#include "base/buffer.h"
#include "study/study.h"

void sb_study_put_json(struct sb_buffer *out, const struct sb_study_results *results, const struct sb_study_about *about);
/* Shows the plot as study.svg. */
void sb_study_put_page(struct sb_buffer *out, const struct sb_study_results *results, const struct sb_study_about *about);
/* The runs' training losses, smoothed, or the study's curve at the checks: means over the seeds. SB_NO_MEMORY. */
SB_MUST_CHECK enum sb_status sb_study_put_plot(struct sb_buffer *out, const struct sb_study_results *results,
                                               struct sb_error *error);

#endif
