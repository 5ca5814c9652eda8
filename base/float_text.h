/*
 * Floats as short decimal text.
 *
 *     char text[SB_FLOAT_TEXT_MAX];
 *     size_t length = sb_float_text(text, 0.1f);      // "0.1", not NUL-terminated
 */
#ifndef SB_BASE_FLOAT_TEXT_H
#define SB_BASE_FLOAT_TEXT_H

#include <stddef.h>

enum { SB_FLOAT_TEXT_MAX = 32 };

/* The shortest of %.6g .. %.9g that reads back as the same float. value is finite. Thread-safe. */
size_t sb_float_text(char text[SB_FLOAT_TEXT_MAX], float value);

#endif
