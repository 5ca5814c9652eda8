#include "cli/top_texts.h"

#include <stdlib.h>
#include <string.h>

bool sb_top_texts_offer(struct sb_top_texts *top, double score, size_t index, const char *text, size_t size)
{
    if (!(score >= top->low) || (top->count == top->limit && score <= top->items[top->count - 1].score))
        return true;
    if (!top->items)
        top->items = calloc(top->limit, sizeof *top->items);
    char *copy = top->items ? malloc(size + 1) : NULL;
    if (!copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (top->count == top->limit)
        free(top->items[--top->count].text);
    size_t at = top->count++;
    for (; at > 0 && top->items[at - 1].score < score; at--)
        top->items[at] = top->items[at - 1];
    top->items[at] = (struct sb_top_text){score, index, size, copy};
    return true;
}

void sb_top_texts_free(struct sb_top_texts *top)
{
    for (size_t i = 0; i < top->count; i++)
        free(top->items[i].text);
    free(top->items);
    top->items = NULL;
    top->count = 0;
}
