/*
 * Forced words: how far a text of tokens has come with a list of words that it must hold, as in Hugging Face 4.46's
 * constrained beam search. Words are begun in any order, one at a time; a token that breaks a begun word sends it back
 * to the end of the list.
 *
 *     struct sb_constraint_state state;
 *     sb_constraints_replay(&state, words, generated, length);
 *     if (sb_constraints_met(&state, words)) ...
 *
 * The prompt does not count: the words are to be in what is written.
 */
#ifndef SB_MODEL_CONSTRAINTS_H
#define SB_MODEL_CONSTRAINTS_H

#include "model/decode_options.h"

struct sb_constraint_state {
    uint8_t pending[SB_MAX_FORCE_WORDS]; /* words not begun, in the order in which they are tried */
    size_t pending_count, met_count;
    int begun;       /* the word in progress, or -1 */
    size_t progress; /* its tokens so far */
};

void sb_constraints_begin(struct sb_constraint_state *state, const struct sb_token_lists *words);
void sb_constraints_push(struct sb_constraint_state *state, const struct sb_token_lists *words, int32_t token);
void sb_constraints_replay(struct sb_constraint_state *state, const struct sb_token_lists *words, const int32_t *tokens,
                           size_t n);

bool sb_constraints_met(const struct sb_constraint_state *state, const struct sb_token_lists *words);

/* Tokens that would bring the text further: tokens[SB_MAX_FORCE_WORDS]; returns how many. */
size_t sb_constraints_next(const struct sb_constraint_state *state, const struct sb_token_lists *words,
                           int32_t *tokens);

/* Beams are compared within banks: a whole word counts as the longest word's tokens, a begun one as its tokens so far
   plus what the longest word has more. */
size_t sb_constraints_bank(const struct sb_constraint_state *state, const struct sb_token_lists *words);

#endif
