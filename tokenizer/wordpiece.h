/*
 * A WordPiece tokenizer's parts. Only tokenizer/ includes this.
 */
#ifndef SB_TOKENIZER_WORDPIECE_H
#define SB_TOKENIZER_WORDPIECE_H

#include "base/json.h"
#include "tokenizer/normalize.h"
#include "tokenizer/tokenizer_impl.h"
#include "tokenizer/vocab.h"

/* A token that tokenizer.json lists as added: found in the text before anything else. */
struct sb_added_token {
    char *text;
    size_t size;
    int32_t id;
    bool special;
};

struct sb_wordpiece {
    struct sb_tokenizer tokenizer;
    struct sb_vocab *vocab;
    struct sb_normalizer normalizer;
    size_t max_word_characters; /* longer words are unknown */
    char *prefix;               /* of continuation pieces */
    struct sb_added_token *added;
    size_t added_count;
};

/* decode.c: ids to text by the reference's rules, or by Hugging Face's WordPiece decoder. */
enum sb_status sb_wordpiece_decode(const struct sb_tokenizer *tokenizer, struct sb_buffer *out, const int32_t *ids,
                                   size_t n, bool keep_special, struct sb_error *error);

/* tokenizer_json.c: from the parsed tokenizer.json. */
SB_MUST_CHECK enum sb_status sb_wordpiece_from_json(struct sb_tokenizer **tokenizer, const cJSON *root,
                                                    struct sb_error *error);

/* Makes a tokenizer around a vocabulary, which it takes over, also on failure. SB_CORRUPT when the vocabulary lacks the unknown token,
   [CLS] or [SEP]. */
SB_MUST_CHECK enum sb_status sb_wordpiece_new(struct sb_wordpiece **wordpiece, struct sb_vocab *vocab,
                                              const struct sb_normalizer *normalizer, size_t max_word_characters,
                                              const char *prefix, const char *unknown, struct sb_error *error);

#endif
