/*
 * Inside of batches. Only training/batch*.c include this.
 */
#ifndef SB_TRAINING_BATCH_IMPL_H
#define SB_TRAINING_BATCH_IMPL_H

#include "training/batch.h"

/* What a draw is for. Draws of one purpose do not move when options change what another needs. */
enum sb_purpose { SB_DRAW_MEMBERS, SB_DRAW_SOURCE, SB_DRAW_REPLACE, SB_DRAW_SCHEDULED };

struct sb_draws sb_batch_draws(uint64_t seed, uint64_t epoch, uint64_t example, enum sb_purpose purpose, size_t row);

struct sb_keyed {
    size_t length;   /* characters of the texts of its rows */
    size_t position; /* in the epoch's order */
    size_t number;   /* in the data */
};

struct sb_batches {
    const struct sb_data *data;
    const struct sb_tokenizer *tokenizer;
    struct sb_batch_options options;
    struct sb_noise_vocabulary vocabulary;
    struct sb_word_list *words; /* the vocabulary's; NULL: none */
    size_t count, batch_count, rows_per_example;
    uint64_t seed; /* of the options' seed and stream */
    /* The window in memory. */
    struct sb_keyed *window;              /* [window_capacity] */
    size_t window_capacity, window_first; /* its first batch */
    uint64_t window_epoch;
    bool window_valid;
    /* Scratch of a row. */
    struct sb_example example;
    struct sb_encoding encoding;
    int32_t *source, *target; /* [max_length] */
    int32_t *marks;           /* [max_length] labels of masking */
    size_t *ends;             /* [2 max_length] */
    double *keys, *picks;     /* [max_length] */
};

/* The texts that example `number` gives in this epoch; at most rows_per_example, all borrowed from b->example. */
enum sb_status sb_batch_members(struct sb_batches *b, struct sb_text_view members[SB_LOSS_MATRICES], uint64_t epoch,
                                size_t number, struct sb_error *error);

/* Appends the rows of an example; members as above. */
enum sb_status sb_batch_add(struct sb_batches *b, struct sb_batch *batch, const struct sb_text_view *members,
                            uint64_t epoch, size_t number, struct sb_error *error);

#endif
