#include "model/logits_processors.h"

#include <math.h>
#include <string.h>

void sb_repetition_penalty(struct sb_processors *processors, float *row, const int32_t *history, size_t length)
{
    float penalty = (float)processors->options->repetition_penalty;
    if (++processors->stamp == 0) { /* wrapped around: old stamps could look new */
        memset(processors->stamps, 0, processors->vocab_size * sizeof *processors->stamps);
        processors->stamp = 1;
    }
    for (size_t i = 0; i < length; i++) {
        int32_t id = history[i];
        if (processors->stamps[id] == processors->stamp)
            continue;
        processors->stamps[id] = processors->stamp;
        row[id] = row[id] < 0 ? row[id] * penalty : row[id] / penalty;
    }
}

void sb_no_repeat_ngram(float *row, const int32_t *history, size_t length, size_t n)
{
    if (length + 1 < n)
        return;
    const int32_t *tail = history + length - (n - 1);
    for (size_t i = 0; i + n <= length; i++)
        if (memcmp(history + i, tail, (n - 1) * sizeof *history) == 0)
            row[history[i + n - 1]] = -INFINITY;
}

void sb_bad_words(float *row, const int32_t *history, size_t length, const struct sb_token_lists *words, int32_t end_id)
{
    for (size_t i = 0, start = 0; i < words->count; start = words->ends[i++]) {
        const int32_t *word = words->ids + start;
        size_t n = words->ends[i] - start;
        if (n > length || (n == 1 && word[0] == end_id))
            continue;
        if (memcmp(history + length - (n - 1), word, (n - 1) * sizeof *word) == 0)
            row[word[n - 1]] = -INFINITY;
    }
}

void sb_hamming_penalty(float *row, const int32_t *chosen, size_t count, double penalty)
{
    for (size_t i = 0; i < count; i++)
        row[chosen[i]] -= (float)penalty;
}

void sb_processors_apply(struct sb_processors *processors, float *row, const int32_t *history, size_t length)
{
    const struct sb_decode_options *o = processors->options;
    if (o->repetition_penalty != 1)
        sb_repetition_penalty(processors, row, history, length);
    if (o->no_repeat_ngram_size > 0)
        sb_no_repeat_ngram(row, history, length, (size_t)o->no_repeat_ngram_size);
    if (o->bad_words.count > 0)
        sb_bad_words(row, history, length, &o->bad_words, processors->end_id);
    /* The reference's search has its own minimum length: ended beams live on instead. */
    if (!o->reference && length - processors->prompt_length < (size_t)o->min_new_tokens)
        row[processors->end_id] = -INFINITY;
    for (size_t i = 0; i < processors->banned_count; i++)
        row[processors->banned[i]] = -INFINITY;
}
