/*
 * A WordPiece vocabulary: tokens by id, and a trie over their bytes for the longest match.
 */
#ifndef SB_TOKENIZER_VOCAB_H
#define SB_TOKENIZER_VOCAB_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct sb_vocab;

/* Takes copies of count tokens, token i of sizes[i] bytes (any bytes but NUL). Of a token that stands twice the last id is found.
   prefix marks continuation pieces ("##"). */
SB_MUST_CHECK enum sb_status sb_vocab_new(struct sb_vocab **vocab, const char *const *tokens, const size_t *sizes,
                                          size_t count, const char *prefix, struct sb_error *error);
/* vocab.txt: one token a line, id = line number. The first word of a line counts; a line of white space is an empty token. */
SB_MUST_CHECK enum sb_status sb_vocab_parse(struct sb_vocab **vocab, const char *data, size_t size,
                                            struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_vocab_read(struct sb_vocab **vocab, const char *path, struct sb_error *error);
void sb_vocab_free(struct sb_vocab *vocab);

int32_t sb_vocab_size(const struct sb_vocab *vocab);
const char *sb_vocab_token(const struct sb_vocab *vocab, int32_t id);              /* "" out of range */
int32_t sb_vocab_id(const struct sb_vocab *vocab, const char *token, size_t size); /* -1 */

/* The longest token that starts word[0, size), as a continuation piece when `continues`. Returns its id, or -1, and sets
   *length to its bytes of the word. Never ends inside a character. */
int32_t sb_vocab_longest(const struct sb_vocab *vocab, const char *word, size_t size, int continues, size_t *length);

#endif
