#include "tokenizer/unicode.h"

#include <pthread.h>
#include <utf8proc.h>

static bool in_ranges(int32_t c, const int32_t (*ranges)[2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}
#define IN_RANGES(c, ranges) in_ranges(c, ranges, sizeof ranges / sizeof *ranges)

static bool is_cjk(int32_t c)
{
    static const int32_t blocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
                                        {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    return IN_RANGES(c, blocks);
}

static bool is_ascii_punctuation(int32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

/* Lu, Ll, Lt, Other_Uppercase and Other_Lowercase. */
static bool is_cased(int32_t c, utf8proc_category_t category)
{
    static const int32_t other[][2] = {{0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},
                                       {0x2E0, 0x2E4},     {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},
                                       {0x1D78, 0x1D78},   {0x1D9B, 0x1DBF},   {0x2071, 0x2071},   {0x207F, 0x207F},
                                       {0x2090, 0x209C},   {0x2160, 0x217F},   {0x24B6, 0x24E9},   {0x2C7C, 0x2C7D},
                                       {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},   {0xAB5C, 0xAB5F},
                                       {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
                                       {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT ||
           IN_RANGES(c, other);
}

/* Mn, Me, Cf, Lm, Sk and the word-break classes MidLetter, MidNumLet, Single_Quote. */
static bool is_case_ignorable(int32_t c, utf8proc_category_t category)
{
    static const int32_t word_break[][2] = {{0x27, 0x27},     {0x2E, 0x2E},     {0x3A, 0x3A},     {0xB7, 0xB7},
                                            {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
                                            {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
                                            {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A}};
    switch (category) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return IN_RANGES(c, word_break);
    }
}

static bool is_plain(int32_t c, utf8proc_category_t category)
{
    int32_t decomposed[4];
    return category != UTF8PROC_CATEGORY_MN && sb_char_lower(c) == c && sb_char_combining_class(c) == 0 &&
           sb_char_decompose(decomposed, 4, c) == 1 && decomposed[0] == c;
}

static unsigned compute_facts(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    unsigned facts = 0;
    switch (category) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: facts |= SB_CHAR_SPACE; break;
    case UTF8PROC_CATEGORY_CC: facts |= c == '\t' || c == '\n' || c == '\r' ? SB_CHAR_SPACE : SB_CHAR_CONTROL; break;
    case UTF8PROC_CATEGORY_CF: facts |= SB_CHAR_CONTROL; break;
    case UTF8PROC_CATEGORY_CO: facts |= SB_CHAR_PRIVATE; break;
    case UTF8PROC_CATEGORY_MN: facts |= SB_CHAR_MARK; break;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: facts |= SB_CHAR_PUNCTUATION; break;
    default: break;
    }
    if (is_ascii_punctuation(c))
        facts |= SB_CHAR_PUNCTUATION;
    if (is_cjk(c))
        facts |= SB_CHAR_CJK;
    if (is_plain(c, category))
        facts |= SB_CHAR_PLAIN;
    if (is_cased(c, category))
        facts |= SB_CHAR_CASED;
    if (is_case_ignorable(c, category))
        facts |= SB_CHAR_CASE_IGNORABLE;
    return facts;
}

static uint16_t table[0x10000]; /* of the basic plane, filled once */
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int32_t c = 0; c < 0x10000; c++)
        table[c] = (uint16_t)(c >= 0x4E00 && c <= 0x9FFF ? SB_CHAR_CJK | SB_CHAR_PLAIN : compute_facts(c));
}

unsigned sb_char_facts(int32_t c)
{
    pthread_once(&filled, fill);
    return c < 0x10000 ? table[c] : compute_facts(c);
}

bool sb_char_is_python_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 ||
           (c > 0x85 && sb_char_facts(c) & SB_CHAR_SPACE);
}

bool sb_char_is_digit(int32_t c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

int32_t sb_char_lower(int32_t c)
{
    return c == 0x130 ? 'i' : utf8proc_tolower(c);
}

size_t sb_char_decompose(int32_t *out, size_t limit, int32_t c)
{
    int last_class = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(c, out, (utf8proc_ssize_t)limit, UTF8PROC_DECOMPOSE, &last_class);
    if (n < 1 || (size_t)n > limit) {
        out[0] = c;
        return 1;
    }
    return (size_t)n;
}

int sb_char_combining_class(int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}
