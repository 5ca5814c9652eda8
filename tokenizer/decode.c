/*
 * WordPiece ids to text. The reference: pieces joined, no space between ideographs nor around their punctuation, a space behind
 * ASCII punctuation except where its rules take it away again (REFERENCE section 3, "Ids to text"). Hugging Face: a space
 * between words, then its clean-up.
 */
#include "base/utf8.h"
#include "tokenizer/unicode.h"
#include "tokenizer/wordpiece.h"

#include <string.h>

/* The only code point of a token, or -1. */
static int32_t single_character(const char *token)
{
    size_t size = strlen(token), at = 0;
    if (size == 0)
        return -1;
    int32_t c = sb_utf8_next(token, size, &at);
    return at == size ? c : -1;
}

static bool ends_in_cjk(const struct sb_buffer *text)
{
    if (text->length == 0)
        return false;
    size_t start = text->length - 1;
    while (start > 0 && ((unsigned char)text->data[start] & 0xC0) == 0x80)
        start--;
    int32_t c = sb_utf8_next(text->data, text->length, &start);
    return c >= 0 && sb_char_facts(c) & SB_CHAR_CJK;
}

static void join_token(struct sb_buffer *text, const char *token, bool first)
{
    int32_t c = single_character(token);
    if (strncmp(token, "##", 2) == 0) {
        sb_buffer_text(text, token + 2);
    } else if (c >= 0 && sb_char_facts(c) & SB_CHAR_CJK) {
        sb_buffer_text(text, token);
    } else if (c >= 0 && sb_char_facts(c) & SB_CHAR_PUNCTUATION) {
        sb_buffer_text(text, token);
        sb_buffer_text(text, " ");
    } else {
        if (first || !ends_in_cjk(text))
            sb_buffer_text(text, " ");
        sb_buffer_text(text, token);
    }
}

/* Punctuation of East Asian text, and the ASCII characters behind which no space stays. */
static bool takes_no_space_behind(int32_t c)
{
    static const int32_t ranges[][2] = {
        {0xFF02, 0xFF0D}, {0xFF0F, 0xFF0F}, {0xFF1A, 0xFF1E}, {0xFF20, 0xFF20}, {0xFF3B, 0xFF40},
        {0xFF5B, 0xFF60}, {0xFF62, 0xFF64}, {0x3000, 0x3001}, {0x3003, 0x3003}, {0x3008, 0x3011},
        {0x3014, 0x301F}, {0x3030, 0x3030}, {0x303E, 0x303F}, {0x2013, 0x2014}, {0x2018, 0x2019},
        {0x201B, 0x201F}, {0x2026, 0x2027}, {0xFE4F, 0xFE4F}, {0xFE51, 0xFE51}, {0xFE54, 0xFE54},
        {0xB7, 0xB7},     {0xFF01, 0xFF01}, {0xFF1F, 0xFF1F}, {0xFF61, 0xFF61}, {0x3002, 0x3002}};
    if (c < 0x80)
        return c > 0 && strchr("+-/={(<[", (int)c);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* One left-to-right rewriting pass from text[0, size) to out. */
typedef void pass(struct sb_buffer *out, const char *text, size_t size);

static void collapse_spaces(struct sb_buffer *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' || i == 0 || text[i - 1] != ' ')
            sb_buffer_bytes(out, text + i, 1);
}

/* "' s " -> "'s " for the English contractions. */
static void join_contractions(struct sb_buffer *out, const char *text, size_t size)
{
    static const char *const endings[] = {"re", "m", "s", "t", "ve", "d", "ll"};
    for (size_t i = 0; i < size;) {
        size_t match = 0;
        for (size_t e = 0;
             e < sizeof endings / sizeof *endings && text[i] == '\'' && i + 1 < size && text[i + 1] == ' '; e++) {
            size_t n = strlen(endings[e]);
            if (i + 2 + n < size && memcmp(text + i + 2, endings[e], n) == 0 && text[i + 2 + n] == ' ')
                match = n;
        }
        if (match) {
            sb_buffer_bytes(out, "'", 1);
            sb_buffer_bytes(out, text + i + 2, match + 1);
            i += 3 + match;
        } else {
            sb_buffer_bytes(out, text + i++, 1);
        }
    }
}

static void drop_space_behind_punctuation(struct sb_buffer *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t start = at;
        int32_t c = sb_utf8_next(text, size, &at);
        sb_buffer_bytes(out, text + start, at - start);
        if (takes_no_space_behind(c) && at < size && text[at] == ' ')
            at++;
    }
}

/* "3. 14" -> "3.14". What has matched is not looked at again, as with a regular expression: "1. 2. 3" -> "1.2. 3". */
static void join_decimals(struct sb_buffer *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t start = at;
        int32_t c = sb_utf8_next(text, size, &at);
        sb_buffer_bytes(out, text + start, at - start);
        if (c < 0 || !sb_char_is_digit(c) || at + 2 >= size || text[at] != '.' || text[at + 1] != ' ')
            continue;
        size_t behind = at + 2, digit = behind;
        int32_t next = sb_utf8_next(text, size, &behind);
        if (next >= 0 && sb_char_is_digit(next)) {
            sb_buffer_bytes(out, ".", 1);
            sb_buffer_bytes(out, text + digit, behind - digit);
            at = behind;
        }
    }
}

static void strip_to(struct sb_buffer *out, const char *text, size_t size)
{
    size_t start = 0, end = 0, at = 0;
    bool inside = false;
    while (at < size) {
        size_t before = at;
        int32_t c = sb_utf8_next(text, size, &at);
        if (c >= 0 && sb_char_is_python_space(c))
            continue;
        if (!inside)
            start = before;
        inside = true;
        end = at;
    }
    sb_buffer_bytes(out, text + start, inside ? end - start : 0);
}

static void decode_reference(const struct sb_wordpiece *t, struct sb_buffer *out, const int32_t *ids, size_t n,
                             bool keep_special)
{
    static pass *const passes[] = {collapse_spaces, join_contractions, drop_space_behind_punctuation, join_decimals};
    struct sb_buffer text = {0}, next = {0};
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        if (!keep_special && sb_tokenizer_is_special(&t->tokenizer, ids[i]))
            continue;
        join_token(&text, sb_vocab_token(t->vocab, ids[i]), first);
        first = false;
    }
    for (size_t i = 0; i < sizeof passes / sizeof *passes && text.length; i++) {
        sb_buffer_reset(&next);
        passes[i](&next, text.data, text.length);
        struct sb_buffer swap = text;
        text = next;
        next = swap;
    }
    strip_to(out, text.length ? text.data : "", text.length);
    out->failed |= text.failed || next.failed;
    sb_buffer_free(&text);
    sb_buffer_free(&next);
}

/* The clean-up of Hugging Face's WordPiece decoder, applied to each token with the space before it. */
static void clean_up(struct sb_buffer *out, const char *piece)
{
    static const char *const rules[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                           {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    struct sb_buffer text = {0}, next = {0};
    sb_buffer_text(&text, piece);
    for (size_t r = 0; r < sizeof rules / sizeof *rules && !text.failed; r++) {
        size_t n = strlen(rules[r][0]);
        sb_buffer_reset(&next);
        for (size_t i = 0; i < text.length;) {
            bool match = text.length - i >= n && memcmp(text.data + i, rules[r][0], n) == 0;
            if (match)
                sb_buffer_text(&next, rules[r][1]);
            else
                sb_buffer_bytes(&next, text.data + i, 1);
            i += match ? n : 1;
        }
        struct sb_buffer swap = text;
        text = next;
        next = swap;
    }
    sb_buffer_bytes(out, text.length ? text.data : "", text.length);
    out->failed |= text.failed || next.failed;
    sb_buffer_free(&text);
    sb_buffer_free(&next);
}

static void decode_hugging_face(const struct sb_wordpiece *t, struct sb_buffer *out, const int32_t *ids, size_t n,
                                bool keep_special)
{
    struct sb_buffer piece = {0};
    size_t prefix = strlen(t->prefix);
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        const char *token = sb_vocab_token(t->vocab, ids[i]);
        if (!keep_special && sb_tokenizer_is_special(&t->tokenizer, ids[i]))
            continue;
        bool continues = strncmp(token, t->prefix, prefix) == 0;
        sb_buffer_reset(&piece);
        if (!first && !continues)
            sb_buffer_text(&piece, " ");
        sb_buffer_text(&piece, !first && continues ? token + prefix : token);
        clean_up(out, piece.data ? piece.data : "");
        first = false;
    }
    out->failed |= piece.failed;
    sb_buffer_free(&piece);
}

enum sb_status sb_wordpiece_decode(const struct sb_tokenizer *tokenizer, struct sb_buffer *out, const int32_t *ids,
                                   size_t n, bool keep_special, struct sb_error *error)
{
    const struct sb_wordpiece *t = (const struct sb_wordpiece *)tokenizer;
    if (t->normalizer.hugging_face)
        decode_hugging_face(t, out, ids, n, keep_special);
    else
        decode_reference(t, out, ids, n, keep_special);
    if (out->failed)
        return sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory for the text of %zu tokens", n);
    return SB_OK;
}
