#include "model/constraints.h"

#include <string.h>

static const int32_t *word(const struct sb_token_lists *words, size_t i, size_t *length)
{
    size_t start = i ? words->ends[i - 1] : 0;
    *length = words->ends[i] - start;
    return words->ids + start;
}

static int32_t first_token(const struct sb_token_lists *words, size_t i)
{
    size_t length;
    return word(words, i, &length)[0];
}

void sb_constraints_begin(struct sb_constraint_state *state, const struct sb_token_lists *words)
{
    *state = (struct sb_constraint_state){.begun = -1, .pending_count = words->count};
    for (size_t i = 0; i < words->count; i++)
        state->pending[i] = (uint8_t)i;
}

bool sb_constraints_met(const struct sb_constraint_state *state, const struct sb_token_lists *words)
{
    return state->met_count == words->count;
}

/* The next token of the word in progress was seen. */
static void advance(struct sb_constraint_state *state, const struct sb_token_lists *words)
{
    size_t length;
    word(words, (size_t)state->begun, &length);
    if (++state->progress < length)
        return;
    state->begun = -1;
    state->met_count++;
}

void sb_constraints_push(struct sb_constraint_state *state, const struct sb_token_lists *words, int32_t token)
{
    if (state->begun >= 0) {
        size_t length;
        if (word(words, (size_t)state->begun, &length)[state->progress] == token) {
            advance(state, words);
        } else {
            state->pending[state->pending_count++] = (uint8_t)state->begun;
            state->begun = -1;
        }
        return;
    }
    for (size_t i = 0; i < state->pending_count; i++) {
        if (first_token(words, state->pending[i]) != token)
            continue;
        state->begun = state->pending[i];
        state->progress = 0;
        state->pending_count--;
        memmove(state->pending + i, state->pending + i + 1, state->pending_count - i);
        advance(state, words);
        return;
    }
}

void sb_constraints_replay(struct sb_constraint_state *state, const struct sb_token_lists *words, const int32_t *tokens,
                           size_t n)
{
    sb_constraints_begin(state, words);
    for (size_t i = 0; i < n && !sb_constraints_met(state, words); i++)
        sb_constraints_push(state, words, tokens[i]);
}

size_t sb_constraints_next(const struct sb_constraint_state *state, const struct sb_token_lists *words, int32_t *tokens)
{
    if (state->begun >= 0) {
        size_t length;
        tokens[0] = word(words, (size_t)state->begun, &length)[state->progress];
        return 1;
    }
    for (size_t i = 0; i < state->pending_count; i++)
        tokens[i] = first_token(words, state->pending[i]);
    return state->pending_count;
}

size_t sb_constraints_bank(const struct sb_constraint_state *state, const struct sb_token_lists *words)
{
    size_t longest = 0, length = 0;
    for (size_t i = 0; i < words->count; i++) {
        word(words, i, &length);
        longest = length > longest ? length : longest;
    }
    size_t bank = state->met_count * longest;
    if (state->begun >= 0) {
        word(words, (size_t)state->begun, &length);
        bank += longest - (length - state->progress);
    }
    return bank;
}
