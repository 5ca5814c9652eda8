/*
 * The simplified vocabulary of the SimBERT checkpoints ("keep_tokens", REFERENCE section 3): special tokens first, then every
 * token that is not redundant. Redundant is a token of several characters that holds, besides its "##", an
 * ideograph or punctuation.
 */
#ifndef SB_TOKENIZER_SIMPLIFY_H
#define SB_TOKENIZER_SIMPLIFY_H

#include "tokenizer/tokenizer.h"

enum sb_simplify_rule {
    SB_SIMPLIFY_BERT4KERAS, /* bert4keras 0.11.5 */
    SB_SIMPLIFY_RELEASE,    /* the released SimBERT checkpoints: names in brackets stay, and the section and paragraph
                               signs are no punctuation yet (Unicode before 6.1) */
};

/* Fills keep with the ids to keep, in their new order, and returns how many; keep has room for the whole vocabulary. first: tokens
   that come first, whatever they are (names that the vocabulary lacks are left out). */
size_t sb_simplify_vocabulary(int32_t *keep, const struct sb_tokenizer *tokenizer, enum sb_simplify_rule rule,
                              const char *const *first, size_t first_count);

#endif
