#include "model/text_normalize.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const utf8proc_option_t normal_form =
    UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;

static bool is_space(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP ||
           category == UTF8PROC_CATEGORY_CC;
}

/* What ends a sentence, after NFKC: full-width forms are ASCII by now and an ellipsis is three dots. Not all
   punctuation: "C#" and "50%" are not "C" and "50". */
static bool ends_a_sentence(int32_t c)
{
    switch (c) {
    case '.':
    case '!':
    case '?':
    case ',':
    case ';':
    case ':':
    case '~':
    case 0x3002: /* 。 */
    case 0x3001: /* 、 */ return true;
    default: return false;
    }
}

enum sb_status sb_text_normalize(struct sb_code_points *points, const char *text, size_t size, struct sb_error *error)
{
    sb_code_points_free(points);
    if (size == 0)
        return SB_OK;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t length = utf8proc_decompose(bytes, (utf8proc_ssize_t)size, NULL, 0, normal_form);
    if (length < 0)
        return sb_fail(error, SB_INVALID, "text of %zu bytes: %s", size, utf8proc_errmsg(length));
    points->points = malloc(((size_t)length + 1) * sizeof *points->points); /* length can be 0 */
    if (!points->points)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a text of %zu bytes", size);
    length = utf8proc_decompose(bytes, (utf8proc_ssize_t)size, points->points, length, normal_form);
    if (length >= 0)
        length = utf8proc_normalize_utf32(points->points, length, normal_form);
    for (utf8proc_ssize_t i = 0; i < length; i++)
        if (!is_space(points->points[i]))
            points->points[points->count++] = points->points[i];
    while (points->count > 0 && ends_a_sentence(points->points[points->count - 1]))
        points->count--;
    return SB_OK;
}

void sb_code_points_free(struct sb_code_points *points)
{
    free(points->points);
    *points = (struct sb_code_points){0};
}

bool sb_code_points_equal(const struct sb_code_points *a, const struct sb_code_points *b)
{
    return a->count == b->count && (a->count == 0 || memcmp(a->points, b->points, a->count * sizeof *a->points) == 0);
}
