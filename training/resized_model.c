#include "training/resized_model.h"

#include "base/file.h"
#include "model/network.h"
#include "training/initialise.h"
#include "training/resize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_VOCABULARY_BYTES = 64 << 20 };

/* ---- Sizes ---- */

static enum sb_status new_attention(struct sb_config *c, const struct sb_model_sizes *sizes, struct sb_error *error)
{
    struct sb_attention_config *a = &c->attention;
    enum sb_status status =
        sb_attention_from_names(a, sizes->attention_parts, sizes->attention_part_count, error);
    a->factor_a = sizes->factor_a;
    a->factor_b = sizes->factor_b;
    a->factor_rank = sizes->factor_rank;
    if (status == SB_OK)
        status = sb_attention_complete(a, c->max_position_embeddings, error);
    return status == SB_OK ? status : sb_fail_context(error, status, "resize");
}

static enum sb_status new_config(struct sb_config *c, const struct sb_model_sizes *sizes, struct sb_error *error)
{
    bool plain_embedding = c->embedding_size == c->hidden_size, plain_keys = c->attention_key_size == c->attention_head_size;
    bool plain_heads = c->attention_head_size * c->num_attention_heads == c->hidden_size;
    if (sizes->hidden_size) {
        if (sizes->hidden_size % c->num_attention_heads)
            return sb_fail(error, SB_INVALID, "resize: hidden_size %d is no multiple of the model's %d attention heads",
                           sizes->hidden_size, c->num_attention_heads);
        c->hidden_size = sizes->hidden_size;
        c->embedding_size = plain_embedding ? c->hidden_size : c->embedding_size;
        c->attention_head_size = plain_heads ? c->hidden_size / c->num_attention_heads : c->attention_head_size;
        c->attention_key_size = plain_keys ? c->attention_head_size : c->attention_key_size;
    }
    if (sizes->attention_key_size)
        c->attention_key_size = sizes->attention_key_size;
    if (sizes->intermediate_size)
        c->intermediate_size = sizes->intermediate_size;
    return sizes->attention_part_count ? new_attention(c, sizes, error) : SB_OK;
}

/* ---- Vocabulary ---- */

/* A new token's embedding: the mean of these rows of the old table. */
struct origin {
    int32_t *ids;
    size_t count;
};

struct vocabulary {
    struct origin *origins; /* [count] */
    size_t count;
};

static void vocabulary_free(struct vocabulary *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->origins[i].ids);
    free(v->origins);
}

/* Tokens of the old vocabulary that a new token is cut into; [UNK] if there are none. */
static enum sb_status find_origin(struct origin *origin, const struct sb_tokenizer *old, struct sb_encoding *encoding,
                                  const char *token, size_t size, struct sb_error *error)
{
    int32_t id = sb_tokenizer_id(old, token, size), unknown = sb_tokenizer_special(old).unk;
    if (id < 0) {
        bool goes_on = size > 2 && token[0] == '#' && token[1] == '#';
        enum sb_status status =
            sb_tokenizer_encode_plain(old, encoding, token + (goes_on ? 2 : 0), size - (goes_on ? 2 : 0), error);
        if (status != SB_OK)
            return status;
    }
    origin->count = id >= 0 || encoding->length == 0 ? 1 : encoding->length;
    origin->ids = malloc(origin->count * sizeof *origin->ids);
    if (!origin->ids)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the vocabulary");
    if (id >= 0 || encoding->length == 0)
        origin->ids[0] = id >= 0 ? id : unknown;
    else
        memcpy(origin->ids, encoding->ids, origin->count * sizeof *origin->ids);
    return SB_OK;
}

/* A line a token, as everywhere: lines end at \n alone and may be empty (REFERENCE section 3). */
static enum sb_status read_vocabulary(struct vocabulary *v, const char *path, const struct sb_tokenizer *old,
                                      struct sb_error *error)
{
    struct sb_encoding encoding = {0};
    char *text = NULL;
    size_t size, lines = 0;
    enum sb_status status = sb_read_file(&text, &size, path, MAX_VOCABULARY_BYTES, error);
    for (size_t i = 0; status == SB_OK && i < size; i++)
        lines += text[i] == '\n' || i + 1 == size;
    if (status == SB_OK && lines == 0)
        status = sb_fail(error, SB_INVALID, "%s: holds no tokens", path);
    if (status == SB_OK && !(v->origins = calloc(lines, sizeof *v->origins)))
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory to read it", path);
    for (char *line = text; status == SB_OK && v->count < lines; v->count++) {
        char *end = memchr(line, '\n', (size_t)(text + size - line));
        size_t length = end ? (size_t)(end - line) : (size_t)(text + size - line);
        status = find_origin(&v->origins[v->count], old, &encoding, line,
                             length && line[length - 1] == '\r' ? length - 1 : length, error);
        line += length + 1;
    }
    sb_encoding_free(&encoding);
    free(text);
    return status;
}

/* New rows of one table, each a mean of old rows. */
static enum sb_status fill_table(float *to, const float *from, size_t rows, size_t columns, const struct vocabulary *v,
                                 struct sb_error *error)
{
    struct sb_compound_token *compounds = calloc(v->count, sizeof *compounds);
    float *table = malloc((rows + v->count) * columns * sizeof *table); /* the old rows, then the new ones */
    enum sb_status status = compounds && table ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for the embeddings");
    for (size_t i = 0; i < v->count && status == SB_OK; i++)
        compounds[i] = (struct sb_compound_token){.ids = v->origins[i].ids, .count = v->origins[i].count};
    if (status == SB_OK)
        status = sb_resize_vocabulary(table, columns, from, rows, NULL, 0, compounds, v->count, error);
    if (status == SB_OK)
        memcpy(to, table + rows * columns, v->count * columns * sizeof *to);
    free(table);
    free(compounds);
    return status;
}

/* ---- The model ---- */

static enum sb_status resize_tables(struct sb_network *network, const struct sb_network *old,
                                    const struct vocabulary *v, struct sb_error *error)
{
    static const char *const names[] = {"bert.embeddings.word_embeddings.weight", "cls.predictions.bias"};
    enum sb_status status = SB_OK;
    for (int i = 0; i < 2 && status == SB_OK; i++) {
        const struct sb_parameter *to = sb_parameters_find(sb_network_parameters(network), names[i]),
                                  *from = sb_parameters_find(sb_network_parameters(old), names[i]);
        size_t columns = i ? 1 : from ? from->columns : 0, rows = i ? from ? from->columns : 0 : from ? from->rows : 0;
        if (to && from)
            status = fill_table(sb_network_values(network) + to->offset,
                                sb_network_values((struct sb_network *)(uintptr_t)old) + from->offset, rows, columns, v,
                                error);
    }
    return status;
}

static enum sb_status put_vocabulary(const char *dst, const char *vocabulary, struct sb_error *error)
{
    char path[4096], *text = NULL;
    size_t size;
    enum sb_status status = sb_read_file(&text, &size, vocabulary, MAX_VOCABULARY_BYTES, error);
    snprintf(path, sizeof path, "%s/vocab.txt", dst);
    if (status == SB_OK)
        status = sb_write_file(path, text, size, error);
    free(text);
    snprintf(path, sizeof path, "%s/tokenizer.json", dst); /* of the old vocabulary; it would be read first */
    unlink(path);
    return status;
}

/* From old, of the same vocabulary, to the sizes; then to the vocabulary. */
static enum sb_status resize(struct sb_network *old, const struct sb_model_sizes *sizes, const char *dst,
                             struct sb_error *error)
{
    struct sb_network *sized = NULL, *worded = NULL;
    struct vocabulary vocabulary = {0};
    struct sb_config config = *sb_network_config(old);
    struct sb_resize_options options = {.heads = (size_t)config.num_attention_heads,
                                        .relu = config.hidden_act == SB_RELU};
    enum sb_status status = new_config(&config, sizes, error);
    if (status == SB_OK)
        status = sb_network_like(&sized, old, &config, error);
    if (status == SB_OK)
        status = sb_resize_parameters(sb_network_values(sized), sb_network_parameters(sized), sb_network_values(old),
                                      sb_network_parameters(old), &options, error);
    if (status == SB_OK)
        status = sb_initialise_new(sb_network_values(sized), sb_network_parameters(sized),
                                   &(struct sb_initialiser){.kind = SB_INIT_TRUNCATED_NORMAL,
                                                            .std = (double)config.initializer_range},
                                   error);
    struct sb_network *last = sized;
    if (status == SB_OK && sizes->vocabulary) {
        status = read_vocabulary(&vocabulary, sizes->vocabulary, sb_network_tokenizer(old), error);
        config.vocab_size = (int)vocabulary.count;
        if (status == SB_OK)
            status = sb_network_like(&worded, sized, &config, error);
        if (status == SB_OK) {
            sb_network_copy_same(worded, sized);
            status = resize_tables(worded, sized, &vocabulary, error);
        }
        last = worded;
    }
    if (status == SB_OK)
        status = sb_network_save(last, NULL, SB_F32, dst, error);
    if (status == SB_OK && sizes->vocabulary)
        status = put_vocabulary(dst, sizes->vocabulary, error);
    vocabulary_free(&vocabulary);
    sb_network_free(worded);
    sb_network_free(sized);
    return status;
}

enum sb_status sb_resize_model(const char *src, const char *dst, const struct sb_model_sizes *sizes,
                               struct sb_error *error)
{
    struct sb_network *old = NULL;
    enum sb_status status = sb_network_open(&old, src, NULL, error);
    if (status == SB_OK)
        status = resize(old, sizes, dst, error);
    sb_network_free(old);
    return status;
}
