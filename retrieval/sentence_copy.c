/* Sentences that are handed out own their strings. */
#include "retrieval/store_impl.h"

#include <string.h>

size_t sb_sentence_strings_size(const struct sb_sentence *sentence)
{
    return strlen(sentence->id) + sentence->text_size + strlen(sentence->metadata) + 3;
}

static char *copy(const char **to, const char *from, size_t size, char *at)
{
    memcpy(at, from, size);
    at[size] = '\0';
    *to = at;
    return at + size + 1;
}

char *sb_sentence_copy(struct sb_sentence *to, const struct sb_sentence *from, char *at)
{
    *to = (struct sb_sentence){.text_size = from->text_size};
    at = copy(&to->id, from->id, strlen(from->id), at);
    at = copy(&to->text, from->text, from->text_size, at);
    return copy(&to->metadata, from->metadata, strlen(from->metadata), at);
}
