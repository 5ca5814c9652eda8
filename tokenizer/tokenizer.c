/*
 * The one interface: finding the tokenizer of a model directory, special tokens, pairs and truncation.
 */
#include "base/file.h"
#include "base/json.h"
#include "tokenizer/tokenizer_impl.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

bool sb_encoding_add(struct sb_encoding *e, int32_t id, struct sb_span offsets)
{
    if (e->length == e->capacity) {
        size_t capacity = e->capacity ? 2 * e->capacity : 64;
        int32_t *ids = realloc(e->ids, capacity * sizeof *ids);
        if (ids)
            e->ids = ids;
        uint8_t *segments = realloc(e->segments, capacity);
        if (segments)
            e->segments = segments;
        struct sb_span *spans = realloc(e->offsets, capacity * sizeof *spans);
        if (spans)
            e->offsets = spans;
        int64_t *starts = realloc(e->unknown_starts, capacity * sizeof *starts);
        if (starts)
            e->unknown_starts = starts;
        if (!ids || !segments || !spans || !starts)
            return false;
        e->capacity = capacity;
    }
    e->ids[e->length] = id;
    e->segments[e->length] = 0;
    e->offsets[e->length] = offsets;
    e->unknown_starts[e->length++] = -1;
    return true;
}

bool sb_encoding_note_unknown(struct sb_encoding *e, const char *word, size_t size)
{
    e->unknown_starts[e->length - 1] = (int64_t)e->unknown.length;
    sb_buffer_bytes(&e->unknown, word, size);
    sb_buffer_bytes(&e->unknown, "", 1);
    return !e->unknown.failed;
}

const char *sb_encoding_token(const struct sb_encoding *encoding, const struct sb_tokenizer *tokenizer, size_t i)
{
    if (encoding->unknown_starts[i] >= 0)
        return encoding->unknown.data + encoding->unknown_starts[i];
    return sb_tokenizer_token(tokenizer, encoding->ids[i]);
}

/* "do_lower_case" of a config file; untouched where it does not say. */
static enum sb_status read_lower_case(bool *lowercase, const char *dir, const char *name, struct sb_error *error)
{
    cJSON *json = NULL;
    char *path = sb_path_join(dir, name);
    enum sb_status status = SB_OK;
    if (!path)
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory", dir);
    else if (sb_file_exists(path))
        status = sb_json_read_file(&json, path, MAX_CONFIG_BYTES, error);
    if (status == SB_OK && json && cJSON_IsObject(json)) {
        status = sb_json_get_bool(lowercase, json, "do_lower_case", error);
        if (status != SB_OK)
            sb_fail_context(error, status, "%s", path);
    }
    cJSON_Delete(json);
    free(path);
    return status;
}

static enum sb_status open_vocab(struct sb_tokenizer **tokenizer, const char *dir, const char *path,
                                 struct sb_error *error)
{
    static const char *const names[] = {"bert_config.json", "config.json",
                                        "tokenizer_config.json"}; /* the last one counts */
    bool lowercase = true;
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && status == SB_OK; i++)
        status = read_lower_case(&lowercase, dir, names[i], error);
    return status == SB_OK ? sb_wordpiece_open_vocab(tokenizer, path, lowercase, error) : status;
}

/* The first *.model file by name; NULL: none. */
static char *find_sentencepiece(const char *dir)
{
    DIR *folder = opendir(dir);
    char *found = NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length > 6 && strcmp(entry->d_name + length - 6, ".model") == 0 &&
            (!found || strcmp(entry->d_name, found) < 0)) {
            free(found);
            found = strdup(entry->d_name);
        }
    }
    if (folder)
        closedir(folder);
    char *path = found ? sb_path_join(dir, found) : NULL;
    free(found);
    return path;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum sb_status open_file(struct sb_tokenizer **tokenizer, const char *path, struct sb_error *error)
{
    if (ends_with(path, ".json"))
        return sb_wordpiece_open_json(tokenizer, path, error);
    if (ends_with(path, ".model"))
        return sb_sentencepiece_open(tokenizer, path, error);
    char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;
    if (slash)
        *slash = '\0';
    enum sb_status status = !dir ? sb_fail(error, SB_NO_MEMORY, "%s: no memory", path)
                                 : open_vocab(tokenizer, slash ? dir : ".", path, error);
    free(dir);
    return status;
}

enum sb_status sb_tokenizer_open(struct sb_tokenizer **tokenizer, const char *dir, struct sb_error *error)
{
    *tokenizer = NULL;
    if (sb_file_exists(dir))
        return open_file(tokenizer, dir, error);
    char *json = sb_path_join(dir, "tokenizer.json"), *vocab = sb_path_join(dir, "vocab.txt"),
         *model = find_sentencepiece(dir);
    enum sb_status status;
    if (!json || !vocab)
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory", dir);
    else if (sb_file_exists(json))
        status = sb_wordpiece_open_json(tokenizer, json, error);
    else if (sb_file_exists(vocab))
        status = open_vocab(tokenizer, dir, vocab, error);
    else if (model)
        status = sb_sentencepiece_open(tokenizer, model, error);
    else
        status = sb_fail(error, SB_NOT_FOUND, "%s holds no tokenizer: none of tokenizer.json, vocab.txt, *.model", dir);
    free(json);
    free(vocab);
    free(model);
    return status;
}

void sb_tokenizer_free(struct sb_tokenizer *tokenizer)
{
    if (tokenizer)
        tokenizer->class_->free(tokenizer);
}

int32_t sb_tokenizer_vocab_size(const struct sb_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}

struct sb_special_ids sb_tokenizer_special(const struct sb_tokenizer *tokenizer)
{
    return tokenizer->special;
}

const char *sb_tokenizer_kind(const struct sb_tokenizer *tokenizer)
{
    return tokenizer->class_->kind;
}

bool sb_tokenizer_joins_ideographs(const struct sb_tokenizer *tokenizer)
{
    return tokenizer->joins_ideographs;
}

const char *sb_tokenizer_token(const struct sb_tokenizer *tokenizer, int32_t id)
{
    return tokenizer->class_->token(tokenizer, id);
}

int32_t sb_tokenizer_id(const struct sb_tokenizer *tokenizer, const char *token, size_t size)
{
    return tokenizer->class_->id(tokenizer, token, size);
}

bool sb_tokenizer_is_special(const struct sb_tokenizer *tokenizer, int32_t id)
{
    return tokenizer->class_->is_special(tokenizer, id);
}

static void start(struct sb_encoding *encoding)
{
    encoding->length = 0;
    encoding->truncated = false;
    sb_buffer_reset(&encoding->unknown);
}

static bool add_special(struct sb_encoding *encoding, int32_t id)
{
    return id < 0 || sb_encoding_add(encoding, id, (struct sb_span){-1, -1}); /* a vocabulary without it does without */
}

/* Drops tokens [from, from + n). */
static void drop(struct sb_encoding *e, size_t from, size_t n)
{
    size_t rest = e->length - from - n;
    memmove(e->ids + from, e->ids + from + n, rest * sizeof *e->ids);
    memmove(e->segments + from, e->segments + from + n, rest);
    memmove(e->offsets + from, e->offsets + from + n, rest * sizeof *e->offsets);
    memmove(e->unknown_starts + from, e->unknown_starts + from + n, rest * sizeof *e->unknown_starts);
    e->length -= n;
    e->truncated = true;
}

/* Drops n tokens of the part that starts at `start` and is `length` long: those before its closing [SEP], which stays while there
   is room for it, or those behind its opening [CLS] (the second text has none). */
static void cut_part(struct sb_encoding *e, size_t start, size_t length, size_t n, bool opens, bool cut_left)
{
    if (n == 0)
        return;
    size_t kept = length - n, from = cut_left ? (opens && kept > 0) : kept > 0 ? kept - 1 : 0;
    drop(e, start + from, n);
}

/* What is left of the two parts so that both fit. Lengths count the special tokens as the reference counts them: both texts have a
   [CLS] and a [SEP]; the longer one gives, a tie takes from the first. */
static void share_like_reference(size_t *first, size_t *second, size_t max_length)
{
    while (*first + *second > max_length && *first + *second > 0) {
        if (*first > *second || *second == 0)
            (*first)--;
        else
            (*second)--;
    }
}

/* Hugging Face's "longest_first": lengths without special tokens; the longer one gives down to the shorter one's length, then both
   get half, the longer one what is odd. */
static void share_like_hugging_face(size_t *first, size_t *second, size_t max_length)
{
    size_t room = max_length > 3 ? max_length - 3 : 0, a = *first - 2, b = *second - 1;
    size_t *longer = a > b ? &a : &b, *shorter = a > b ? &b : &a;
    if (a + b <= room)
        return;
    *longer = *shorter > room ? *shorter : *shorter > room - *shorter ? *shorter : room - *shorter;
    if (a + b > room) {
        *shorter = room / 2;
        *longer = room - room / 2;
    }
    *first = a + 2;
    *second = b + 1;
}

/* first: the length of [CLS] first [SEP]. */
static void cut_to(const struct sb_tokenizer *t, struct sb_encoding *e, size_t first, size_t max_length, bool cut_left)
{
    size_t second = e->length - first, keep_first = first, keep_second = second;
    if (t->hugging_face_pairs && second)
        share_like_hugging_face(&keep_first, &keep_second, max_length);
    share_like_reference(&keep_first, &keep_second, max_length);
    cut_part(e, first, second, second - keep_second, false, cut_left);
    cut_part(e, 0, first, first - keep_first, true, cut_left);
}

enum sb_status sb_tokenizer_encode(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding,
                                   const char *first, size_t first_size, const char *second, size_t second_size,
                                   size_t max_length, struct sb_error *error)
{
    return sb_tokenizer_encode_cut(tokenizer, encoding, first, first_size, second, second_size, max_length, false,
                                   error);
}

enum sb_status sb_tokenizer_encode_cut(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding,
                                       const char *first, size_t first_size, const char *second, size_t second_size,
                                       size_t max_length, bool cut_left, struct sb_error *error)
{
    start(encoding);
    const struct sb_special_ids *special = &tokenizer->special;
    enum sb_status status = SB_OK;
    bool fits = add_special(encoding, special->cls);
    if (fits)
        status = tokenizer->class_->encode(tokenizer, encoding, first, first_size, error);
    if (status == SB_OK && fits)
        fits = add_special(encoding, special->sep);
    size_t first_length = encoding->length;
    if (status == SB_OK && fits && second) {
        status = tokenizer->class_->encode(tokenizer, encoding, second, second_size, error);
        if (status == SB_OK)
            fits = add_special(encoding, special->sep);
        for (size_t i = first_length; status == SB_OK && i < encoding->length; i++)
            encoding->segments[i] = 1;
    }
    if (status == SB_OK && !fits)
        status = sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory for a text of %zu bytes", first_size + second_size);
    if (status == SB_OK && max_length)
        cut_to(tokenizer, encoding, first_length, max_length, cut_left);
    return status;
}

enum sb_status sb_tokenizer_encode_plain(const struct sb_tokenizer *tokenizer, struct sb_encoding *encoding,
                                         const char *text, size_t size, struct sb_error *error)
{
    start(encoding);
    return tokenizer->class_->encode(tokenizer, encoding, text, size, error);
}

enum sb_status sb_tokenizer_decode(const struct sb_tokenizer *tokenizer, struct sb_buffer *out, const int32_t *ids,
                                   size_t n, bool keep_special, struct sb_error *error)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= tokenizer->vocab_size)
            return sb_fail(error, SB_INVALID, "token id %d at %zu is outside the vocabulary of %d", ids[i], i,
                           tokenizer->vocab_size);
    return tokenizer->class_->decode(tokenizer, out, ids, n, keep_special, error);
}
