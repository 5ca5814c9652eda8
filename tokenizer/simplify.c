#include "tokenizer/simplify.h"

#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <string.h>

static bool is_redundant(const char *token, enum sb_simplify_rule rule)
{
    size_t length = strlen(token);
    bool release = rule == SB_SIMPLIFY_RELEASE;
    if (sb_utf8_length(token, length) < 2 || (release && token[0] == '[' && token[length - 1] == ']'))
        return false;
    if (strncmp(token, "##", 2) == 0)
        token += 2;
    size_t size = strlen(token);
    for (size_t at = 0; at < size;) {
        int32_t c = sb_utf8_next(token, size, &at);
        bool later = release && (c == 0xA7 || c == 0xB6);
        if (c >= 0 && !later && sb_char_facts(c) & (SB_CHAR_CJK | SB_CHAR_PUNCTUATION))
            return true;
    }
    return false;
}

static bool is_first(const char *token, const char *const *first, size_t first_count)
{
    for (size_t i = 0; i < first_count; i++)
        if (strcmp(token, first[i]) == 0)
            return true;
    return false;
}

size_t sb_simplify_vocabulary(int32_t *keep, const struct sb_tokenizer *tokenizer, enum sb_simplify_rule rule,
                              const char *const *first, size_t first_count)
{
    size_t kept = 0;
    for (size_t i = 0; i < first_count; i++) {
        int32_t id = sb_tokenizer_id(tokenizer, first[i], strlen(first[i]));
        if (id >= 0)
            keep[kept++] = id;
    }
    for (int32_t id = 0; id < sb_tokenizer_vocab_size(tokenizer); id++) {
        const char *token = sb_tokenizer_token(tokenizer, id);
        if (!is_first(token, first, first_count) && !is_redundant(token, rule))
            keep[kept++] = id;
    }
    return kept;
}
