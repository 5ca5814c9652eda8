#include "server/router.h"

#include "server/routes.h"

#include <stdio.h>
#include <string.h>

#define OPENAI SB_STYLE_OPENAI
#define TEI SB_STYLE_TEI

static const struct sb_route routes[] = {
    {"POST", "/v1/embeddings", OPENAI, sb_handle_embeddings, false, false},
    {"POST", "/embeddings", OPENAI, sb_handle_embeddings, false, false},
    {"GET", "/v1/models", OPENAI, sb_handle_models, false, false},
    {"GET", "/v1/models/{model}", OPENAI, sb_handle_model, false, false},
    {"DELETE", "/v1/models/{model}", OPENAI, sb_handle_model_delete, false, false},
    {"GET", "/v1/aliases", OPENAI, sb_handle_model_aliases, false, false},
    {"PUT", "/v1/aliases/{alias}", OPENAI, sb_handle_model_alias_set, false, false},
    {"GET", "/v1/aliases/{alias}", OPENAI, sb_handle_model_alias, false, false},
    {"DELETE", "/v1/aliases/{alias}", OPENAI, sb_handle_model_alias_delete, false, false},
    {"POST", "/v1/paraphrases", OPENAI, sb_handle_paraphrases, false, false},
    {"POST", "/v1/rerank", OPENAI, sb_handle_cohere_rerank, false, false},
    {"GET", "/gen_synonyms", SB_STYLE_SERVING, sb_handle_gen_synonyms, false, false},

    {"POST", "/embed", TEI, sb_handle_embed, false, false},
    {"POST", "/", TEI, sb_handle_embed, false, false}, /* where clients that know only the server's address post */
    {"POST", "/similarity", TEI, sb_handle_similarity, false, false},
    {"POST", "/rerank", TEI, sb_handle_rerank, false, false},
    {"POST", "/tokenize", TEI, sb_handle_tokenize, false, false},
    {"POST", "/decode", TEI, sb_handle_decode, false, false},

    {"POST", "/v1/files", OPENAI, sb_handle_file_upload, false, true},
    {"GET", "/v1/files", OPENAI, sb_handle_files, false, false},
    {"GET", "/v1/files/{file}", OPENAI, sb_handle_file, false, false},
    {"DELETE", "/v1/files/{file}", OPENAI, sb_handle_file_delete, false, false},
    {"GET", "/v1/files/{file}/content", OPENAI, sb_handle_file_content, false, false},
    {"POST", "/v1/fine_tuning/jobs", OPENAI, sb_handle_job_create, false, false},
    {"GET", "/v1/fine_tuning/jobs", OPENAI, sb_handle_jobs, false, false},
    {"GET", "/v1/fine_tuning/jobs/{job}", OPENAI, sb_handle_job, false, false},
    {"POST", "/v1/fine_tuning/jobs/{job}/cancel", OPENAI, sb_handle_job_cancel, false, false},
    {"POST", "/v1/fine_tuning/jobs/{job}/pause", OPENAI, sb_handle_job_pause, false, false},
    {"POST", "/v1/fine_tuning/jobs/{job}/resume", OPENAI, sb_handle_job_resume, false, false},
    {"GET", "/v1/fine_tuning/jobs/{job}/events", OPENAI, sb_handle_job_events, false, false},
    {"GET", "/v1/fine_tuning/jobs/{job}/checkpoints", OPENAI, sb_handle_job_checkpoints, false, false},

    {"GET", "/v1/collections", OPENAI, sb_handle_collection_list, false, false},
    {"PUT", "/v1/collections/{collection}", OPENAI, sb_handle_collection_create, false, false},
    {"GET", "/v1/collections/{collection}", OPENAI, sb_handle_collection_describe, false, false},
    {"DELETE", "/v1/collections/{collection}", OPENAI, sb_handle_collection_drop, false, false},
    {"GET", "/v1/collections/{collection}/count", OPENAI, sb_handle_sentences_count, false, false},
    {"POST", "/v1/collections/{collection}/count", OPENAI, sb_handle_sentences_count, false, false},
    {"POST", "/v1/collections/{collection}/similar", OPENAI, sb_handle_similar, false, false},
    {"POST", "/v1/collections/{collection}/delete", OPENAI, sb_handle_sentences_delete, false, false},
    {"POST", "/v1/collections/{collection}/duplicates", OPENAI, sb_handle_duplicates, false, false},
    {"POST", "/v1/collections/{collection}/clusters", OPENAI, sb_handle_clusters, false, false},
    {"POST", "/v1/collections/{collection}/coverage", OPENAI, sb_handle_coverage, false, false},
    {"POST", "/v1/collections/{collection}/reembed", OPENAI, sb_handle_reembed, false, false},
    {"GET", "/v1/collections/{collection}/reembed", OPENAI, sb_handle_reembed_progress, false, false},
    {"DELETE", "/v1/collections/{collection}/reembed", OPENAI, sb_handle_reembed_cancel, false, false},
    {"GET", "/v1/collections/{collection}/export", OPENAI, sb_handle_export, false, false},
    {"POST", "/v1/collections/{collection}/sentences", OPENAI, sb_handle_sentences_upsert, false, false},
    {"PUT", "/v1/collections/{collection}/sentences", OPENAI, sb_handle_import, false, false},
    {"GET", "/v1/collections/{collection}/sentences", OPENAI, sb_handle_sentences_scroll, false, false},
    {"GET", "/v1/collections/{collection}/sentences/{id}", OPENAI, sb_handle_sentence_get, false, false},
    {"DELETE", "/v1/collections/{collection}/sentences/{id}", OPENAI, sb_handle_sentence_delete, false, false},
    {"GET", "/v1/collection-aliases", OPENAI, sb_handle_alias_list, false, false},
    {"PUT", "/v1/collection-aliases/{alias}", OPENAI, sb_handle_alias_set, false, false},
    {"DELETE", "/v1/collection-aliases/{alias}", OPENAI, sb_handle_alias_delete, false, false},

    {"GET", "/", TEI, sb_handle_health, true, false},
    {"GET", "/ping", TEI, sb_handle_health, true, false},
    {"GET", "/health", TEI, sb_handle_health, true, false},
    {"GET", "/docs", TEI, sb_handle_docs, true, false},
    {"GET", "/openapi.json", TEI, sb_handle_openapi, true, false},
    {"GET", "/info", TEI, sb_handle_info, false, false},
    {"GET", "/metrics", TEI, sb_handle_metrics, false, false},
};
enum { ROUTES = sizeof routes / sizeof *routes };

static const struct {
    const char *method, *pattern;
    struct sb_piece_handlers handlers;
} in_pieces[] = {
    {"PUT", "/v1/collections/{collection}/sentences", {sb_handle_import_piece, sb_handle_import, true}},
    {"POST", "/v1/collections/{collection}/sentences", {sb_handle_import_piece, sb_handle_import, false}},
};

const struct sb_piece_handlers *sb_route_pieces(const struct sb_route *route)
{
    for (size_t i = 0; i < sizeof in_pieces / sizeof *in_pieces; i++)
        if (strcmp(in_pieces[i].method, route->method) == 0 && strcmp(in_pieces[i].pattern, route->pattern) == 0)
            return &in_pieces[i].handlers;
    return NULL;
}

/* Whether path has the pattern's form; takes what stands in the places of {…}. */
static bool fits(const char *pattern, const char *path, struct sb_route_match *match)
{
    size_t params = 0;
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t size = strcspn(path, "/");
        if (size == 0)
            return false;
        match->params[params].text = path;
        match->params[params++].size = size;
        path += size;
        pattern = strchr(pattern, '}') + 1;
    }
    return !*pattern && !*path;
}

static void add_method(char *allow, size_t size, const char *method)
{
    size_t length = strlen(allow);
    snprintf(allow + length, size - length, "%s%s", length ? ", " : "", method);
}

enum sb_route_result sb_route_find(const char *method, const char *path, struct sb_route_match *match)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    *match = (struct sb_route_match){.style = strncmp(path, "/v1/", 4) == 0 ? SB_STYLE_OPENAI : SB_STYLE_TEI};
    for (size_t i = 0; i < ROUTES; i++) {
        if (!fits(routes[i].pattern, path, match))
            continue;
        match->style = routes[i].style;
        if (strcmp(routes[i].method, wanted) == 0) {
            match->route = &routes[i];
            return SB_ROUTE_FOUND;
        }
        add_method(match->allow, sizeof match->allow, routes[i].method);
    }
    return match->allow[0] ? SB_ROUTE_WRONG_METHOD : SB_ROUTE_UNKNOWN;
}

size_t sb_route_count(void)
{
    return ROUTES;
}

const struct sb_route *sb_route_at(size_t index)
{
    return &routes[index];
}

size_t sb_route_index(const struct sb_route *route)
{
    return (size_t)(route - routes);
}

void sb_route_name(size_t index, char *name, size_t size)
{
    snprintf(name, size, "%s %s", routes[index].method, routes[index].pattern);
}
