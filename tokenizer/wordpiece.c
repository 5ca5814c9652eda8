/*
 * WordPiece: words from the normaliser, split greedily into the longest pieces of the vocabulary (REFERENCE section 3, step 3).
 */
#include "tokenizer/wordpiece.h"

#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { REFERENCE_MAX_WORD = 200 };

/* One word: its bytes, and for each character where its bytes start and where it came from. */
struct word {
    char *bytes;
    size_t *starts;   /* [characters + 1] */
    int32_t *sources; /* [characters] */
    size_t characters, capacity;
};

/* Kept by the encoding from call to call. */
struct scratch {
    struct sb_chars chars;
    struct word word;
};

static void scratch_free(struct scratch *s)
{
    if (!s)
        return;
    sb_chars_free(&s->chars);
    free(s->word.bytes);
    free(s->word.starts);
    free(s->word.sources);
    free(s);
}

void sb_encoding_free(struct sb_encoding *encoding)
{
    free(encoding->ids);
    free(encoding->segments);
    free(encoding->offsets);
    free(encoding->unknown_starts);
    sb_buffer_free(&encoding->unknown);
    scratch_free(encoding->scratch);
    *encoding = (struct sb_encoding){0};
}

static bool reserve_word(struct word *w, size_t characters)
{
    if (characters <= w->capacity)
        return true;
    free(w->bytes);
    free(w->starts);
    free(w->sources);
    w->bytes = malloc(4 * characters);
    w->starts = malloc((characters + 1) * sizeof *w->starts);
    w->sources = malloc(characters * sizeof *w->sources);
    w->capacity = w->bytes && w->starts && w->sources ? characters : 0;
    return w->capacity != 0;
}

static void collect_word(struct word *w, const struct sb_char *chars, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        w->starts[i] = bytes;
        w->sources[i] = chars[i].source;
        bytes += sb_utf8_put(w->bytes + bytes, chars[i].c);
    }
    w->starts[n] = bytes;
    w->characters = n;
}

/* The word is one [UNK]. */
static bool add_unknown(const struct sb_wordpiece *t, struct sb_encoding *encoding, const struct word *w)
{
    struct sb_span span = {w->sources[0], w->sources[w->characters - 1] + 1};
    if (!sb_encoding_add(encoding, t->tokenizer.special.unk, span))
        return false;
    return t->normalizer.hugging_face || sb_encoding_note_unknown(encoding, w->bytes, w->starts[w->characters]);
}

static bool add_word(const struct sb_wordpiece *t, struct sb_encoding *encoding, const struct word *w)
{
    size_t first = encoding->length, total = w->starts[w->characters];
    bool fits = w->characters <= t->max_word_characters;
    for (size_t at = 0, character = 0; fits && at < total;) {
        size_t length, start = character;
        int32_t id = sb_vocab_longest(t->vocab, w->bytes + at, total - at, at > 0, &length);
        if (id < 0) {
            fits = false;
            break;
        }
        at += length;
        while (w->starts[character] < at)
            character++;
        if (!sb_encoding_add(encoding, id, (struct sb_span){w->sources[start], w->sources[character - 1] + 1}))
            return false;
    }
    if (fits)
        return true;
    encoding->length = first; /* no match at some place makes the whole word unknown */
    return add_unknown(t, encoding, w);
}

/* A run of ideographs under a vocabulary of whole words: the longest word of the vocabulary at each place, then an ideograph alone.
   What such models were trained with cuts words by a dictionary with frequencies (jieba), which the vocabulary does not hold. */
static bool add_ideographs(const struct sb_wordpiece *t, struct sb_encoding *encoding, const struct word *w)
{
    for (size_t character = 0, total = w->starts[w->characters]; character < w->characters;) {
        size_t at = w->starts[character], length, first = character;
        int32_t id = sb_vocab_longest(t->vocab, w->bytes + at, total - at, 0, &length);
        character++;
        while (id >= 0 && w->starts[character] < at + length)
            character++;
        struct sb_span span = {w->sources[first], w->sources[character - 1] + 1};
        if (!sb_encoding_add(encoding, id >= 0 ? id : t->tokenizer.special.unk, span))
            return false;
        if (id < 0 && !t->normalizer.hugging_face &&
            !sb_encoding_note_unknown(encoding, w->bytes + at, w->starts[character] - at))
            return false;
    }
    return true;
}

static bool is_ideograph(const struct sb_char *c)
{
    return c->alone && sb_char_facts(c->c) & SB_CHAR_CJK;
}

/* Words are separated by spaces; some characters are words of their own. */
static bool add_words(const struct sb_wordpiece *t, struct sb_encoding *encoding, struct scratch *s)
{
    const struct sb_char *x = s->chars.items;
    for (size_t i = 0; i < s->chars.length;) {
        if (x[i].c == ' ') {
            i++;
            continue;
        }
        size_t end = i + 1;
        bool run = t->tokenizer.joins_ideographs && is_ideograph(&x[i]);
        while (end < s->chars.length && (run ? is_ideograph(&x[end]) : !x[i].alone && x[end].c != ' ' && !x[end].alone))
            end++;
        if (!reserve_word(&s->word, end - i))
            return false;
        collect_word(&s->word, x + i, end - i);
        if (!(run ? add_ideographs : add_word)(t, encoding, &s->word))
            return false;
        i = end;
    }
    return true;
}

static enum sb_status encode_stretch(const struct sb_wordpiece *t, struct sb_encoding *encoding, const char *text,
                                     size_t size, int32_t first_source, struct sb_error *error)
{
    struct scratch *s = encoding->scratch;
    enum sb_status status = sb_normalize(&s->chars, &t->normalizer, text, size, first_source, error);
    if (status == SB_OK && !add_words(t, encoding, s))
        status = sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory for a text of %zu bytes", size);
    return status;
}

/* The added token that starts at text, the longest one; NULL: none. */
static const struct sb_added_token *added_at(const struct sb_wordpiece *t, const char *text, size_t size)
{
    const struct sb_added_token *best = NULL;
    for (size_t i = 0; i < t->added_count; i++) {
        const struct sb_added_token *a = &t->added[i];
        if (a->size <= size && memcmp(a->text, text, a->size) == 0 && (!best || a->size > best->size))
            best = a;
    }
    return best;
}

/* Text between added tokens goes through WordPiece; the added tokens stand for themselves. */
static enum sb_status encode(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding, const char *text,
                             size_t size, struct sb_error *error)
{
    const struct sb_wordpiece *t = (const struct sb_wordpiece *)tokenizer;
    if (!encoding->scratch && !(encoding->scratch = calloc(1, sizeof(struct scratch))))
        return sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory");
    size_t from = 0;
    int32_t source = 0;
    for (size_t at = 0; t->added_count && at < size; at++) {
        const struct sb_added_token *added = added_at(t, text + at, size - at);
        if (!added)
            continue;
        enum sb_status status = encode_stretch(t, encoding, text + from, at - from, source, error);
        if (status != SB_OK)
            return status;
        source += (int32_t)sb_utf8_length(text + from, at - from);
        int32_t end = source + (int32_t)sb_utf8_length(added->text, added->size);
        if (!sb_encoding_add(encoding, added->id, (struct sb_span){source, end}))
            return sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory for a text of %zu bytes", size);
        source = end;
        from = at + added->size;
        at = from - 1;
    }
    return encode_stretch(t, encoding, text + from, size - from, source, error);
}

static const char *token(const struct sb_tokenizer *tokenizer, int32_t id)
{
    return sb_vocab_token(((const struct sb_wordpiece *)tokenizer)->vocab, id);
}

static int32_t id_of(const struct sb_tokenizer *tokenizer, const char *text, size_t size)
{
    return sb_vocab_id(((const struct sb_wordpiece *)tokenizer)->vocab, text, size);
}

/* The reference calls special what stands in brackets; Hugging Face what its file says. */
static bool is_special(const struct sb_tokenizer *tokenizer, int32_t id)
{
    const struct sb_wordpiece *t = (const struct sb_wordpiece *)tokenizer;
    if (t->normalizer.hugging_face) {
        for (size_t i = 0; i < t->added_count; i++)
            if (t->added[i].id == id)
                return t->added[i].special;
        return false;
    }
    const char *text = sb_vocab_token(t->vocab, id);
    size_t size = strlen(text);
    return size > 0 && text[0] == '[' && text[size - 1] == ']';
}

static void wordpiece_free(struct sb_tokenizer *tokenizer)
{
    struct sb_wordpiece *t = (struct sb_wordpiece *)tokenizer;
    for (size_t i = 0; i < t->added_count; i++)
        free(t->added[i].text);
    free(t->added);
    free(t->prefix);
    sb_vocab_free(t->vocab);
    free(t);
}

static const struct sb_tokenizer_class wordpiece_class = {
    .kind = "wordpiece",
    .encode = encode,
    .decode = sb_wordpiece_decode,
    .token = token,
    .id = id_of,
    .is_special = is_special,
    .free = wordpiece_free,
};

/* More than one character, and all of them ideographs. */
static bool is_word_of_ideographs(const char *token)
{
    size_t size = strlen(token), at = 0, characters = 0;
    for (; at < size; characters++) {
        int32_t c = sb_utf8_next(token, size, &at);
        if (c < 0 || !(sb_char_facts(c) & SB_CHAR_CJK))
            return false;
    }
    return characters > 1;
}

/* Vocabularies of characters have no such word, or a few; those of words consist of them for the most part. */
static bool holds_words(const struct sb_vocab *vocab)
{
    int32_t size = sb_vocab_size(vocab), words = 0;
    for (int32_t id = 0; id < size; id++)
        words += is_word_of_ideographs(sb_vocab_token(vocab, id));
    return words >= size / 10 + 1;
}

static int32_t find(const struct sb_vocab *vocab, const char *text)
{
    return sb_vocab_id(vocab, text, strlen(text));
}

static enum sb_status check_special(const struct sb_wordpiece *t, const char *unknown, struct sb_error *error)
{
    const struct sb_special_ids *special = &t->tokenizer.special;
    const char *missing = special->unk < 0 ? unknown : special->cls < 0 ? "[CLS]" : special->sep < 0 ? "[SEP]" : NULL;
    return missing ? sb_fail(error, SB_CORRUPT, "'%.60s' is not in the vocabulary", missing) : SB_OK;
}

enum sb_status sb_wordpiece_new(struct sb_wordpiece **wordpiece, struct sb_vocab *vocab,
                                const struct sb_normalizer *normalizer, size_t max_word_characters, const char *prefix,
                                const char *unknown, struct sb_error *error)
{
    struct sb_wordpiece *t = calloc(1, sizeof *t);
    char *copy = strdup(prefix);
    if (!t || !copy) {
        free(t);
        free(copy);
        sb_vocab_free(vocab);
        return sb_fail(error, SB_NO_MEMORY, "no memory for the tokenizer");
    }
    t->tokenizer = (struct sb_tokenizer){
        .class_ = &wordpiece_class,
        .vocab_size = sb_vocab_size(vocab),
        .special = {find(vocab, "[PAD]"), find(vocab, unknown), find(vocab, "[CLS]"), find(vocab, "[SEP]"),
                    find(vocab, "[MASK]")},
        .hugging_face_pairs = normalizer->hugging_face,
        .joins_ideographs = holds_words(vocab),
    };
    t->vocab = vocab;
    t->normalizer = *normalizer;
    t->max_word_characters = max_word_characters;
    t->prefix = copy;
    enum sb_status status = check_special(t, unknown, error);
    if (status == SB_OK)
        *wordpiece = t;
    else
        wordpiece_free(&t->tokenizer);
    return status;
}

enum sb_status sb_wordpiece_open_vocab(struct sb_tokenizer **tokenizer, const char *path, bool lowercase,
                                       struct sb_error *error)
{
    struct sb_vocab *vocab;
    enum sb_status status = sb_vocab_read(&vocab, path, error);
    if (status != SB_OK)
        return status;
    struct sb_normalizer reference = {
        .lowercase = lowercase, .strip_accents = lowercase, .clean_text = true, .handle_chinese_chars = true};
    struct sb_wordpiece *t;
    status = sb_wordpiece_new(&t, vocab, &reference, REFERENCE_MAX_WORD, "##", "[UNK]", error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "%s", path);
    *tokenizer = &t->tokenizer;
    return SB_OK;
}
