/* The pairs of a collection's sentences that are most alike: paraphrase mining. */
#include "retrieval/duplicates.h"
#include "server/collection_request.h"
#include "server/mining_request.h"
#include "server/routes.h"
#include "server/vector_text.h"

#include <stdlib.h>

enum { SENTENCES_MAX = 100000, LIMIT_DEFAULT = 100, LIMIT_MAX = 100000 };

struct duplicates {
    struct sb_mining_request mining; /* first */
    double min_score;
    int64_t limit;
};

static void duplicates_free(void *state)
{
    struct duplicates *d = state;
    sb_mining_request_clear(&d->mining);
    free(d);
}

static void put_one(struct sb_buffer *body, const char *name, const struct sb_sentence_set *sentences, size_t i)
{
    struct sb_sentence sentence = sb_sentence_set_at(sentences, i);
    sb_buffer_format(body, ",\"%s\":{", name);
    sb_put_sentence(body, &sentence);
    sb_buffer_text(body, "}");
}

static void find(struct sb_request *request)
{
    struct duplicates *d = request->state;
    struct sb_buffer *body = &request->reply.body;
    struct sb_duplicates found;
    struct sb_error error;
    enum sb_status status = sb_duplicates_find(&found, &d->mining.set, d->min_score, (size_t)d->limit, &error);
    if (status != SB_OK) {
        sb_mining_fail(request, status, &error);
        return;
    }
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < found.count; i++) {
        sb_buffer_text(body, i ? ",{\"score\":" : "{\"score\":");
        sb_put_score(body, (double)found.pairs[i].score);
        put_one(body, "first", &d->mining.sentences, found.pairs[i].first);
        put_one(body, "second", &d->mining.sentences, found.pairs[i].second);
        sb_buffer_text(body, "}");
    }
    sb_buffer_format(body, "],\"total\":%llu,\"sentences\":%zu}", (unsigned long long)found.total,
                     d->mining.sentences.count);
    sb_duplicates_free(&found);
    sb_request_send(request, 200);
}

void sb_handle_duplicates(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct duplicates *d = sb_request_state(request, sizeof *d, duplicates_free);
    if (!d)
        return;
    d->min_score = 0.9;
    d->limit = LIMIT_DEFAULT;
    d->mining.most = SENTENCES_MAX;
    d->mining.run = find;
    if (!sb_parse_double(&parse, "min_score", -1, 1, &d->min_score) ||
        !sb_parse_int(&parse, "limit", 1, LIMIT_MAX, &d->limit) ||
        !sb_parse_filter(&parse, "filter", &d->mining.filter))
        sb_request_parse_failed(request, &parse);
    else
        sb_mining_start(&d->mining, request);
}
