/*
 * Inside of a tokenizer: what a kind of tokenizer provides, and the growing encoding that it writes to. Only tokenizer/ includes
 * this.
 */
#ifndef SB_TOKENIZER_TOKENIZER_IMPL_H
#define SB_TOKENIZER_TOKENIZER_IMPL_H

#include "tokenizer/tokenizer.h"

struct sb_tokenizer_class {
    const char *kind;
    /* Appends the text's tokens; offsets count from first_source. */
    enum sb_status (*encode)(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding, const char *text,
                             size_t size, struct sb_error *error);
    enum sb_status (*decode)(const struct sb_tokenizer *tokenizer, struct sb_buffer *out, const int32_t *ids, size_t n,
                             bool keep_special, struct sb_error *error);
    const char *(*token)(const struct sb_tokenizer *tokenizer, int32_t id);
    int32_t (*id)(const struct sb_tokenizer *tokenizer, const char *token, size_t size);
    bool (*is_special)(const struct sb_tokenizer *tokenizer, int32_t id);
    void (*free)(struct sb_tokenizer *tokenizer);
};

/* First member of every tokenizer. */
struct sb_tokenizer {
    const struct sb_tokenizer_class *class_;
    int32_t vocab_size;
    struct sb_special_ids special;
    bool hugging_face_pairs; /* too long pairs are cut by Hugging Face's rule, not the reference's */
    bool joins_ideographs;   /* the vocabulary is one of words */
};

/* Appends a token; false when out of memory. */
bool sb_encoding_add(struct sb_encoding *encoding, int32_t id, struct sb_span offsets);
/* Notes the word that the last token stands for. */
bool sb_encoding_note_unknown(struct sb_encoding *encoding, const char *word, size_t size);

/* wordpiece.c: path names vocab.txt or tokenizer.json. */
enum sb_status sb_wordpiece_open_vocab(struct sb_tokenizer **tokenizer, const char *path, bool lowercase,
                                       struct sb_error *error);
enum sb_status sb_wordpiece_open_json(struct sb_tokenizer **tokenizer, const char *path, struct sb_error *error);

/* sentencepiece.cc; special ids from the model, or -1. */
enum sb_status sb_sentencepiece_open(struct sb_tokenizer **tokenizer, const char *path, struct sb_error *error);

#endif
