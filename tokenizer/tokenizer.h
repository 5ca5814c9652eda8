/*
 * Text to token ids and back: one interface over WordPiece (vocab.txt, or a Hugging Face tokenizer.json whose normalizer flags
 * are honoured) and SentencePiece (.model).
 *
 *     struct sb_tokenizer *tokenizer;
 *     struct sb_encoding encoding = {0};
 *     if (sb_tokenizer_open(&tokenizer, "models/simbert-small-zh", &error) == SB_OK
 *         && sb_tokenizer_encode(tokenizer, &encoding, "花呗怎么还款", 18, NULL, 0, 64, &error) == SB_OK)
 *         use(encoding.ids, encoding.length);           // [CLS] 花 呗 怎 么 还 款 [SEP]
 *     sb_encoding_free(&encoding);
 *     sb_tokenizer_free(tokenizer);
 *
 * Thread rule: a tokenizer never changes after open and may be used by any number of threads; an encoding belongs to one thread.
 * All text is UTF-8; malformed text is SB_INVALID (nothing is silently repaired); a NUL is dropped, as the reference drops it.
 */
#ifndef SB_TOKENIZER_TOKENIZER_H
#define SB_TOKENIZER_TOKENIZER_H

#include "base/buffer.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_tokenizer;

/* Where a token came from, [start, end) in code points of its own text; both -1 for special tokens and where the reference
   has no answer. */
struct sb_span {
    int32_t start, end;
};

/* Arrays of length elements, owned by the encoding and reused by the next encode into it. Zero-initialise. */
struct sb_encoding {
    int32_t *ids;
    uint8_t *segments; /* 0 first text, 1 second */
    struct sb_span *offsets;
    size_t length, capacity;
    bool truncated; /* something was cut to fit max_length */
    /* Inside: the normalised words that became [UNK], one behind the other, and where each token's word starts (-1: none). */
    struct sb_buffer unknown;
    int64_t *unknown_starts; /* [capacity] */
    void *scratch;           /* of the tokenizer that encoded last */
};
void sb_encoding_free(struct sb_encoding *encoding);

struct sb_special_ids {
    int32_t pad, unk, cls, sep, mask; /* -1 where the vocabulary has none */
};

/* dir is a model directory with tokenizer.json, vocab.txt or *.model, whichever is there, in this order, or one such file. From
   vocab.txt the text is split as the reference does it, lower-cased unless tokenizer_config.json, config.json or
   bert_config.json says "do_lower_case": false; from tokenizer.json as Hugging Face does it, by that file's flags. */
SB_MUST_CHECK enum sb_status sb_tokenizer_open(struct sb_tokenizer **tokenizer, const char *dir,
                                               struct sb_error *error);
void sb_tokenizer_free(struct sb_tokenizer *tokenizer);

int32_t sb_tokenizer_vocab_size(const struct sb_tokenizer *tokenizer);
struct sb_special_ids sb_tokenizer_special(const struct sb_tokenizer *tokenizer);
const char *sb_tokenizer_kind(const struct sb_tokenizer *tokenizer); /* "wordpiece", "bpe", "unigram" */

/* At least a tenth of a WordPiece vocabulary are words of several ideographs, as those of the RoFormer and WoBERT models whose names
   have no "char": runs of ideographs then become the vocabulary's longest words, from the left. Those models were trained with the
   words of jieba, which cuts four fifths of such runs in the same way. */
bool sb_tokenizer_joins_ideographs(const struct sb_tokenizer *tokenizer);

/* The token's text as it stands in the vocabulary, borrowed for the tokenizer's life; "" when id is out of range. */
const char *sb_tokenizer_token(const struct sb_tokenizer *tokenizer, int32_t id);
/* How token i of an encoding is shown: as it stands in the vocabulary, but a word that the reference's WordPiece could not split
   is shown as the word. Borrowed from the tokenizer or the encoding. */
const char *sb_encoding_token(const struct sb_encoding *encoding, const struct sb_tokenizer *tokenizer, size_t i);
/* -1 if the vocabulary has no such token. */
int32_t sb_tokenizer_id(const struct sb_tokenizer *tokenizer, const char *token, size_t size);
bool sb_tokenizer_is_special(const struct sb_tokenizer *tokenizer, int32_t id);

/* [CLS] first [SEP], or [CLS] first [SEP] second [SEP] when second is not NULL. max_length counts the special tokens (0: no
   limit); what is too long is cut at its end, pairs from the longer side as in REFERENCE section 3 step 4. */
SB_MUST_CHECK enum sb_status sb_tokenizer_encode(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding,
                                                 const char *first, size_t first_size, const char *second,
                                                 size_t second_size, size_t max_length, struct sb_error *error);

/* The same, cut at the start of the text instead of its end when cut_left. */
SB_MUST_CHECK enum sb_status sb_tokenizer_encode_cut(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding,
                                                     const char *first, size_t first_size, const char *second,
                                                     size_t second_size, size_t max_length, bool cut_left,
                                                     struct sb_error *error);

/* The text's tokens alone: no special tokens, never cut. */
SB_MUST_CHECK enum sb_status sb_tokenizer_encode_plain(const struct sb_tokenizer *tokenizer,
                                                       struct sb_encoding *encoding, const char *text, size_t size,
                                                       struct sb_error *error);

/* Appends the text of ids to out; special tokens are left out unless keep_special. SB_INVALID names an id out of range. */
SB_MUST_CHECK enum sb_status sb_tokenizer_decode(const struct sb_tokenizer *tokenizer, struct sb_buffer *out,
                                                 const int32_t *ids, size_t n, bool keep_special,
                                                 struct sb_error *error);

/* Cuts long text into pieces of at most limit characters at the best separators (REFERENCE section 3, "Segmenting long text"; the
   reference's text_segmentate); a stretch without separators stays whole. seps: the separators, tried in order, one character each.
   strips: characters taken from both ends of each piece besides white space, NULL: none. Calls piece() in order with borrowed
   text. The released scripts' own: */
#define SB_SEGMENT_SEPARATORS "\n。！？!?；;，, "
#define SB_SEGMENT_STRIPS "；;，, "
SB_MUST_CHECK enum sb_status sb_segment_text(const char *text, size_t size, size_t limit, const char *seps,
                                             const char *strips,
                                             void (*piece)(void *context, const char *text, size_t size), void *context,
                                             struct sb_error *error);

#endif
