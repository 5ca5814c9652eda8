/* Groups of a collection's sentences that mean nearly the same, each with a sentence as its title. */
#include "retrieval/clusters.h"
#include "server/collection_request.h"
#include "server/mining_request.h"
#include "server/routes.h"
#include "server/vector_text.h"

#include <stdlib.h>
#include <string.h>

enum {
    AGGLOMERATE_MAX = 50000, /* sentences: a minute or two on one core */
    KMEANS_MAX = 500000,
    K_MAX = 10000,
    LIMIT_MAX = 100000,
};

struct clusters {
    struct sb_mining_request mining; /* first */
    bool is_kmeans;
    double min_score;
    int64_t k, seed, limit, min_size, members;
};

static void clusters_free(void *state)
{
    struct clusters *c = state;
    sb_mining_request_clear(&c->mining);
    free(c);
}

static void put_members(struct sb_buffer *body, const struct clusters *c, const struct sb_clusters *found, size_t index)
{
    const struct sb_cluster *cluster = &found->items[index];
    const uint32_t *members = found->members + cluster->end - cluster->size;
    sb_buffer_text(body, ",\"members\":[");
    for (size_t i = 0; i < cluster->size && i < (size_t)c->members; i++) {
        struct sb_sentence sentence = sb_sentence_set_at(&c->mining.sentences, members[i]);
        sb_buffer_text(body, i ? ",{" : "{");
        sb_put_sentence(body, &sentence);
        sb_buffer_text(body, "}");
    }
    sb_buffer_text(body, "]}");
}

static void put_cluster(struct sb_buffer *body, const struct clusters *c, const struct sb_clusters *found, size_t index)
{
    struct sb_sentence medoid = sb_sentence_set_at(&c->mining.sentences, found->items[index].medoid);
    sb_buffer_text(body, index ? ",{\"title\":" : "{\"title\":");
    sb_buffer_json_string(body, medoid.text, medoid.text_size);
    sb_buffer_text(body, ",\"medoid\":");
    sb_put_text(body, medoid.id);
    sb_buffer_format(body, ",\"size\":%zu,\"similarity\":", found->items[index].size);
    sb_put_score(body, found->items[index].similarity);
    put_members(body, c, found, index);
}

static enum sb_status cluster(const struct clusters *c, struct sb_clusters *found, struct sb_error *error)
{
    const struct sb_mining *set = &c->mining.set;
    if (!c->is_kmeans || set->count == 0)
        return sb_clusters_agglomerate(found, set, c->min_score, error);
    size_t k = (size_t)c->k < set->count ? (size_t)c->k : set->count;
    return sb_clusters_kmeans(found, set, k, (uint64_t)c->seed, error);
}

static void find(struct sb_request *request)
{
    struct clusters *c = request->state;
    struct sb_buffer *body = &request->reply.body;
    struct sb_clusters found;
    struct sb_error error;
    enum sb_status status = cluster(c, &found, &error);
    if (status != SB_OK) {
        sb_mining_fail(request, status, &error);
        return;
    }
    sb_buffer_text(body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < found.count && i < (size_t)c->limit && found.items[i].size >= (size_t)c->min_size; i++)
        put_cluster(body, c, &found, i);
    sb_buffer_format(body, "],\"clusters\":%zu,\"sentences\":%zu}", found.count, c->mining.sentences.count);
    sb_clusters_free(&found);
    sb_request_send(request, 200);
}

/* k asks for k-means, min_score for agglomerative clustering. */
static bool parse_method(struct sb_parse *parse, struct clusters *c)
{
    c->is_kmeans = sb_parse_field(parse, "k") != NULL;
    if (c->is_kmeans && sb_parse_field(parse, "min_score"))
        return sb_parse_fail(parse, SB_PROBLEM_INVALID, "k and min_score: one of them is possible");
    c->mining.most = c->is_kmeans ? KMEANS_MAX : AGGLOMERATE_MAX;
    return sb_parse_int(parse, "k", 1, K_MAX, &c->k) && sb_parse_int(parse, "seed", 0, INT64_C(1) << 53, &c->seed) &&
           sb_parse_double(parse, "min_score", -1, 1, &c->min_score);
}

void sb_handle_clusters(struct sb_request *request)
{
    struct sb_parse parse = {0};
    if (!sb_request_json(request, &parse.object))
        return;
    struct clusters *c = sb_request_state(request, sizeof *c, clusters_free);
    if (!c)
        return;
    c->min_score = 0.8;
    c->limit = 100;
    c->min_size = 2;
    c->members = 10;
    c->mining.run = find;
    if (!parse_method(&parse, c) || !sb_parse_int(&parse, "limit", 1, LIMIT_MAX, &c->limit) ||
        !sb_parse_int(&parse, "min_size", 1, LIMIT_MAX, &c->min_size) ||
        !sb_parse_int(&parse, "members", 0, LIMIT_MAX, &c->members) ||
        !sb_parse_filter(&parse, "filter", &c->mining.filter))
        sb_request_parse_failed(request, &parse);
    else
        sb_mining_start(&c->mining, request);
}
