/* "Did you mean": the word at the smallest edit distance. */
#include "cli/options.h"

#include <string.h>

enum { LONGEST = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance over bytes, a row of the table at a time; both words are shorter than LONGEST. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST], columns = strlen(b);
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[columns];
}

const char *sb_nearest_word(const char *word, const char *(*next)(const void *context, size_t i), const void *context)
{
    const char *nearest = NULL, *candidate;
    size_t length = strlen(word);
    if (length >= LONGEST)
        return NULL;
    size_t best = length / 3 + 2; /* further away is another word, not a typing error */
    for (size_t i = 0; (candidate = next(context, i)) != NULL; i++) {
        size_t d = distance(word, candidate);
        if (d < best) {
            best = d;
            nearest = candidate;
        }
    }
    return nearest;
}
