/*
 * The task that writes paraphrases. Its rows, in the order in which they are offered:
 *
 *     source    [CLS] text [SEP], segments 0: fills the cache and gives the first logits. Also the source's vector,
 *               unless words are masked; then the text as it stands is a row of its own, offered before
 *     steps     one token of a live hypothesis each, segment 1
 *     vectors   [CLS] candidate [SEP], segments 0, as candidates are completed
 */
#include "model/paraphrase_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A row's tag: what it is, and in the lower half which step row or candidate. */
enum { SOURCE, SOURCE_VECTOR, STEP, VECTOR };

static uint64_t tag_of(unsigned kind, size_t index)
{
    return (uint64_t)kind << 32 | index;
}

struct paraphrase_task {
    struct sb_task task;
    struct sb_model *model;
    struct sb_paraphrase_options options; /* less lists and mask: the caller's memory, not used again */
    struct sb_paraphrase_source source;
    struct sb_decoder *decoder;
    struct sb_kv_cache *cache;
    bool source_offered, vector_offered;
    bool *step_offered;   /* [decoder rows] */
    float *source_vector; /* [dimensions] */
    size_t results_taken; /* of the decoder */
    struct sb_paraphrase_candidates candidates;
};

struct sb_paraphrase_options sb_paraphrase_defaults(void)
{
    return (struct sb_paraphrase_options){
        .decode = sb_decode_defaults(),
        .n = 20,
        .num_candidates = 100,
        .min_similarity = -1,
        .max_similarity = 1.01,
        .drop_copies = true,
        .rerank = true,
    };
}

/* ---- offering rows ---- */

/* Adds a row within the caller's budget of tokens; false when it has to wait. */
static bool put(struct sb_task *task, struct sb_task_batch *batch, const struct sb_row *row, uint64_t tag, size_t max_tokens,
                size_t *added)
{
    if (batch->count > 0 && *added + row->length > max_tokens)
        return false;
    if (!sb_task_batch_add(batch, row, task, tag))
        return false;
    *added += row->length;
    return true;
}

static bool offer_source(struct paraphrase_task *t, struct sb_task_batch *batch, size_t max_tokens, size_t *added)
{
    size_t length = t->source.length;
    bool masked = t->source.prompt != t->source.ids;
    struct sb_row vector = {.ids = t->source.ids, .length = length, .prefix = length, .want = SB_WANT_VECTOR};
    struct sb_row source = {.ids = t->source.prompt,
                            .length = length,
                            .prefix = length,
                            .cache = t->cache,
                            .want = SB_WANT_LOGITS | (masked ? 0 : SB_WANT_VECTOR)};
    if (masked && !t->vector_offered)
        t->vector_offered = put(&t->task, batch, &vector, tag_of(SOURCE_VECTOR, 0), max_tokens, added);
    /* The vector comes first: it must be there when the first candidate's is. */
    if (!t->source_offered && (!masked || t->vector_offered))
        t->source_offered = put(&t->task, batch, &source, tag_of(SOURCE, 0), max_tokens, added);
    return t->source_offered;
}

static bool offer_steps(struct paraphrase_task *t, struct sb_task_batch *batch, size_t max_tokens, size_t *added)
{
    static const uint8_t target_segment = 1;
    struct sb_decoder_row next;
    for (size_t i = 0; i < sb_decoder_rows(t->decoder); i++) {
        if (t->step_offered[i] || !sb_decoder_row(t->decoder, i, &next))
            continue;
        struct sb_row row = {
            .ids = next.history + next.length - 1,
            .segments = &target_segment,
            .length = 1,
            .want = SB_WANT_LOGITS,
            .cache = t->cache,
            .is_step = true,
            .position = next.length - 1,
            .path = next.path,
            .path_length = next.path_length,
            .slot = next.slot,
        };
        if (!put(&t->task, batch, &row, tag_of(STEP, i), max_tokens, added))
            return false;
        t->step_offered[i] = true;
    }
    return true;
}

static void offer_vectors(struct paraphrase_task *t, struct sb_task_batch *batch, size_t max_tokens, size_t *added)
{
    for (size_t i = 0; i < t->candidates.count; i++) {
        struct sb_paraphrase_candidate *c = &t->candidates.items[i];
        if (c->offered)
            continue;
        struct sb_row row = {.ids = c->ids, .length = c->length, .prefix = c->length, .want = SB_WANT_VECTOR};
        if (!put(&t->task, batch, &row, tag_of(VECTOR, i), max_tokens, added))
            return;
        c->offered = true;
    }
}

static size_t offer(struct sb_task *task, struct sb_task_batch *batch, size_t max_tokens)
{
    struct paraphrase_task *t = (struct paraphrase_task *)task;
    size_t added = 0;
    if (offer_source(t, batch, max_tokens, &added) && offer_steps(t, batch, max_tokens, &added))
        offer_vectors(t, batch, max_tokens, &added);
    return added;
}

/* ---- taking results ---- */

static double cosine(const float *a, const float *b, size_t n)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

static void keep_source_vector(struct paraphrase_task *t, const struct sb_row *row)
{
    memcpy(t->source_vector, row->vector, (size_t)sb_model_dimensions(t->model) * sizeof *t->source_vector);
}

/* What the decoder has completed becomes candidates; when nothing is left to compute, the task is finished. */
static void move_on(struct paraphrase_task *t)
{
    for (; t->results_taken < sb_decoder_results(t->decoder); t->results_taken++) {
        struct sb_error error;
        enum sb_status status = sb_paraphrase_candidates_add(
            &t->candidates, sb_decoder_result(t->decoder, t->results_taken), &t->source, sb_model_tokenizer(t->model),
            (size_t)sb_model_max_length(t->model), &t->options, &error);
        if (status != SB_OK) {
            sb_task_fail(&t->task, status, error.message);
            return;
        }
    }
    if (!sb_decoder_finished(t->decoder) || t->candidates.to_embed > 0)
        return;
    sb_paraphrase_candidates_rank(&t->candidates, &t->options);
    t->task.finished = true;
}

static void accept(struct sb_task *task, uint64_t tag, const struct sb_row *row)
{
    struct paraphrase_task *t = (struct paraphrase_task *)task;
    size_t index = tag & UINT32_MAX, dimensions = (size_t)sb_model_dimensions(t->model);
    if (task->finished) /* failed in the meantime */
        return;
    switch (tag >> 32) {
    case SOURCE_VECTOR: keep_source_vector(t, row); return;
    case SOURCE:
        if (row->vector)
            keep_source_vector(t, row);
        sb_decoder_start(t->decoder, row->logits);
        break;
    case STEP:
        t->step_offered[index] = false;
        t->candidates.counts.decode_steps++;
        sb_decoder_accept(t->decoder, index, row->logits);
        break;
    case VECTOR:
        t->candidates.items[index].result.similarity = cosine(t->source_vector, row->vector, dimensions);
        sb_paraphrase_candidates_embedded(&t->candidates, index, &t->options);
        break;
    }
    move_on(t);
}

static void paraphrase_free(struct sb_task *task)
{
    struct paraphrase_task *t = (struct paraphrase_task *)task;
    sb_decoder_free(t->decoder);
    sb_kv_cache_free(t->cache);
    sb_paraphrase_source_free(&t->source);
    sb_paraphrase_candidates_free(&t->candidates);
    sb_model_release(t->model);
    free(t->step_offered);
    free(t->source_vector);
    free(t);
}

static const struct sb_task_class paraphrase_class = {"paraphrase", offer, accept, paraphrase_free};

/* ---- making one ---- */

static enum sb_status check_options(const struct sb_paraphrase_options *o, size_t positions, struct sb_error *error)
{
    if (o->num_candidates < 1 || o->num_candidates > SB_MAX_SEQUENCES)
        return sb_fail(error, SB_INVALID, "num_candidates must be 1 to %d, not %d", SB_MAX_SEQUENCES,
                       o->num_candidates);
    if (o->n < 1 || o->n > o->num_candidates)
        return sb_fail(error, SB_INVALID, "n is %d: it must be at least 1 and at most num_candidates, which is %d",
                       o->n, o->num_candidates);
    if (!(o->min_similarity >= -1.01 && o->min_similarity <= 1.01))
        return sb_fail(error, SB_INVALID, "min_similarity must be -1.01 to 1.01, not %g", o->min_similarity);
    if (!(o->max_similarity >= o->min_similarity && o->max_similarity <= 1.01))
        return sb_fail(error, SB_INVALID,
                       "max_similarity is %g: it must be at least min_similarity, which is %g, and at most 1.01",
                       o->max_similarity, o->min_similarity);
    if (o->min_edit_distance < 0)
        return sb_fail(error, SB_INVALID, "min_edit_distance must be at least 0, not %d", o->min_edit_distance);
    if (o->decode.max_new_tokens < 1 || (size_t)o->decode.max_new_tokens > positions)
        return sb_fail(error, SB_INVALID, "max_new_tokens must be 1 to %zu, not %d", positions,
                       o->decode.max_new_tokens);
    return SB_OK;
}

/* Tokens without text: [PAD], [CLS], [unused1], an empty line of the vocabulary, "##". Drawn, they would vanish. */
static bool has_no_text(const struct sb_tokenizer *tokenizer, int32_t id)
{
    const char *token = sb_tokenizer_token(tokenizer, id);
    size_t length = strlen(token);
    return sb_tokenizer_is_special(tokenizer, id) || length == 0 || strcmp(token, "##") == 0 ||
           (length > 2 && token[0] == '[' && token[length - 1] == ']');
}

static int32_t *list_banned(size_t *count, const struct sb_tokenizer *tokenizer, int32_t end_id)
{
    int32_t vocab_size = sb_tokenizer_vocab_size(tokenizer), *ids = malloc((size_t)vocab_size * sizeof *ids);
    *count = 0;
    for (int32_t id = 0; ids && id < vocab_size; id++)
        if (id != end_id && has_no_text(tokenizer, id))
            ids[(*count)++] = id;
    return ids;
}

/* num_sequences, and as many new tokens as the source leaves positions for. */
static struct sb_decode_options decode_options(const struct sb_paraphrase_options *options, size_t source_length,
                                               size_t positions)
{
    struct sb_decode_options o = options->decode;
    o.num_sequences = o.do_sample ? options->num_candidates : o.reference ? 1 : o.num_beams;
    if (o.num_sequences > options->num_candidates)
        o.num_sequences = options->num_candidates;
    if (source_length + (size_t)o.max_new_tokens > positions) {
        o.max_new_tokens = (int)(positions - source_length);
        o.min_new_tokens = o.min_new_tokens < o.max_new_tokens ? o.min_new_tokens : o.max_new_tokens;
    }
    return o;
}

/* Rows of samples whose cache stays within the limit; 0 if not even one does, or the beams do not. */
static size_t affordable_rows(const struct sb_model *model, const struct sb_decode_options *o, size_t source_length)
{
    for (size_t rows = SB_DECODER_ROWS; rows > 0; rows--) {
        size_t bytes = sb_kv_cache_bytes(model, source_length, sb_decoder_slots_of(o, rows));
        if (bytes > 0 && bytes <= SB_PARAPHRASE_CACHE_BYTES)
            return rows;
        if (!o->do_sample)
            break;
    }
    return 0;
}

static enum sb_status make_decoder(struct paraphrase_task *t, const struct sb_decode_options *o, struct sb_error *error)
{
    const struct sb_tokenizer *tokenizer = sb_model_tokenizer(t->model);
    size_t vocab_size = (size_t)sb_model_config(t->model)->vocab_size, banned_count;
    enum sb_status status = sb_decode_options_check(o, vocab_size, error);
    if (status != SB_OK)
        return status;
    size_t rows = affordable_rows(t->model, o, t->source.length);
    if (rows == 0)
        return sb_fail(
            error, SB_LIMIT,
            "%d beams of up to %d tokens need a cache of more than %zu MiB: lower num_beams or max_new_tokens",
            o->num_beams, o->max_new_tokens, SB_PARAPHRASE_CACHE_BYTES >> 20);
    int32_t end_id = sb_tokenizer_special(tokenizer).sep, *banned = list_banned(&banned_count, tokenizer, end_id);
    if (!banned)
        return sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory for %zu token ids", vocab_size);
    struct sb_decoder_input input = {
        .prompt = t->source.prompt,
        .prompt_length = t->source.length,
        .vocab_size = vocab_size,
        .end_id = end_id,
        .banned = banned,
        .banned_count = banned_count,
        .kernels = sb_model_kernels(t->model),
        .max_rows = rows,
    };
    status = sb_decoder_new(&t->decoder, o, &input, error);
    free(banned);
    if (status != SB_OK)
        return status;
    size_t slots = sb_decoder_slots(t->decoder);
    t->candidates.counts.source_tokens = (int64_t)t->source.length;
    t->candidates.counts.cache_bytes = sb_kv_cache_bytes(t->model, t->source.length, slots);
    return sb_kv_cache_new(&t->cache, t->model, t->source.length, slots, error);
}

static enum sb_status set_up(struct paraphrase_task *t, const char *text, size_t size,
                             const struct sb_paraphrase_options *options, struct sb_error *error)
{
    size_t positions = (size_t)sb_model_max_length(t->model);
    enum sb_status status = check_options(options, positions, error);
    if (status != SB_OK)
        return status;
    size_t left = positions - (size_t)options->decode.max_new_tokens, half = positions / 2;
    t->options = *options;
    t->options.mask = NULL;
    t->options.decode.bad_words = t->options.decode.force_words = (struct sb_token_lists){0};
    status = sb_paraphrase_source_read(&t->source, sb_model_tokenizer(t->model), text, size, left > half ? left : half,
                                       options->mask, options->mask_count, error);
    if (status != SB_OK)
        return status;
    struct sb_decode_options o = decode_options(options, t->source.length, positions);
    status = make_decoder(t, &o, error);
    if (status == SB_OK)
        status = sb_paraphrase_candidates_init(&t->candidates, (size_t)o.num_sequences, error);
    if (status != SB_OK)
        return status;
    t->step_offered = calloc(sb_decoder_rows(t->decoder), sizeof *t->step_offered);
    t->source_vector = calloc((size_t)sb_model_dimensions(t->model), sizeof *t->source_vector);
    if (!t->step_offered || !t->source_vector)
        return sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory");
    return SB_OK;
}

enum sb_status sb_paraphrase_task_new(struct sb_task **task, struct sb_model *model, const char *text, size_t size,
                                      const struct sb_paraphrase_options *options, struct sb_error *error)
{
    *task = NULL;
    if (!sb_model_can_generate(model))
        return sb_fail(error, SB_UNSUPPORTED, "model '%s' has no MLM head: it embeds but can not generate",
                       sb_model_name(model));
    if (sb_tokenizer_special(sb_model_tokenizer(model)).sep < 0 || sb_model_config(model)->type_vocab_size < 2)
        return sb_fail(error, SB_UNSUPPORTED, "model '%s' can not generate: it needs a [SEP] token and two segments",
                       sb_model_name(model));
    struct paraphrase_task *t = calloc(1, sizeof *t);
    if (!t)
        return sb_fail(error, SB_NO_MEMORY, "paraphrase: no memory");
    t->task.class = &paraphrase_class;
    sb_model_retain(model);
    t->model = model;
    enum sb_status status = set_up(t, text, size, options, error);
    if (status != SB_OK) {
        paraphrase_free(&t->task);
        return status;
    }
    *task = &t->task;
    return SB_OK;
}

const struct sb_paraphrase *sb_paraphrase_task_results(const struct sb_task *task, size_t *count)
{
    const struct paraphrase_task *t = (const struct paraphrase_task *)task;
    *count = t->candidates.result_count;
    return t->candidates.results;
}

struct sb_paraphrase_counts sb_paraphrase_task_counts(const struct sb_task *task)
{
    return ((const struct paraphrase_task *)task)->candidates.counts;
}
