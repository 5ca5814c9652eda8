#include "tokenizer/normalize.h"

#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <stdlib.h>

enum { REPLACEMENT = 0xFFFD, CAPITAL_SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2, CAPITAL_I_DOT = 0x130, DOT_ABOVE = 0x307 };

void sb_chars_free(struct sb_chars *chars)
{
    free(chars->items);
    *chars = (struct sb_chars){0};
}

/* A character becomes at most 4, and one more for the dot of U+0130. */
static bool reserve(struct sb_chars *chars, size_t characters)
{
    size_t wanted;
    if (__builtin_mul_overflow(characters, (size_t)5, &wanted))
        return false;
    if (wanted <= chars->capacity)
        return true;
    struct sb_char *items = realloc(chars->items, wanted * sizeof *items);
    if (!items)
        return false;
    chars->items = items;
    chars->capacity = wanted;
    return true;
}

/* Read ahead from text[at]: is the next character that is not case-ignorable cased? */
static bool cased_follows(const char *text, size_t size, size_t at)
{
    while (at < size) {
        int32_t c = sb_utf8_next(text, size, &at);
        if (!sb_char_is_case_ignorable(c))
            return sb_char_is_cased(c);
    }
    return false;
}

/* What Unicode's special casing calls Final_Sigma. `cased_before`: the last character that was not case-ignorable was cased. */
static int32_t lower_in_text(int32_t c, bool whole_string, bool cased_before, const char *text, size_t size, size_t next)
{
    if (whole_string && c == CAPITAL_SIGMA && cased_before && !cased_follows(text, size, next))
        return FINAL_SIGMA;
    return sb_char_lower(c);
}

static void append(struct sb_chars *chars, int32_t c, int32_t source, bool alone)
{
    chars->items[chars->length++] = (struct sb_char){c, source, alone};
}

static void append_decomposed(struct sb_chars *chars, int32_t c, int32_t source, bool alone, bool decompose)
{
    int32_t parts[4];
    size_t n = 1;
    parts[0] = c;
    if (decompose)
        n = sb_char_decompose(parts, 4, c);
    for (size_t i = 0; i < n; i++)
        append(chars, parts[i], source, alone);
}

/* Canonical order: runs of characters with a combining class are sorted by it, stably. */
static void order_marks(struct sb_chars *chars)
{
    struct sb_char *x = chars->items;
    for (size_t i = 1; i < chars->length; i++) {
        int class = sb_char_combining_class(x[i].c);
        if (class == 0)
            continue;
        struct sb_char moved = x[i];
        size_t j = i;
        for (; j > 0 && sb_char_combining_class(x[j - 1].c) > class; j--)
            x[j] = x[j - 1];
        x[j] = moved;
    }
}

static void drop_marks(struct sb_chars *chars)
{
    size_t kept = 0;
    for (size_t i = 0; i < chars->length; i++)
        if (!(sb_char_facts(chars->items[i].c) & SB_CHAR_MARK))
            chars->items[kept++] = chars->items[i];
    chars->length = kept;
}

/* Before anything else Hugging Face drops what it calls control, and isolates ideographs. */
static bool cleaned_away(const struct sb_normalizer *n, int32_t c, unsigned facts)
{
    return n->hugging_face && n->clean_text && (c == 0 || c == REPLACEMENT || facts & (SB_CHAR_CONTROL | SB_CHAR_PRIVATE));
}

/* Lower case and decomposition. Sets *plain to false when marks may have to be ordered and dropped. */
static enum sb_status fold(struct sb_chars *chars, const struct sb_normalizer *n, const char *text, size_t size, int32_t source,
                           bool *plain, struct sb_error *error)
{
    bool cased_before = false, whole_string = !n->hugging_face && n->lowercase;
    for (size_t at = 0; at < size; source++) {
        size_t start = at;
        int32_t c = sb_utf8_next(text, size, &at);
        if (c < 0)
            return sb_fail(error, SB_INVALID, "text: malformed UTF-8 at byte %zu", start);
        unsigned facts = sb_char_facts(c);
        if (cleaned_away(n, c, facts))
            continue;
        bool alone = n->hugging_face && n->handle_chinese_chars && facts & SB_CHAR_CJK;
        if (c < 0x80 || facts & SB_CHAR_PLAIN) {
            append(chars, n->lowercase && c >= 'A' && c <= 'Z' ? c + 32 : c, source, alone);
            if (whole_string && !sb_char_is_case_ignorable(c))
                cased_before = c < 0x80 ? (c | 32) >= 'a' && (c | 32) <= 'z' : !(facts & SB_CHAR_CJK) && sb_char_is_cased(c);
            continue;
        }
        *plain = false;
        int32_t lower = n->lowercase ? lower_in_text(c, whole_string, cased_before, text, size, at) : c;
        append_decomposed(chars, lower, source, alone, n->strip_accents);
        if (n->lowercase && c == CAPITAL_I_DOT)
            append(chars, DOT_ABOVE, source, alone);
        if (!sb_char_is_case_ignorable(c))
            cased_before = sb_char_is_cased(c);
    }
    return SB_OK;
}

/* Hugging Face's tables are of Unicode 8: punctuation that came later (below U+10000) is none, and U+166D still is. */
static bool is_punctuation(const struct sb_normalizer *n, int32_t c, unsigned facts)
{
    static const int32_t later[][2] = {{0x61D, 0x61D},   {0x9FD, 0x9FD},   {0xA76, 0xA76},   {0xC77, 0xC77},  {0xC84, 0xC84},
                                       {0x1B7D, 0x1B7E}, {0x2E43, 0x2E4F}, {0x2E52, 0x2E5D}};
    if (!n->hugging_face)
        return facts & SB_CHAR_PUNCTUATION;
    for (size_t i = 0; facts & SB_CHAR_PUNCTUATION && i < sizeof later / sizeof *later; i++)
        if (c >= later[i][0] && c <= later[i][1])
            return false;
    return facts & SB_CHAR_PUNCTUATION || c == 0x166D;
}

/* Spaces, controls, and characters that are words of their own. */
static void classify(struct sb_chars *chars, const struct sb_normalizer *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < chars->length; i++) {
        struct sb_char x = chars->items[i];
        unsigned facts = sb_char_facts(x.c);
        if (facts & SB_CHAR_SPACE)
            x.c = ' ';
        else if (!n->hugging_face && (x.c == 0 || x.c == REPLACEMENT || facts & SB_CHAR_CONTROL))
            continue;
        else if (is_punctuation(n, x.c, facts) || (!n->hugging_face && facts & SB_CHAR_CJK))
            x.alone = true;
        chars->items[kept++] = x;
    }
    chars->length = kept;
}

enum sb_status sb_normalize(struct sb_chars *chars, const struct sb_normalizer *normalizer, const char *text, size_t size,
                            int32_t first_source, struct sb_error *error)
{
    bool plain = true;
    chars->length = 0;
    if (size >= INT32_MAX || !reserve(chars, size))
        return sb_fail(error, SB_NO_MEMORY, "text: no memory for %zu bytes", size);
    enum sb_status status = fold(chars, normalizer, text, size, first_source, &plain, error);
    if (status != SB_OK)
        return status;
    if (!plain && normalizer->strip_accents) {
        order_marks(chars);
        drop_marks(chars);
    }
    classify(chars, normalizer);
    return SB_OK;
}
