#include "server/rerank.h"

#include "server/server_impl.h"

#include <stdlib.h>
#include <string.h>

static int by_score(const void *a, const void *b)
{
    const struct sb_match *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return strcmp(x->sentence.id, y->sentence.id);
}

static size_t first_of(const struct sb_search_results *results, size_t query)
{
    return query ? results->ends[query - 1] : 0;
}

void sb_rerank_sort(struct sb_search_results *results)
{
    for (size_t query = 0; query < results->queries; query++) {
        size_t first = first_of(results, query), count = results->ends[query] - first;
        if (count > 1)
            qsort(results->matches + first, count, sizeof *results->matches, by_score);
    }
}

void sb_rerank_start(struct sb_rerank *rerank, struct sb_request *request, struct sb_model *model,
                     const struct sb_text_query *texts, struct sb_search_results *results)
{
    struct sb_inputs *inputs = &rerank->embedding.inputs;
    size_t queries = results->queries, matches = queries ? results->ends[queries - 1] : 0;
    rerank->results = results;
    inputs->items = calloc(queries + matches + 1, sizeof *inputs->items);
    if (!inputs->items) {
        struct sb_error error;
        sb_fail(&error, SB_NO_MEMORY, "no memory to rerank %zu sentences", matches);
        sb_request_fail(request, SB_NO_MEMORY, NULL, &error);
        sb_model_release(model);
        return;
    }
    for (size_t i = 0; i < queries; i++)
        inputs->items[inputs->count++] = (struct sb_input){.text = texts[i].text, .size = texts[i].size};
    for (size_t i = 0; i < matches; i++) {
        const struct sb_sentence *sentence = &results->matches[i].sentence;
        inputs->items[inputs->count++] = (struct sb_input){.text = sentence->text, .size = sentence->text_size};
    }
    inputs->is_list = true;
    rerank->embedding.options.truncate = true;
    rerank->embedding.ready = rerank->ready;
    sb_embedding_start(&rerank->embedding, request, model);
}

void sb_rerank_scores(struct sb_rerank *rerank)
{
    struct sb_search_results *results = rerank->results;
    sb_embedding_denormalize(&rerank->embedding);
    for (size_t query = 0; query < results->queries; query++)
        for (size_t i = first_of(results, query); i < results->ends[query]; i++)
            results->matches[i].score = sb_embedding_pair_score(&rerank->embedding, query, results->queries + i);
    sb_rerank_sort(results);
}

void sb_rerank_clear(struct sb_rerank *rerank)
{
    sb_embedding_clear(&rerank->embedding);
}
