/*
 * The terms of a text for lexical search. Scripts written without spaces (Chinese characters, kana, hangul) give every
 * pair of neighbours, so that what is searched needs no dictionary; of a character that stands alone, itself. Other
 * letters and digits give their words. Upper case and full-width forms become lower case and half-width; what is
 * neither letter nor digit separates.
 *
 *     "iPhone15怎么退货"  ->  "iphone15" "怎么" "么退" "退货"
 *
 *     struct sb_terms terms = sb_terms_of(text, size);
 *     while (sb_terms_next(&terms, &term)) ...
 *
 * Thread rule: a struct sb_terms belongs to one thread.
 */
#ifndef SB_RETRIEVAL_TERMS_H
#define SB_RETRIEVAL_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A term as a number: of a pair both characters, 21 bits each; of a lone character the second is 0; of a word a hash
   with the highest bit set, in which two words of a collection practically never meet. */
typedef uint64_t sb_term;

struct sb_terms {
    const char *text;
    size_t size, at;
    int32_t previous; /* the character without spaces that stands before `at`, 0: none */
    bool paired;      /* it was in a pair already */
};

struct sb_terms sb_terms_of(const char *text, size_t size);
bool sb_terms_next(struct sb_terms *terms, sb_term *term);

/* The character of a lone character's term, 0 for other terms. */
int32_t sb_term_character(sb_term term);
/* Whether a term is a pair with this character, or it alone. */
bool sb_term_holds(sb_term term, int32_t character);

#endif
