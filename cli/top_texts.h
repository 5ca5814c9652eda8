/*
 * The best few of many texts, each kept as a copy.
 *
 *     struct sb_top_texts top = {.limit = 10, .low = 0.5};
 *     sb_top_texts_offer(&top, score, index, text, size);           // for each text, in order
 *     for (size_t i = 0; i < top.count; i++)
 *         print(top.items[i].score, top.items[i].text);             // best first
 *     sb_top_texts_free(&top);
 */
#ifndef SB_CLI_TOP_TEXTS_H
#define SB_CLI_TOP_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

struct sb_top_text {
    double score;
    size_t index, size;
    char *text; /* owned */
};

struct sb_top_texts {
    size_t limit; /* at least 1; set by the caller, as is low; all else zero */
    double low;   /* scores below do not count */
    size_t count;
    struct sb_top_text *items; /* best first; equal scores in the order of arrival */
};

bool sb_top_texts_offer(struct sb_top_texts *top, double score, size_t index, const char *text,
                        size_t size); /* false: no memory */
void sb_top_texts_free(struct sb_top_texts *top);

#endif
