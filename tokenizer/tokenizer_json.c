/*
 * Hugging Face's tokenizer.json for WordPiece models: vocabulary, normaliser flags, added tokens. What it asks for and we do not do
 * is refused by name, so that ids never differ silently.
 */
#include "base/json.h"
#include "tokenizer/wordpiece.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_JSON_BYTES = 64 << 20, MAX_ADDED = 4096 };

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* Refuses a component of another type than the one we know; a missing one is fine when `optional`. */
static enum sb_status expect_type(const cJSON *root, const char *component, const char *type, bool optional,
                                  struct sb_error *error)
{
    const cJSON *object = member(root, component);
    if (!object || cJSON_IsNull(object))
        return optional ? SB_OK : sb_fail(error, SB_CORRUPT, "has no \"%s\"", component);
    const char *found = "";
    if (!cJSON_IsObject(object) || sb_json_get_string(&found, object, "type", NULL) != SB_OK ||
        strcmp(found, type) != 0)
        return sb_fail(error, SB_UNSUPPORTED, "\"%s\" of type '%.60s' is not supported; '%s' is", component, found,
                       type);
    return SB_OK;
}

static enum sb_status read_normalizer(struct sb_normalizer *n, const cJSON *root, struct sb_error *error)
{
    *n = (struct sb_normalizer){
        .hugging_face = true, .lowercase = true, .clean_text = true, .handle_chinese_chars = true};
    const cJSON *object = member(root, "normalizer");
    if (!object || cJSON_IsNull(object)) {
        *n = (struct sb_normalizer){.hugging_face = true};
        return SB_OK;
    }
    enum sb_status status = sb_json_get_bool(&n->lowercase, object, "lowercase", error);
    n->strip_accents = n->lowercase; /* null follows lowercase */
    if (status == SB_OK)
        status = sb_json_get_bool(&n->strip_accents, object, "strip_accents", error);
    if (status == SB_OK)
        status = sb_json_get_bool(&n->clean_text, object, "clean_text", error);
    if (status == SB_OK)
        status = sb_json_get_bool(&n->handle_chinese_chars, object, "handle_chinese_chars", error);
    return status;
}

/* {"token": id, ...} into arrays by id; every id from 0 to the largest must be there once. */
static enum sb_status read_vocab(struct sb_vocab **vocab, const cJSON *model, const char *prefix,
                                 struct sb_error *error)
{
    const cJSON *object = member(model, "vocab"), *entry;
    if (!cJSON_IsObject(object))
        return sb_fail(error, SB_CORRUPT, "\"model.vocab\" is not an object");
    size_t count = 0;
    cJSON_ArrayForEach(entry, object) count++;
    const char **tokens = calloc(count + 1, sizeof *tokens);
    size_t *sizes = calloc(count + 1, sizeof *sizes);
    enum sb_status status = tokens && sizes ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu tokens", count);
    cJSON_ArrayForEach(entry, object)
    {
        int64_t id;
        if (status != SB_OK)
            break;
        if (!sb_json_as_int(&id, 0, (int64_t)count - 1, entry)) {
            status = sb_fail(error, SB_CORRUPT, "\"model.vocab\": the id of '%.60s' is not a whole number below %zu",
                             entry->string, count);
        } else if (tokens[id]) {
            status = sb_fail(error, SB_CORRUPT, "\"model.vocab\": id %d stands twice", (int)id);
        } else {
            tokens[id] = entry->string;
            sizes[id] = strlen(entry->string);
        }
    }
    if (status == SB_OK)
        status = sb_vocab_new(vocab, tokens, sizes, count, prefix, error);
    free(tokens);
    free(sizes);
    return status;
}

static enum sb_status add_token(struct sb_wordpiece *t, const cJSON *entry, struct sb_error *error)
{
    const char *content = NULL;
    int64_t id = -1;
    bool special = false;
    enum sb_status status = cJSON_IsObject(entry)
                                ? sb_json_get_string(&content, entry, "content", error)
                                : sb_fail(error, SB_CORRUPT, "\"added_tokens\": an entry is not an object");
    if (status == SB_OK)
        status = sb_json_get_int(&id, 0, t->tokenizer.vocab_size - 1, entry, "id", error);
    if (status == SB_OK)
        status = sb_json_get_bool(&special, entry, "special", error);
    if (status != SB_OK)
        return status;
    if (!content || !*content || id < 0)
        return sb_fail(error, SB_CORRUPT, "\"added_tokens\": an entry lacks its content or id");
    char *text = strdup(content);
    if (!text)
        return sb_fail(error, SB_NO_MEMORY, "no memory for an added token");
    t->added[t->added_count++] = (struct sb_added_token){text, strlen(text), (int32_t)id, special};
    return SB_OK;
}

static enum sb_status read_added(struct sb_wordpiece *t, const cJSON *root, struct sb_error *error)
{
    const cJSON *array = member(root, "added_tokens"), *entry;
    int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    if (count > MAX_ADDED)
        return sb_fail(error, SB_LIMIT, "%d added tokens; at most %d are allowed", count, MAX_ADDED);
    t->added = calloc((size_t)count + 1, sizeof *t->added);
    if (!t->added)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %d added tokens", count);
    enum sb_status status = SB_OK;
    cJSON_ArrayForEach(entry, array) if (status == SB_OK) status = add_token(t, entry, error);
    return status;
}

/* The post-processor's template is taken to be [CLS] A [SEP] (B [SEP]), which is what we build. */
static enum sb_status read_model(struct sb_wordpiece **t, const cJSON *root, struct sb_error *error)
{
    const cJSON *model = member(root, "model");
    const char *prefix = "##", *unknown = "[UNK]";
    int64_t longest = 100;
    struct sb_normalizer normalizer;
    struct sb_vocab *vocab;
    enum sb_status status = read_normalizer(&normalizer, root, error);
    if (status == SB_OK)
        status = sb_json_get_string(&prefix, model, "continuing_subword_prefix", error);
    if (status == SB_OK)
        status = sb_json_get_string(&unknown, model, "unk_token", error);
    if (status == SB_OK)
        status = sb_json_get_int(&longest, 1, 100000, model, "max_input_chars_per_word", error);
    if (status == SB_OK)
        status = read_vocab(&vocab, model, prefix, error);
    if (status != SB_OK)
        return status;
    return sb_wordpiece_new(t, vocab, &normalizer, (size_t)longest, prefix, unknown, error);
}

enum sb_status sb_wordpiece_from_json(struct sb_tokenizer **tokenizer, const cJSON *root, struct sb_error *error)
{
    struct sb_wordpiece *t = NULL;
    enum sb_status status = cJSON_IsObject(root) ? expect_type(root, "model", "WordPiece", false, error)
                                                 : sb_fail(error, SB_CORRUPT, "is not a JSON object");
    if (status == SB_OK)
        status = expect_type(root, "normalizer", "BertNormalizer", true, error);
    if (status == SB_OK)
        status = expect_type(root, "pre_tokenizer", "BertPreTokenizer", true, error);
    if (status == SB_OK)
        status = read_model(&t, root, error);
    if (status == SB_OK)
        status = read_added(t, root, error);
    if (status == SB_OK)
        *tokenizer = &t->tokenizer;
    else
        sb_tokenizer_free(t ? &t->tokenizer : NULL);
    return status;
}

enum sb_status sb_wordpiece_open_json(struct sb_tokenizer **tokenizer, const char *path, struct sb_error *error)
{
    cJSON *root;
    enum sb_status status = sb_json_read_file(&root, path, MAX_JSON_BYTES, error);
    if (status != SB_OK)
        return status;
    status = sb_wordpiece_from_json(tokenizer, root, error);
    if (status != SB_OK)
        sb_fail_context(error, status, "%s", path);
    cJSON_Delete(root);
    return status;
}
