/*
 * The inputs of a request, texts or token ids, and the rows of tokens that the network gets for them.
 *
 *     struct sb_inputs inputs = {0};
 *     struct sb_rows rows = {0};
 *     sb_parse_inputs(&parse, "input", SB_INPUT_TEXTS | SB_INPUT_IDS, 2048, &inputs);   // "s", ["s"], [1], [[1]]
 *     sb_rows_encode(&rows, model, &inputs, &(struct sb_encode_options){.truncate = true}, &error);
 *     sb_rows_free(&rows);
 *     sb_inputs_free(&inputs);
 */
#ifndef SB_SERVER_INPUTS_H
#define SB_SERVER_INPUTS_H

#include "model/model.h"
#include "model/task.h"
#include "server/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_input {
    const char *text; /* NULL-terminated, borrowed from the JSON; NULL: ids */
    size_t size;
    const cJSON *ids; /* an array that is not empty; its elements are checked when encoding */
};

struct sb_inputs {
    struct sb_input *items;
    size_t count, capacity;
    bool is_list; /* the client sent a list of inputs, even if of one */
};

enum { SB_INPUT_TEXTS = 1, SB_INPUT_IDS = 2 };

/* Appends the field's inputs, at most limit. Fails when the field is missing or empty, or holds an empty input. */
SB_MUST_CHECK bool sb_parse_inputs(struct sb_parse *parse, const char *key, unsigned kinds, size_t limit,
                                   struct sb_inputs *inputs);
/* Appends one text that is not from a list; an empty one is a failure. */
SB_MUST_CHECK bool sb_inputs_add_text(struct sb_parse *parse, struct sb_inputs *inputs, const char *text);
void sb_inputs_free(struct sb_inputs *inputs);

struct sb_rows {
    int32_t *ids;                 /* all rows, one behind the other */
    struct sb_embed_input *items; /* [count]: pointers into ids */
    size_t count, tokens, capacity;
    size_t characters;
};

struct sb_encode_options {
    bool truncate;      /* cut what is longer than the model takes; else that is SB_INVALID */
    bool from_the_left; /* cut the beginning instead of the end */
};

/* Texts become [CLS] text [SEP]. Ids that begin with [CLS] are taken as they are, others get [CLS] and [SEP]. */
SB_MUST_CHECK enum sb_status sb_rows_encode(struct sb_rows *rows, const struct sb_model *model,
                                            const struct sb_inputs *inputs, const struct sb_encode_options *options,
                                            struct sb_error *error);
void sb_rows_free(struct sb_rows *rows);

#endif
