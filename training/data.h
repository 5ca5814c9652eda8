/*
 * Training examples from files, read one at a time: no file is ever loaded whole.
 *
 *     struct sb_data_file file = {.path = "faq.jsonl"};
 *     struct sb_data_options options = sb_data_defaults();
 *     struct sb_data *data;
 *     sb_data_open(&data, &file, 1, &options, &error);             // reads every line once and checks it
 *     struct sb_example example = {0};
 *     for (size_t i = 0; i < sb_data_count(data); i++) {
 *         sb_data_read(data, sb_permute(sb_data_count(data), seed, epoch, i), &example, &error);
 *         use(example.texts, example.count, example.label);
 *     }
 *     sb_example_free(&example);
 *     sb_data_close(data);
 *
 * A file is text in UTF-8, a line an example, or the same compressed (.gz, .xz: decompressed once into a nameless
 * temporary file). Opening notes where each good line starts, 8 bytes a line, so that reading any of them later is
 * one access, and any order costs no memory. A place in the data is (epoch, index): what is read there depends on
 * nothing else, so training resumes exactly.
 *
 * Lines that are no examples are dropped, counted by reason and the first ones named; too many of them are an error.
 *
 * Thread rule: data never changes after open; any number of threads may read, each into its own example.
 */
#ifndef SB_TRAINING_DATA_H
#define SB_TRAINING_DATA_H

#include "base/buffer.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a line says. In JSON lines the keys are those named here (others are ignored), in tab-separated ones the columns
 * are found by their names in a header line, else by what stands in them; see docs/training-data.md.
 */
enum sb_data_kind {
    SB_DATA_AUTO,      /* found out from the first lines */
    SB_DATA_SYNONYMS,  /* {"text": s, "synonyms": [s, ...]}: texts that mean the same; SimBERT's format */
    SB_DATA_PAIRS,     /* two texts, and a label 0 or 1 or a graded score; without one they mean the same */
    SB_DATA_TRIPLETS,  /* anchor, positive, negative */
    SB_DATA_NLI,       /* premise, hypothesis, and entailment, neutral or contradiction (0, 1, 2) */
    SB_DATA_CHAT,      /* {"messages": [{"role", "content"}, ...]}: the last user's text, the assistant's answer */
    SB_DATA_SENTENCES, /* the line, or "text" of a JSON object */
    SB_DATA_KINDS,
};
const char *sb_data_kind_name(enum sb_data_kind kind); /* "auto", "synonyms", "pairs", ... */
/* False if there is no such kind. */
bool sb_data_kind_parse(const char *name, enum sb_data_kind *kind);

struct sb_data_file {
    const char *path;
    enum sb_data_kind kind;
    /* Of tab-separated lines: what each column is, "a,b,label", "-,a,b,label" ("-": ignored), "a,b,c"; NULL: found out. */
    const char *columns;
    /* Scores of pairs become labels (score - low) / (high - low). Both 0: found out, from 0 to 1, 5 or 100, the first
       that holds all scores of the file. */
    double score_low, score_high;
};

struct sb_data_options {
    size_t bad_lines_max;         /* more bad lines in a file are an error: 100 */
    double bad_share_max;         /* so is a larger share of its lines: 0.01 */
    size_t line_max;              /* bytes of a line: 1 MiB */
    uint64_t bytes_max;           /* of a file, decompressed: 64 GiB */
    bool positives_only;          /* keep what gives two texts of one meaning: labels of at least .5, entailment */
    const char *temporary_folder; /* for decompressed files; NULL: $TMPDIR, else /tmp */
};
struct sb_data_options sb_data_defaults(void);

/* What a file is, by its first lines; labelled: its pairs have labels. Fails as sb_data_open does. */
SB_MUST_CHECK enum sb_status sb_data_detect(const struct sb_data_file *file, enum sb_data_kind *kind, bool *labelled,
                                            struct sb_error *error);

struct sb_data;

/* Checks every line of the files and notes the good ones. Paths are copied. SB_NOT_FOUND, SB_IO: a file can not be read;
   SB_INVALID: it has too many bad lines, or nothing at all, or its kind is not clear; SB_CORRUPT: it can not be
   decompressed; SB_LIMIT: it is too large. */
SB_MUST_CHECK enum sb_status sb_data_open(struct sb_data **data, const struct sb_data_file *files, size_t count,
                                          const struct sb_data_options *options, struct sb_error *error);
void sb_data_close(struct sb_data *data); /* NULL is fine */

size_t sb_data_count(const struct sb_data *data);   /* examples of all files, one file behind the other */
unsigned sb_data_kinds(const struct sb_data *data); /* bit 1 << kind of those that occur */
uint64_t sb_data_hash(const struct sb_data *data);  /* of all bytes and how they are read: does a checkpoint fit? */

struct sb_text_view {
    const char *text; /* well-formed UTF-8 without white space at its ends; not ended by NUL */
    size_t size;      /* bytes, at least 1 */
};

/* Zero-initialise; reused from read to read. */
struct sb_example {
    enum sb_data_kind kind;           /* never SB_DATA_AUTO */
    const struct sb_text_view *texts; /* synonyms: all different; chat: user, assistant */
    size_t count;
    float label; /* pairs: in [0, 1]; NLI: 0 entailment, 1 neutral, 2 contradiction; otherwise 1 */
    /* Inside: what texts point into. */
    struct sb_buffer line, bytes;
    struct sb_text_view *views;
    size_t capacity;
};
void sb_example_free(struct sb_example *example);

/* Example number < count. SB_IO, SB_CORRUPT: the file was changed since it was opened. */
SB_MUST_CHECK enum sb_status sb_data_read(const struct sb_data *data, size_t number, struct sb_example *example,
                                          struct sb_error *error);

/* Where an example stands, for messages: "faq.jsonl, byte 1024", the start of its line. number < count. */
void sb_data_place(const struct sb_data *data, size_t number, char *out, size_t size);

/* ---- What was dropped ---- */

enum sb_drop {
    SB_DROP_NONE,
    SB_DROP_ENCODING, /* not UTF-8 */
    SB_DROP_LENGTH,   /* longer than line_max */
    SB_DROP_JSON,     /* not a JSON object */
    SB_DROP_FIELDS,   /* a key or column is missing or of the wrong type */
    SB_DROP_LABEL,    /* not a label, or a score out of its range */
    SB_DROP_EMPTY,    /* a text is empty */
    SB_DROP_NO_PAIR,  /* positives_only: not two texts of one meaning; nothing is wrong with the line */
    SB_DROP_REASONS,
};
const char *sb_drop_name(enum sb_drop reason); /* "not UTF-8", "no JSON object", ... */

enum { SB_DATA_PROBLEMS = 20 };

struct sb_data_problem {
    size_t line; /* from 1 */
    enum sb_drop reason;
    char what[120];
};

struct sb_data_report {
    const char *path;
    enum sb_data_kind kind;
    size_t lines, blank, examples;
    size_t bad; /* dropped but for SB_DROP_NO_PAIR */
    size_t dropped[SB_DROP_REASONS];
    struct sb_data_problem problems[SB_DATA_PROBLEMS]; /* the first bad lines */
    size_t problem_count;
    double score_low, score_high; /* pairs: the range in use */
};
/* Of file < the number of files; borrowed. */
const struct sb_data_report *sb_data_report(const struct sb_data *data, size_t file);

/* ---- Order ---- */

/* The index-th of 0 ... count - 1 in an order that (seed, epoch) names: each comes once. A Feistel network over the next
   power of four, walked until it falls below count (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). */
size_t sb_permute(size_t count, uint64_t seed, uint64_t epoch, size_t index);

#endif
