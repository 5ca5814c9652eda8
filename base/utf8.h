/*
 * UTF-8: reading, writing, checking. Strict: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef SB_BASE_UTF8_H
#define SB_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one code point at text[*at] (*at < size) and moves *at past it. A malformed byte gives -1 and moves by one. */
int32_t sb_utf8_next(const char *text, size_t size, size_t *at);

/* Writes code point c as 1-4 bytes to out[4]; returns how many. c: no surrogate, at most 0x10FFFF. */
size_t sb_utf8_put(char out[4], int32_t c);

/* True if all of text is well-formed; otherwise *bad (may be NULL) is the offset of the first malformed byte. */
bool sb_utf8_valid(const char *text, size_t size, size_t *bad);

/* Number of code points of well-formed text. */
size_t sb_utf8_length(const char *text, size_t size);

/* Largest n <= limit such that text[0, n) does not end inside a character. */
size_t sb_utf8_floor(const char *text, size_t size, size_t limit);

#endif
