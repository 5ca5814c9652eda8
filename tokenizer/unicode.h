/*
 * The Unicode facts that tokenizers ask for, from utf8proc, with the frequent ones in a table.
 */
#ifndef SB_TOKENIZER_UNICODE_H
#define SB_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_char_facts {
    SB_CHAR_SPACE = 1,            /* space, tab, CR, LF, category Z* */
    SB_CHAR_CONTROL = 2,          /* categories Cc and Cf, except the spaces above */
    SB_CHAR_PRIVATE = 4,          /* category Co, which Hugging Face also calls control */
    SB_CHAR_PUNCTUATION = 8,      /* ASCII 33-47, 58-64, 91-96, 123-126, and categories P* */
    SB_CHAR_CJK = 16,             /* the blocks of ideographs that BERT takes for words of their own */
    SB_CHAR_MARK = 32,            /* category Mn */
    SB_CHAR_PLAIN = 64,           /* its own lower case and its own decomposition, combining class 0, no mark */
    SB_CHAR_CASED = 128,          /* the properties Cased and Case_Ignorable, which decide whether a capital */
    SB_CHAR_CASE_IGNORABLE = 256, /* sigma is final */
};

/* Flags of a code point; any thread. */
unsigned sb_char_facts(int32_t c);

/* White space as Python's str.strip() sees it. */
bool sb_char_is_python_space(int32_t c);

/* Category Nd. */
bool sb_char_is_digit(int32_t c);

/* Simple lower case. U+0130, whose lower case is two code points, gives 'i' (the second, a mark, is for the caller). */
int32_t sb_char_lower(int32_t c);

/* Canonical decomposition of c into out[limit]; returns how many. At most 4 for any character. */
size_t sb_char_decompose(int32_t *out, size_t limit, int32_t c);

int sb_char_combining_class(int32_t c);

#endif
