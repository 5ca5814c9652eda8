/*
 * From text to the characters of words, each with the place in the text that it came from: the first two steps of WordPiece
 * (REFERENCE section 3), in the reference's manner and in that of Hugging Face's BertNormalizer.
 */
#ifndef SB_TOKENIZER_NORMALIZE_H
#define SB_TOKENIZER_NORMALIZE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_normalizer {
    bool hugging_face; /* else the reference (bert4keras) */
    bool lowercase;
    bool strip_accents;        /* the reference: with lowercase */
    bool clean_text;           /* Hugging Face's flag; the reference always does */
    bool handle_chinese_chars; /* likewise */
};

struct sb_char {
    int32_t c;      /* ' ' separates words */
    int32_t source; /* index in code points of the text */
    bool alone;     /* a word of its own */
};

/* Zero-initialise; reused from call to call. */
struct sb_chars {
    struct sb_char *items;
    size_t length, capacity;
};
void sb_chars_free(struct sb_chars *chars);

/* Normalises text[0, size), whose first code point has index first_source, into chars (what it held is dropped).
   SB_INVALID names the byte offset of malformed UTF-8. */
SB_MUST_CHECK enum sb_status sb_normalize(struct sb_chars *chars, const struct sb_normalizer *normalizer,
                                          const char *text, size_t size, int32_t first_source, struct sb_error *error);

#endif
