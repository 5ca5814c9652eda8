/*
 * Inside of training data: a file's bytes, the layout of its lines, and a line's example. Only training/data_*.c and
 * their tests include this.
 */
#ifndef SB_TRAINING_DATA_IMPL_H
#define SB_TRAINING_DATA_IMPL_H

#include "training/data.h"

/* ---- data_source.c: bytes at any offset, decompressed ---- */

struct sb_source {
    int fd;
    uint64_t size;
};

/* path ending in .gz or .xz is decompressed into a nameless file in folder (NULL: $TMPDIR, else /tmp). More than bytes_max bytes are
   SB_LIMIT, or with beginning are left out. */
SB_MUST_CHECK enum sb_status sb_source_open(struct sb_source *source, const char *path, const char *folder,
                                            uint64_t bytes_max, bool beginning, struct sb_error *error);
void sb_source_close(struct sb_source *source);

/* Reads up to size bytes at offset; fewer only at the end of the file. path is for messages. */
SB_MUST_CHECK enum sb_status sb_source_read(const struct sb_source *source, const char *path, void *out, size_t size,
                                            uint64_t offset, size_t *got, struct sb_error *error);

/* ---- data_format.c: how a file's lines are laid out ---- */

enum { SB_COLUMNS_MAX = 32, SB_TEXTS_MAX = 3 };

enum sb_role { SB_ROLE_A, SB_ROLE_B, SB_ROLE_C, SB_ROLE_LABEL, SB_ROLES, SB_ROLE_NONE = SB_ROLES };

struct sb_data_format {
    enum sb_data_kind kind;
    bool json;               /* else lines of columns, or bare sentences */
    bool header;             /* the first line names the columns */
    int columns;             /* of a line; 1: the line is the text, tabs and all */
    int column_of[SB_ROLES]; /* -1: there is none */
    bool labelled;           /* pairs: lines have a label */
    double score_low, score_high;
};

/* sample: the first bytes of the file, whole lines. kind and columns as in struct sb_data_file. */
SB_MUST_CHECK enum sb_status sb_data_format_find(struct sb_data_format *format, const struct sb_data_file *file,
                                                 const char *sample, size_t size, struct sb_error *error);

/* The role that a key of JSON or the name of a column stands for. */
enum sb_role sb_role_of_name(const char *name, size_t size);
/* Entailment, neutral, contradiction as words or 0, 1, 2; -1: none of them. */
int sb_nli_label(const char *text, size_t size);
/* A number and nothing else. */
bool sb_data_number(const char *text, size_t size, double *value);

/* Without white space at both ends. */
struct sb_text_view sb_trimmed(const char *text, size_t size);
/* Columns of a line, as many as fit; returns how many the line has. */
int sb_split_columns(struct sb_text_view columns[SB_COLUMNS_MAX], const char *line, size_t size);

/* ---- data_line.c ---- */

/* A line without its line end -> its texts and label (of pairs: the score as it stands). What is wrong goes to what. SB_NO_MEMORY
   is told by *failed. */
enum sb_drop sb_data_parse_line(struct sb_example *example, const struct sb_data_format *format, const char *line,
                                size_t size, char *what, size_t what_size, bool *failed);

#endif
