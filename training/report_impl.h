/* What the files of the report share. */
#ifndef SB_TRAINING_REPORT_IMPL_H
#define SB_TRAINING_REPORT_IMPL_H

#include "training/report.h"

/* Texts and counts of the report under their JSON names; the last key is NULL. */
struct sb_report_field {
    const char *key;
    size_t offset; /* of a char * or uint64_t in struct sb_report */
};
extern const struct sb_report_field sb_report_texts[], sb_report_counts[];
char **sb_report_text_field(struct sb_report *report, size_t i);
uint64_t *sb_report_count_field(struct sb_report *report, size_t i);

/* Columns of the points likewise: a double in struct sb_report_point. */
extern const struct sb_report_field sb_report_columns[];
double *sb_report_column(struct sb_report_point *point, size_t i);

/* Makes room for points with parts of these names; false, and failed, without memory. */
bool sb_report_begin_points(struct sb_report *report, const char *const *names, size_t count);

/* What a measure's name ("pairs.dev.spearman") says: what was measured, on which file, and what is known about it. */
struct sb_report_measure_kind {
    const char *name;
    int better; /* 1: larger, -1: smaller, 0: neither is */
    const char *meaning;
};
/* The part behind the last dot. */
const char *sb_report_measure_of(const char *name);
/* NULL: none that this program knows. */
const struct sb_report_measure_kind *sb_report_measure_kind(const char *measure);

/* Appends the curves, as HTML. */
void sb_report_put_charts(struct sb_buffer *out, const struct sb_report *report);

#endif
