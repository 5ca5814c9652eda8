#include "base/nearest.h"

#include "base/edit_distance.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 64 };

/* Names are ASCII; of what was typed only its bytes count. */
static size_t widen(int32_t out[LONGEST], const char *text)
{
    size_t size = strnlen(text, LONGEST);
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)text[i];
    return size;
}

void sb_nearest_offer(struct sb_nearest *nearest, const char *name)
{
    int32_t typed[LONGEST], other[LONGEST];
    size_t row[LONGEST + 1], n = widen(typed, nearest->typed), m = widen(other, name);
    size_t distance = sb_edit_distance(typed, n, other, m, row);
    size_t bound = nearest->name ? nearest->distance : (n > 5 ? n / 3 : 2) + 1;
    if (distance < bound && distance < n) {
        nearest->name = name;
        nearest->distance = distance;
    }
}
