#include "tokenizer/normalize.h"

#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { REPLACEMENT = 0xFFFD, CAPITAL_SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2, CAPITAL_I_DOT = 0x130, DOT_ABOVE = 0x307 };
enum { LONGEST_DECOMPOSITION = 4 };

void sb_chars_free(struct sb_chars *chars)
{
    free(chars->items);
    *chars = (struct sb_chars){0};
}

/* Room for `more` behind what is there. */
static bool reserve(struct sb_chars *chars, size_t more)
{
    if (more <= chars->capacity - chars->length)
        return true;
    size_t capacity = 2 * chars->capacity + more + 64;
    struct sb_char *items = realloc(chars->items, capacity * sizeof *items);
    if (!items)
        return false;
    chars->items = items;
    chars->capacity = capacity;
    return true;
}

/* Read ahead from text[at]: is the next character that is not case-ignorable cased? */
static bool cased_follows(const char *text, size_t size, size_t at)
{
    while (at < size) {
        int32_t c = sb_utf8_next(text, size, &at);
        if (c < 0)
            return false;
        unsigned facts = sb_char_facts(c);
        if (!(facts & SB_CHAR_CASE_IGNORABLE))
            return facts & SB_CHAR_CASED;
    }
    return false;
}

static void append(struct sb_chars *chars, int32_t c, int32_t source, bool alone)
{
    chars->items[chars->length++] = (struct sb_char){c, source, alone};
}

static void append_decomposed(struct sb_chars *chars, int32_t c, int32_t source, bool alone, bool decompose)
{
    int32_t parts[LONGEST_DECOMPOSITION] = {c};
    size_t n = decompose ? sb_char_decompose(parts, LONGEST_DECOMPOSITION, c) : 1;
    for (size_t i = 0; i < n; i++)
        append(chars, parts[i], source, alone);
}

/* Sorts a run of n characters by combining class, stably: one pass a class, and there are few. copy: room for n. */
static void order_run(struct sb_char *run, size_t n, struct sb_char *copy)
{
    memcpy(copy, run, n * sizeof *run);
    for (size_t placed = 0, class = 1; placed < n;) {
        size_t next = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
            size_t its = (size_t)sb_char_combining_class(copy[i].c);
            if (its == class)
                run[placed++] = copy[i];
            else if (its > class && its < next)
                next = its;
        }
        class = next;
    }
}

/* Canonical order: characters with a combining class stand in its order. False when out of memory. */
static bool order_marks(struct sb_chars *chars)
{
    for (size_t i = 0, start = 0; i < chars->length; i = start) {
        bool ordered = true;
        int last = 0;
        for (start = i; start < chars->length; start++) {
            int class = sb_char_combining_class(chars->items[start].c);
            if (class == 0)
                break;
            ordered = ordered && last <= class;
            last = class;
        }
        if (!ordered && !reserve(chars, start - i))
            return false;
        if (!ordered)
            order_run(chars->items + i, start - i, chars->items + chars->length);
        start += start < chars->length; /* past the character of class 0 */
    }
    return true;
}

static void drop_marks(struct sb_chars *chars)
{
    size_t kept = 0;
    for (size_t i = 0; i < chars->length; i++)
        if (!(sb_char_facts(chars->items[i].c) & SB_CHAR_MARK))
            chars->items[kept++] = chars->items[i];
    chars->length = kept;
}

/* Before anything else Hugging Face drops what it calls control. */
static bool cleaned_away(const struct sb_normalizer *n, int32_t c, unsigned facts)
{
    return n->hugging_face && n->clean_text &&
           (c == 0 || c == REPLACEMENT || facts & (SB_CHAR_CONTROL | SB_CHAR_PRIVATE));
}

/* What Unicode's special casing calls Final_Sigma: cased letters before it and none behind. */
static int32_t lower(int32_t c, bool final_sigma, const char *text, size_t size, size_t next)
{
    if (c == CAPITAL_SIGMA && final_sigma && !cased_follows(text, size, next))
        return FINAL_SIGMA;
    return sb_char_lower(c);
}

/* Lower case and decomposition. Sets *plain to false when marks may have to be ordered and dropped. */
static enum sb_status fold(struct sb_chars *chars, const struct sb_normalizer *n, const char *text, size_t size,
                           int32_t source, bool *plain, struct sb_error *error)
{
    bool cased_before = false; /* the last character that was not case-ignorable; the reference lowers whole strings */
    for (size_t at = 0; at < size; source++) {
        size_t start = at;
        int32_t c = sb_utf8_next(text, size, &at);
        if (c < 0)
            return sb_fail(error, SB_INVALID, "text: malformed UTF-8 at byte %zu", start);
        unsigned facts = sb_char_facts(c);
        if (!reserve(chars, LONGEST_DECOMPOSITION + 1))
            return sb_fail(error, SB_NO_MEMORY, "text: no memory for %zu bytes", size);
        if (cleaned_away(n, c, facts))
            continue;
        bool alone = n->hugging_face && n->handle_chinese_chars && facts & SB_CHAR_CJK &&
                     !(c >= 0x2B820 && c <= 0x2B91F); /* Hugging Face starts this block at U+2B920 */
        if (c < 0x80 || facts & SB_CHAR_PLAIN) {
            append(chars, n->lowercase && c >= 'A' && c <= 'Z' ? c + 32 : c, source, alone);
        } else {
            *plain = false;
            int32_t folded = n->lowercase ? lower(c, cased_before && !n->hugging_face, text, size, at) : c;
            append_decomposed(chars, folded, source, alone, n->strip_accents);
            if (n->lowercase && c == CAPITAL_I_DOT)
                append(chars, DOT_ABOVE, source, alone);
        }
        if (!(facts & SB_CHAR_CASE_IGNORABLE))
            cased_before = facts & SB_CHAR_CASED;
    }
    return SB_OK;
}

/* Hugging Face's tables are of Unicode 8: punctuation that came later (below U+10000) is none, and U+166D still is. */
static bool is_punctuation(const struct sb_normalizer *n, int32_t c, unsigned facts)
{
    static const int32_t later[][2] = {{0x61D, 0x61D}, {0x9FD, 0x9FD},   {0xA76, 0xA76},   {0xC77, 0xC77},
                                       {0xC84, 0xC84}, {0x1B7D, 0x1B7E}, {0x2E43, 0x2E4F}, {0x2E52, 0x2E5D}};
    if (!n->hugging_face)
        return facts & SB_CHAR_PUNCTUATION;
    for (size_t i = 0; facts & SB_CHAR_PUNCTUATION && i < sizeof later / sizeof *later; i++)
        if (c >= later[i][0] && c <= later[i][1])
            return false;
    return facts & SB_CHAR_PUNCTUATION || c == 0x166D;
}

static bool is_space(const struct sb_normalizer *n, int32_t c, unsigned facts)
{
    /* Those that Hugging Face drops beforehand, unless clean_text is off. */
    bool control_space = n->hugging_face && ((c >= 0x09 && c <= 0x0D) || c == 0x85);
    return facts & SB_CHAR_SPACE || control_space;
}

/* Spaces, controls, and characters that are words of their own. */
static void classify(struct sb_chars *chars, const struct sb_normalizer *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < chars->length; i++) {
        struct sb_char x = chars->items[i];
        unsigned facts = sb_char_facts(x.c);
        if (is_space(n, x.c, facts))
            x.c = ' ';
        else if (!n->hugging_face && (x.c == 0 || x.c == REPLACEMENT || facts & SB_CHAR_CONTROL))
            continue;
        else if (is_punctuation(n, x.c, facts) || (!n->hugging_face && facts & SB_CHAR_CJK))
            x.alone = true;
        chars->items[kept++] = x;
    }
    chars->length = kept;
}

enum sb_status sb_normalize(struct sb_chars *chars, const struct sb_normalizer *normalizer, const char *text,
                            size_t size, int32_t first_source, struct sb_error *error)
{
    bool plain = true;
    chars->length = 0;
    if (size >= INT32_MAX)
        return sb_fail(error, SB_LIMIT, "text: %zu bytes; at most %d are allowed", size, INT32_MAX - 1);
    enum sb_status status = fold(chars, normalizer, text, size, first_source, &plain, error);
    if (status != SB_OK)
        return status;
    if (!plain && normalizer->strip_accents) {
        if (!order_marks(chars))
            return sb_fail(error, SB_NO_MEMORY, "text: no memory for %zu bytes", size);
        drop_marks(chars);
    }
    classify(chars, normalizer);
    return SB_OK;
}
