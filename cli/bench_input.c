#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = 1 << 20 };

static enum sb_status take_sentences(struct sb_bench_input *input, size_t count, struct sb_error *error)
{
    input->items = calloc(count, sizeof *input->items);
    if (!input->items)
        return sb_fail(error, SB_NO_MEMORY, "no memory for %zu texts", count);
    for (; input->count < count; input->count++)
        input->items[input->count] = (char *)sb_bench_sentences[input->count % sb_bench_sentence_count];
    return SB_OK;
}

/* Appends the batch, less its empty lines. */
static enum sb_status append(struct sb_bench_input *input, const struct sb_text_batch *batch, struct sb_error *error)
{
    char **items = realloc(input->items, (input->count + batch->count) * sizeof *items);
    if (!items)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the texts");
    input->items = items;
    for (size_t i = 0; i < batch->count; i++) {
        struct sb_text text = sb_text_at(batch, i);
        if (text.size == 0)
            continue;
        items[input->count] = strndup(text.text, text.size);
        if (!items[input->count])
            return sb_fail(error, SB_NO_MEMORY, "no memory for the texts");
        input->count++;
    }
    return SB_OK;
}

static enum sb_status take_file(struct sb_bench_input *input, const char *path, size_t count, struct sb_error *error)
{
    struct sb_texts *lines;
    struct sb_text_batch batch = {0};
    enum sb_status status = sb_texts_open(&lines, NULL, 0, path, error);
    input->owns_items = true;
    while (status == SB_OK && input->count < count) {
        status = sb_texts_read(lines, &batch, count - input->count, error);
        if (status != SB_OK || batch.count == 0)
            break;
        status = append(input, &batch, error);
    }
    if (status == SB_OK && input->count == 0)
        status = sb_fail(error, SB_INVALID, "%s holds no text", path);
    sb_text_batch_free(&batch);
    sb_texts_close(lines);
    return status;
}

enum sb_status sb_bench_load(struct sb_bench_input *input, const struct sb_bench *bench, size_t wanted,
                             struct sb_error *error)
{
    size_t count = bench->count ? bench->count : bench->input ? MOST_TEXTS : wanted;
    enum sb_status status =
        bench->input ? take_file(input, bench->input, count, error) : take_sentences(input, count, error);
    if (status == SB_OK)
        status = sb_texts_open(&input->texts, input->items, (int)input->count, NULL, error);
    if (status == SB_OK)
        status = sb_texts_read(input->texts, &input->batch, input->count, error);
    return status;
}

void sb_bench_input_free(struct sb_bench_input *input)
{
    for (size_t i = 0; i < input->count && input->owns_items; i++)
        free(input->items[i]);
    free(input->items);
    sb_text_batch_free(&input->batch);
    sb_texts_close(input->texts);
    *input = (struct sb_bench_input){0};
}
