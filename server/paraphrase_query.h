/*
 * The options of a paraphrase request, from JSON. Names and meanings are Hugging Face's generation options.
 *
 *     struct sb_paraphrase_query query = {0};
 *     if (!sb_parse_paraphrase(&parse, model, &query)) ...
 *     sb_paraphrase_task_new(&task, model, text, size, &query.options, &error);      // checks values against each other
 *     sb_paraphrase_query_free(&query);
 */
#ifndef SB_SERVER_PARAPHRASE_QUERY_H
#define SB_SERVER_PARAPHRASE_QUERY_H

#include "model/paraphrase.h"
#include "server/parse.h"

/* Token lists that options borrow. */
struct sb_word_lists {
    int32_t *ids;
    size_t *ends;
    size_t count, length, capacity;
};

struct sb_paraphrase_query {
    struct sb_paraphrase_options options; /* borrows from below */
    struct sb_word_lists bad_words, force_words;
    struct sb_text_range *mask;
};

/* What is missing has the model's defaults. num_beams without do_sample asks for beam search; without a seed a fresh
   one is taken. */
SB_MUST_CHECK bool sb_parse_paraphrase(struct sb_parse *parse, const struct sb_model *model,
                                       struct sb_paraphrase_query *query);
void sb_paraphrase_query_free(struct sb_paraphrase_query *query);

#endif
