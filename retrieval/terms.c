#include "retrieval/terms.h"

#include "base/utf8.h"

#include <utf8proc.h>

#define IS_WORD (UINT64_C(1) << 63)

enum kind { SEPARATOR, WORD, CHARACTER };

static bool within(int32_t c, int32_t first, int32_t last)
{
    return c >= first && c <= last;
}

static bool is_without_spaces(int32_t c)
{
    return within(c, 0x4E00, 0x9FFF) || within(c, 0x3400, 0x4DBF) || within(c, 0xF900, 0xFAFF) ||
           within(c, 0x20000, 0x3FFFF) || within(c, 0x3041, 0x30FF) || within(c, 0xAC00, 0xD7AF) ||
           within(c, 0xFF66, 0xFF9D) || c == 0x3005 || c == 0x3007;
}

/* Folds the case and the width. */
static int32_t fold(int32_t c)
{
    if (within(c, 0xFF01, 0xFF5E))
        c -= 0xFEE0;
    if (c < 0x80)
        return within(c, 'A', 'Z') ? c + 32 : c;
    return is_without_spaces(c) ? c : utf8proc_tolower(c);
}

static enum kind kind_of(int32_t c)
{
    if (c < 0x80)
        return within(c, '0', '9') || within(c, 'a', 'z') ? WORD : SEPARATOR;
    if (is_without_spaces(c))
        return c == 0x30FB ? SEPARATOR : CHARACTER;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return WORD;
    default: return SEPARATOR;
    }
}

struct sb_terms sb_terms_of(const char *text, size_t size)
{
    return (struct sb_terms){.text = text, .size = size};
}

static sb_term pair_of(int32_t first, int32_t second)
{
    return (uint64_t)first << 21 | (uint64_t)second;
}

/* FNV-1a over the folded characters of the word that begins at `at`. */
static sb_term read_word(struct sb_terms *t)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    while (t->at < t->size) {
        size_t next = t->at;
        int32_t c = fold(sb_utf8_next(t->text, t->size, &next));
        if (kind_of(c) != WORD)
            break;
        hash = (hash ^ (uint64_t)c) * UINT64_C(1099511628211);
        t->at = next;
    }
    return hash | IS_WORD;
}

/* Ends a run of characters: the last one is a term if it had no neighbour. */
static bool end_run(struct sb_terms *t, sb_term *term)
{
    bool alone = t->previous && !t->paired;
    *term = pair_of(t->previous, 0);
    t->previous = 0;
    t->paired = false;
    return alone;
}

bool sb_terms_next(struct sb_terms *terms, sb_term *term)
{
    struct sb_terms *t = terms;
    while (t->at < t->size) {
        size_t next = t->at;
        int32_t c = fold(sb_utf8_next(t->text, t->size, &next)), previous = t->previous;
        enum kind kind = kind_of(c);
        if (kind != CHARACTER && end_run(t, term))
            return true; /* c is looked at again */
        if (kind == WORD) {
            *term = read_word(t);
            return true;
        }
        t->at = next;
        if (kind == SEPARATOR)
            continue;
        t->previous = c;
        t->paired = previous != 0;
        if (previous) {
            *term = pair_of(previous, c);
            return true;
        }
    }
    return end_run(t, term);
}

int32_t sb_term_character(sb_term term)
{
    return term & IS_WORD || term & 0x1FFFFF ? 0 : (int32_t)(term >> 21);
}

bool sb_term_holds(sb_term term, int32_t character)
{
    return !(term & IS_WORD) && ((int32_t)(term >> 21) == character || (int32_t)(term & 0x1FFFFF) == character);
}
