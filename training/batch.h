/*
 * From examples to batches: which examples go into a batch, and the token rows, labels and scores that they become.
 *
 *     struct sb_batch_options options = sb_batch_defaults(SB_ROWS_SEQ2SEQ);
 *     struct sb_batches *batches;
 *     sb_batches_new(&batches, data, tokenizer, &options, &error);
 *     struct sb_batch batch = {0};
 *     for (uint64_t epoch = 0; epoch < epochs; epoch++)
 *         for (size_t i = 0; i < sb_batches_in_epoch(batches); i++) {
 *             sb_batches_build(batches, &batch, epoch, i, &error);
 *             forward(batch.rows, batch.row_count);
 *             size_t n = sb_batch_targets(&batch, 0, batch.row_count, positions, labels);
 *         }
 *     sb_batch_free(&batch);
 *     sb_batches_free(batches);
 *
 * A batch is a function of (data, tokenizer, options, epoch, number of the batch) and of nothing else: neither of the
 * batches built before, nor of threads. A checkpoint keeps two numbers. Processes that train together all build the same
 * batch and take a share of its rows each (sb_batch_share).
 *
 * Order. The examples of an epoch are shuffled and cut into batches whose sizes differ by one at most, so that none is
 * so small that its in-batch negatives are missing. With window > 1 the examples of that many neighbouring batches are
 * sorted by length before they are cut, and these batches shuffled. Rows are packed, so padding is no reason for it; it
 * evens out the lengths within a batch.
 *
 * Thread rule: one thread at a time for batches and a batch; data and tokenizer are borrowed and only read.
 */
#ifndef SB_TRAINING_BATCH_H
#define SB_TRAINING_BATCH_H

#include "base/status.h"
#include "model/network.h"
#include "tokenizer/tokenizer.h"
#include "training/data.h"
#include "training/losses.h"
#include "training/noise.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_rows {
    /* [CLS] a [SEP] b [SEP] with prefix |[CLS] a [SEP]|, then the same with b and a (REFERENCE 4); labels are b's tokens and
       the last [SEP]. Data that hold chats give one row: the user's text, then the answer. */
    SB_ROWS_SEQ2SEQ,
    /* [CLS] a [SEP], [CLS] b [SEP] (with want_negatives also [CLS] c [SEP]), bidirectional, no labels: for losses on vectors. A
       lone text is paired with itself, which dropout tells apart (Gao et al., SimCSE, 2021). */
    SB_ROWS_SENTENCES,
    SB_ROWS_CAUSAL_LM, /* [CLS] a [SEP], prefix 0; labels are all tokens but the first */
    SB_ROWS_MASKED_LM, /* [CLS] a [SEP] with tokens masked, bidirectional; labels where they were taken */
    SB_ROWS_DENOISING, /* [CLS] corrupted a [SEP] a [SEP]; labels as for SEQ2SEQ */
    SB_ROWS_KINDS,
};

/* What gives way when a pair is too long: always the longer text, at its end; a tie is the first one's. */
enum sb_pair_rule {
    SB_PAIR_SIMBERT,      /* the second text counts with a [CLS] of its own: bert4keras' encode */
    SB_PAIR_ROFORMER_SIM, /* the second text counts without one */
};

enum { SB_BATCH_MAX_EXAMPLES = 1 << 16, SB_BATCH_MAX_STREAM = 1 << 8 };

struct sb_batch_options {
    enum sb_rows rows;
    size_t examples;        /* of a batch: 64 pairs are 128 rows */
    size_t window;          /* batches that are sorted by length together; 1: none */
    uint64_t seed, stream;  /* stream < SB_BATCH_MAX_STREAM tells the objectives of a recipe apart */
    size_t text_characters; /* a longer text is cut to its first piece (sb_segment_text); 0: not: 30 */
    size_t max_length;      /* tokens of a row, special ones included: 64 */
    enum sb_pair_rule pair_rule;
    bool want_negatives; /* SB_ROWS_SENTENCES: three rows of each triplet */
    bool lone_once;      /* SB_ROWS_SENTENCES: one row of a lone text, for losses that need no partner */
    bool binary_scores;  /* scores are 1 from labels of .5 on and for entailment, else 0 */

    /* SEQ2SEQ: with this probability a row's source is masked by `mask` and has at most max_length / 2 tokens (RoFormer-Sim: .5). */
    double source_probability;
    struct sb_mask_rule mask; /* of MASKED_LM and of masked sources */
    const char *words;        /* file of words (training/word_list.h), borrowed for sb_batches_new; NULL: none */
    struct sb_denoise_rule denoise;

    /* Random replacement of decoder inputs (REFERENCE 6.1): with `replace_row` a row is touched, then each input with
       `replace_token`. Both 0: none. */
    double replace_row, replace_token;
    bool replace_from_vocabulary; /* else from the row's own target */
};
struct sb_batch_options sb_batch_defaults(enum sb_rows rows);

/* Zero-initialise; reused from build to build. */
struct sb_batch {
    enum sb_rows kind;
    struct sb_pass_row *rows; /* [row_count], pointing into ids and segments */
    size_t row_count, rows_per_example;
    int32_t *ids;      /* [token_count], row behind row */
    uint8_t *segments; /* [token_count] */
    int32_t *labels;   /* [token_count]: what the logits of a token should say; -1: nothing */
    size_t token_count;

    /* Of example i, whose rows are i * rows_per_example and those after it. */
    size_t example_count;
    uint64_t *examples; /* its number in the data */
    float *scores;      /* pairs: the label; NLI: 1, .5, 0; otherwise 1 */
    int32_t *classes;   /* for the head of five classes: pairs 0 (label < .5) or 1, otherwise 1; NLI 2, 3, 4 */
    struct sb_class_range *classes_of; /* those of its task: {0, 2}, {2, 3} */

    uint64_t draw_seed, draw_epoch; /* inside: they name the draws of scheduled sampling */
    size_t row_capacity, token_capacity, example_capacity;
};
void sb_batch_free(struct sb_batch *batch);

struct sb_batches;

/* SB_INVALID: an option is out of range, or the data have no such examples (SEQ2SEQ of lone sentences, negatives of anything but
   triplets); SB_UNSUPPORTED: the vocabulary lacks [MASK]. */
SB_MUST_CHECK enum sb_status sb_batches_new(struct sb_batches **batches, const struct sb_data *data,
                                            const struct sb_tokenizer *tokenizer,
                                            const struct sb_batch_options *options, struct sb_error *error);
void sb_batches_free(struct sb_batches *batches); /* NULL is fine */

size_t sb_batches_in_epoch(const struct sb_batches *batches);
size_t sb_batches_rows_per_example(const struct sb_batches *batches); /* 1, 2 or 3 */
size_t sb_batches_max_rows(const struct sb_batches *batches); /* of any batch; each has at most max_length tokens */

/* Fails as sb_data_read does. index < sb_batches_in_epoch. */
SB_MUST_CHECK enum sb_status sb_batches_build(struct sb_batches *batches, struct sb_batch *batch, uint64_t epoch,
                                              size_t index, struct sb_error *error);

/* The tokens of a row's text as they were before noise, into ids[length of the row]; returns how many. CAUSAL_LM rows,
   whose vector has seen no text, have none. The masked source of a SEQ2SEQ row is the text. */
size_t sb_batch_clean_text(const struct sb_batch *batch, size_t row, int32_t *ids);

/* The rows of process `rank` of `size`: whole examples, as evenly as they go, in order. May be none. */
void sb_batch_share(const struct sb_batch *batch, size_t rank, size_t size, size_t *first_row, size_t *row_count);

/* The tokens of rows [first, first + count) that have a label, as indices into the packed tokens of these rows, and the
   labels; each has room for all tokens of these rows. Returns how many. */
size_t sb_batch_targets(const struct sb_batch *batch, size_t first, size_t count, size_t *positions, int32_t *labels);

/* Scheduled sampling: decoder inputs of rows [first, first + count) are replaced, with this probability, by
   predictions[tokens of these rows], the best token at each position where the first pass asked for logits (others are not looked
   at). Labels stay. Other kinds than SEQ2SEQ and DENOISING are left alone. */
void sb_batch_replace_scheduled(struct sb_batch *batch, size_t first, size_t count, const int32_t *predictions,
                                double probability);

#endif
