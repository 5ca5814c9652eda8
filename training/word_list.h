/*
 * Words as sequences of tokens: Chinese text does not mark its words, a list tells them.
 *
 *     struct sb_word_list *words;
 *     sb_word_list_open(&words, "words.txt", tokenizer, &error);
 *     size_t n = sb_word_list_match(words, ids, count);       // tokens of the longest word that ids begin with; 0: none
 *     sb_word_list_free(words);
 *
 * The file has one word a line; what stands behind a space or tab (a frequency, a part of speech, as in jieba's
 * dictionaries) is ignored. Words of a single token need no list, and words with unknown tokens stand in no text: both
 * are left out.
 *
 * Thread rule: it never changes after open.
 */
#ifndef SB_TRAINING_WORD_LIST_H
#define SB_TRAINING_WORD_LIST_H

#include "base/status.h"
#include "tokenizer/tokenizer.h"

#include <stddef.h>
#include <stdint.h>

enum { SB_WORD_LIST_MAX_BYTES = 64 << 20 };

struct sb_word_list;

/* SB_INVALID names the file and line: not UTF-8, or no word at all is left. */
SB_MUST_CHECK enum sb_status sb_word_list_open(struct sb_word_list **words, const char *path,
                                               const struct sb_tokenizer *tokenizer, struct sb_error *error);
void sb_word_list_free(struct sb_word_list *words); /* NULL is fine */

size_t sb_word_list_count(const struct sb_word_list *words);
size_t sb_word_list_match(const struct sb_word_list *words, const int32_t *ids, size_t count);

#endif
