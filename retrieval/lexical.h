/*
 * Which sentences hold which terms (retrieval/terms.h), ranked by BM25: the inverted index of one collection, in
 * memory, made of its sentences when lexical search is first used. Only retrieval/ includes this.
 *
 *     struct sb_lexical *lexical = sb_lexical_new();
 *     done = sb_lexical_catch_up(lexical, index, 20000, &failed);   // adds rows that it does not know yet
 *     sb_lexical_score(lexical, scores, text, size);                      // scores[sb_lexical_documents(lexical)]
 *     row = sb_lexical_row(lexical, document);
 *
 * A sentence is a document; a changed one becomes a new document, and the old one is dead. Postings are only appended:
 *
 *     term  ->  document, frequency | document, frequency | ...      as differences, mostly in one or two bytes
 *
 * Why not SQLite's FTS5: its trigrams can not find a word of two characters, which is most of Chinese, and bm25() there
 * ranks every match of a common pair through the virtual machine; here the figures of a query are one array.
 *
 * Thread rule: one that writes, or any number that read.
 */
#ifndef SB_RETRIEVAL_LEXICAL_H
#define SB_RETRIEVAL_LEXICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_index;
struct sb_lexical;

struct sb_lexical *sb_lexical_new(void); /* NULL: no memory */
void sb_lexical_free(struct sb_lexical *lexical);

/* Adds at most `most` of the rows that are new or were forgotten; true when none is left. *failed: no memory, what is
   missing may be added later. */
bool sb_lexical_catch_up(struct sb_lexical *lexical, const struct sb_index *index, size_t most, bool *failed);

/* What the row held changes or goes. False: the index can not go on (no memory, or more dead than alive) and is to be
   freed. */
bool sb_lexical_forget(struct sb_lexical *lexical, size_t row);

enum { SB_LEXICAL_DEAD = -1 };

size_t sb_lexical_documents(const struct sb_lexical *lexical);
int64_t sb_lexical_row(const struct sb_lexical *lexical, size_t document); /* SB_LEXICAL_DEAD */
size_t sb_lexical_bytes(const struct sb_lexical *lexical);

/* Adds each document's BM25 for the text's terms to scores[documents], which the caller has zeroed. `counts`: as many
   zeros, zeros again afterwards. False: no memory. */
bool sb_lexical_score(const struct sb_lexical *lexical, float *scores, uint16_t *counts, const char *text, size_t size);

#endif
