#include "server/api_description.h"

#include <string.h>

#define TEXT_OR_TEXTS "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}"
#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define TEXTS_OR_IDS                                                                                                   \
    "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"                          \
    "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"                                                           \
    "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}]}"
#define STRING "{\"type\":\"string\"}"
#define INTEGER "{\"type\":\"integer\"}"
#define NUMBER "{\"type\":\"number\"}"
#define BOOLEAN "{\"type\":\"boolean\"}"
#define TRUE_BOOLEAN "{\"type\":\"boolean\",\"default\":true}"
#define OBJECT "{\"type\":\"object\"}"
#define QUERY(name, schema) "{\"name\":\"" name "\",\"in\":\"query\",\"schema\":" schema "}"
#define DIRECTION "\"truncation_direction\":{\"type\":\"string\",\"enum\":[\"right\",\"left\"],\"default\":\"right\"}"

#define EMBEDDINGS_BODY                                                                                                \
    "\"input\":" TEXTS_OR_IDS ",\"model\":" STRING                                                                     \
    ",\"encoding_format\":{\"type\":\"string\",\"enum\":[\"float\",\"base64\"]},"                                      \
    "\"dimensions\":" INTEGER ",\"user\":" STRING

#define EMBED_BODY                                                                                                     \
    "\"inputs\":" TEXTS_OR_IDS ",\"truncate\":" TRUE_BOOLEAN "," DIRECTION ",\"normalize\":" TRUE_BOOLEAN              \
    ",\"dimensions\":" INTEGER

static const char paraphrases_body[] =
    "\"input\":" TEXT_OR_TEXTS ",\"model\":" STRING ",\"n\":{\"type\":\"integer\",\"default\":20},"
    "\"num_candidates\":{\"type\":\"integer\",\"default\":100},\"do_sample\":" TRUE_BOOLEAN ",\"top_k\":" INTEGER
    ",\"top_p\":" NUMBER ",\"temperature\":" NUMBER ",\"num_beams\":" INTEGER ",\"num_beam_groups\":" INTEGER
    ",\"diversity_penalty\":" NUMBER ",\"length_penalty\":" NUMBER
    ",\"early_stopping\":{\"oneOf\":[{\"type\":\"boolean\"},{\"type\":\"string\",\"enum\":[\"never\"]}]}"
    ",\"no_repeat_ngram_size\":" INTEGER ",\"repetition_penalty\":" NUMBER ",\"min_new_tokens\":" INTEGER
    ",\"max_new_tokens\":" INTEGER ",\"bad_words\":" TEXTS ",\"force_words\":" TEXTS
    ",\"mask\":{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,"
    "\"maxItems\":2}}"
    ",\"seed\":" INTEGER ",\"min_similarity\":" NUMBER ",\"max_similarity\":" NUMBER ",\"min_edit_distance\":" INTEGER
    ",\"drop_copies\":" TRUE_BOOLEAN ",\"rerank\":" TRUE_BOOLEAN ",\"stream\":" BOOLEAN;

static const struct sb_route_description descriptions[] = {
    {"POST", "/v1/embeddings", "Sentence vectors, as OpenAI's route", NULL, "\"input\"", EMBEDDINGS_BODY,
     "{\"input\": \"怎么退货\"}"},
    {"POST", "/embeddings", "The same as /v1/embeddings", NULL, "\"input\"", EMBEDDINGS_BODY,
     "{\"input\": [\"怎么退货\"]}"},
    {"GET", "/v1/models", "The models served", NULL, NULL, NULL, NULL},
    {"GET", "/v1/models/{model}", "One model", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/models/{model}", "Deletes a fine-tuned model that nothing uses", NULL, NULL, NULL, NULL},
    {"GET", "/v1/aliases", "Further names of models", NULL, NULL, NULL, NULL},
    {"PUT", "/v1/aliases/{alias}", "Makes a name stand for a model, from the next request on", NULL, "\"model\"",
     "\"model\":" STRING, "{\"model\": \"simbert-small-zh\"}"},
    {"GET", "/v1/aliases/{alias}", "What a name stands for", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/aliases/{alias}", "Deletes an alias; its model stays", NULL, NULL, NULL, NULL},
    {"POST", "/v1/paraphrases", "Freshly written paraphrases; with stream one event per candidate", NULL, "\"input\"",
     paraphrases_body, "{\"input\": \"怎么申请退货？\", \"n\": 5}"},
    {"POST", "/v1/rerank", "Documents by their similarity to a query, as Cohere's route", NULL,
     "\"query\",\"documents\"",
     "\"query\":" STRING ",\"documents\":" TEXTS ",\"model\":" STRING ",\"top_n\":" INTEGER
     ",\"return_documents\":" BOOLEAN,
     "{\"query\": \"怎么退货\", \"documents\": [\"如何退款\", \"今天天气\"]}"},
    {"GET", "/gen_synonyms", "Paraphrases, as bert4keras WebServing's route: the best k of n samples",
     "{\"name\":\"text\",\"in\":\"query\",\"required\":true,\"schema\":" STRING
     "}," QUERY("n", INTEGER) "," QUERY("k", INTEGER),
     NULL, NULL, NULL},

    {"POST", "/embed", "Sentence vectors, as text-embeddings-inference's route", NULL, "\"inputs\"", EMBED_BODY,
     "{\"inputs\": [\"怎么退货\"]}"},
    {"POST", "/", "The same as /embed", NULL, "\"inputs\"", EMBED_BODY, "{\"inputs\": [\"怎么退货\"]}"},
    {"POST", "/similarity", "Cosines of one sentence to others", NULL, "\"inputs\"",
     "\"inputs\":{\"type\":\"object\",\"required\":[\"source_sentence\",\"sentences\"],\"properties\":{\"source_"
     "sentence\":" STRING ",\"sentences\":" TEXTS "}},\"parameters\":" OBJECT,
     "{\"inputs\": {\"source_sentence\": \"怎么退货\", \"sentences\": [\"如何退款\", \"今天天气\"]}}"},
    {"POST", "/rerank", "Texts by their similarity to a query", NULL, "\"query\",\"texts\"",
     "\"query\":" STRING ",\"texts\":" TEXTS ",\"raw_scores\":" BOOLEAN ",\"return_text\":" BOOLEAN
     ",\"truncate\":" TRUE_BOOLEAN,
     "{\"query\": \"怎么退货\", \"texts\": [\"如何退款\", \"今天天气\"]}"},
    {"POST", "/tokenize", "Tokens with their ids and places in the text", NULL, "\"inputs\"",
     "\"inputs\":" TEXT_OR_TEXTS ",\"add_special_tokens\":" TRUE_BOOLEAN, "{\"inputs\": \"怎么退货\"}"},
    {"POST", "/decode", "The text of token ids", NULL, "\"ids\"",
     "\"ids\":{\"type\":\"array\",\"items\":{}},\"skip_special_tokens\":" TRUE_BOOLEAN, "{\"ids\": [101, 102]}"},

    {"POST", "/v1/files", "Uploads training data as a form: file, and purpose \"fine-tune\"", NULL, NULL, NULL, NULL},
    {"GET", "/v1/files", "Files, the newest first",
     QUERY("purpose", STRING) "," QUERY("limit", INTEGER) "," QUERY("order", STRING) "," QUERY("after", STRING), NULL,
     NULL, NULL},
    {"GET", "/v1/files/{file}", "One file", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/files/{file}", "Deletes a file", NULL, NULL, NULL, NULL},
    {"GET", "/v1/files/{file}/content", "What the file holds", NULL, NULL, NULL, NULL},
    {"POST", "/v1/fine_tuning/jobs", "Fine-tunes a model on an uploaded file", NULL, "\"model\",\"training_file\"",
     "\"model\":" STRING ",\"training_file\":" STRING ",\"validation_file\":" STRING ",\"suffix\":" STRING
     ",\"seed\":" INTEGER ",\"metadata\":" OBJECT ",\"method\":" OBJECT ",\"hyperparameters\":" OBJECT,
     "{\"model\": \"simbert-small-zh\", \"training_file\": \"file-...\"}"},
    {"GET", "/v1/fine_tuning/jobs", "Jobs, the newest first", QUERY("after", STRING) "," QUERY("limit", INTEGER), NULL,
     NULL, NULL},
    {"GET", "/v1/fine_tuning/jobs/{job}", "One job", NULL, NULL, NULL, NULL},
    {"POST", "/v1/fine_tuning/jobs/{job}/cancel", "Ends a job and forgets what it has learned", NULL, NULL, NULL, NULL},
    {"POST", "/v1/fine_tuning/jobs/{job}/pause", "Stops a job, which can go on later", NULL, NULL, NULL, NULL},
    {"POST", "/v1/fine_tuning/jobs/{job}/resume", "Goes on with a paused or failed job from its last checkpoint", NULL,
     NULL, NULL, NULL},
    {"GET", "/v1/fine_tuning/jobs/{job}/events", "What happened, the newest first; with stream=true as it happens",
     QUERY("after", STRING) "," QUERY("limit", INTEGER) "," QUERY("stream", BOOLEAN), NULL, NULL, NULL},
    {"GET", "/v1/fine_tuning/jobs/{job}/checkpoints", "Checkpoints, the newest first",
     QUERY("after", STRING) "," QUERY("limit", INTEGER), NULL, NULL, NULL},

    {"GET", "/v1/collections", "All collections", NULL, NULL, NULL, NULL},
    {"PUT", "/v1/collections/{collection}", "Creates a collection; 200 instead of 201 when it exists just so", NULL,
     NULL,
     "\"model\":" STRING ",\"vectors\":{\"type\":\"string\",\"enum\":[\"f32\",\"f16\",\"int16\",\"int8\"]},"
     "\"search\":{\"type\":\"string\",\"enum\":[\"auto\",\"exact\"]}",
     "{\"vectors\": \"f16\"}"},
    {"GET", "/v1/collections/{collection}", "One collection", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/collections/{collection}", "Deletes a collection with its sentences", NULL, NULL, NULL, NULL},
    {"GET", "/v1/collections/{collection}/count", "How many sentences it has", NULL, NULL, NULL, NULL},
    {"POST", "/v1/collections/{collection}/count", "How many sentences a filter keeps", NULL, NULL,
     "\"filter\":" OBJECT, "{\"filter\": {\"topic\": \"退货\"}}"},
    {"POST", "/v1/collections/{collection}/similar",
     "The most similar sentences of a collection to a text, a vector, or a stored sentence (one of query, vector, id)",
     NULL, NULL,
     "\"query\":" TEXT_OR_TEXTS ",\"vector\":{\"type\":\"array\",\"items\":{}},\"id\":" TEXT_OR_TEXTS
     ",\"top_k\":{\"type\":\"integer\",\"default\":10},\"min_score\":" NUMBER ",\"filter\":" OBJECT
     ",\"mode\":{\"type\":\"string\",\"enum\":[\"vector\",\"lexical\",\"hybrid\"],\"default\":\"vector\"}"
     ",\"rerank\":" BOOLEAN,
     "{\"query\": \"怎么退货\", \"top_k\": 3, \"mode\": \"hybrid\", \"filter\": {\"topic\": \"退货\"}}"},
    {"POST", "/v1/collections/{collection}/delete", "Deletes sentences, by id or those that a filter keeps", NULL, NULL,
     "\"ids\":" TEXTS ",\"filter\":" OBJECT, "{\"ids\": [\"1\"]}"},
    {"POST", "/v1/collections/{collection}/duplicates", "The pairs of sentences that mean nearly the same", NULL, NULL,
     "\"min_score\":{\"type\":\"number\",\"default\":0.9},\"limit\":{\"type\":\"integer\",\"default\":100},"
     "\"filter\":" OBJECT,
     "{\"min_score\": 0.95}"},
    {"POST", "/v1/collections/{collection}/clusters",
     "Groups of sentences that mean nearly the same, each with a title: joined down to min_score, or k of them", NULL,
     NULL,
     "\"min_score\":{\"type\":\"number\",\"default\":0.8},\"k\":" INTEGER ",\"seed\":" INTEGER
     ",\"limit\":{\"type\":\"integer\",\"default\":100},\"min_size\":{\"type\":\"integer\",\"default\":2},"
     "\"members\":{\"type\":\"integer\",\"default\":10},\"filter\":" OBJECT,
     "{\"min_score\": 0.8, \"members\": 3}"},
    {"POST", "/v1/collections/{collection}/coverage", "Which questions have no near neighbour in the collection", NULL,
     "\"query\"",
     "\"query\":" TEXT_OR_TEXTS ",\"min_score\":{\"type\":\"number\",\"default\":0.8},\"filter\":" OBJECT,
     "{\"query\": [\"怎么退货\", \"宇宙有多大\"]}"},
    {"POST", "/v1/collections/{collection}/reembed",
     "Lets a collection change to another model, in the background; the old vectors answer until it is done", NULL,
     NULL,
     "\"model\":" STRING, "{\"model\": \"simbert-small-zh\"}"},
    {"GET", "/v1/collections/{collection}/reembed", "How far that is", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/collections/{collection}/reembed", "Gives it up; the collection stays with its model", NULL, NULL,
     NULL, NULL},
    {"GET", "/v1/collections/{collection}/export", "All sentences as lines of JSON, in the order in which they came",
     QUERY("filter", STRING) "," QUERY("vectors", BOOLEAN), NULL, NULL, NULL},
    {"PUT", "/v1/collections/{collection}/sentences",
     "Imports sentences as lines of JSON, of any number, stored while they arrive: curl -T file.ndjson", NULL, NULL,
     NULL, NULL},
    {"POST", "/v1/collections/{collection}/sentences", "Inserts sentences, or replaces those whose id exists", NULL,
     "\"sentences\"",
     "\"sentences\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"id\",\"text\"],\"properties\":{"
     "\"id\":" STRING ",\"text\":" STRING ",\"metadata\":" OBJECT "}}}",
     "{\"sentences\": [{\"id\": \"1\", \"text\": \"怎么退货\", \"metadata\": {}}]}"},
    {"GET", "/v1/collections/{collection}/sentences", "Sentences in the order in which they came",
     QUERY("after", STRING) "," QUERY("limit", INTEGER) "," QUERY("filter", STRING), NULL, NULL, NULL},
    {"GET", "/v1/collections/{collection}/sentences/{id}", "One sentence", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/collections/{collection}/sentences/{id}", "Deletes one sentence", NULL, NULL, NULL, NULL},
    {"GET", "/v1/collection-aliases", "All aliases of collections", NULL, NULL, NULL, NULL},
    {"PUT", "/v1/collection-aliases/{alias}", "Makes another name for a collection, or lets it name another one", NULL,
     "\"collection\"", "\"collection\":" STRING, "{\"collection\": \"shop\"}"},
    {"DELETE", "/v1/collection-aliases/{alias}", "Deletes an alias; the collection stays", NULL, NULL, NULL, NULL},

    {"GET", "/", "Whether the server can work", NULL, NULL, NULL, NULL},
    {"GET", "/ping", "Whether the server can work", NULL, NULL, NULL, NULL},
    {"GET", "/health", "Whether the server can work", NULL, NULL, NULL, NULL},
    {"GET", "/docs", "This page", NULL, NULL, NULL, NULL},
    {"GET", "/openapi.json", "This API in OpenAPI's form", NULL, NULL, NULL, NULL},
    {"GET", "/info", "The default model and the limits, as text-embeddings-inference's route", NULL, NULL, NULL, NULL},
    {"GET", "/metrics", "Prometheus metrics", NULL, NULL, NULL, NULL},
};

const struct sb_route_description *sb_route_describe(const struct sb_route *route)
{
    for (size_t i = 0; i < sizeof descriptions / sizeof *descriptions; i++)
        if (strcmp(descriptions[i].method, route->method) == 0 && strcmp(descriptions[i].pattern, route->pattern) == 0)
            return &descriptions[i];
    return NULL;
}

/* ---- OpenAPI ---- */

static void print_lower(struct sb_buffer *out, const char *text)
{
    for (; *text; text++) {
        char c = (char)(*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
        sb_buffer_bytes(out, &c, 1);
    }
}

/* The path's {names}, then the query's parameters. */
static void print_parameters(struct sb_buffer *out, const struct sb_route_description *d)
{
    const char *separator = "", *at = d->pattern;
    sb_buffer_text(out, "\"parameters\":[");
    while ((at = strchr(at, '{'))) {
        size_t size = strcspn(++at, "}");
        sb_buffer_format(out, "%s{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":" STRING "}",
                         separator, (int)size, at);
        separator = ",";
    }
    if (d->parameters)
        sb_buffer_format(out, "%s%s", separator, d->parameters);
    sb_buffer_text(out, "],");
}

static void print_body(struct sb_buffer *out, const struct sb_route_description *d)
{
    sb_buffer_text(out, "\"requestBody\":{\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\",");
    if (d->required)
        sb_buffer_format(out, "\"required\":[%s],", d->required);
    sb_buffer_format(out, "\"properties\":{%s}},\"example\":%s}}},", d->properties, d->example);
}

static void print_operation(struct sb_buffer *out, const struct sb_route *route, const struct sb_route_description *d)
{
    sb_buffer_text(out, "\"");
    print_lower(out, d->method);
    sb_buffer_text(out, "\":{\"summary\":");
    sb_buffer_json_string(out, d->summary, strlen(d->summary));
    sb_buffer_text(out, ",");
    print_parameters(out, d);
    if (d->properties)
        print_body(out, d);
    if (route->is_public)
        sb_buffer_text(out, "\"security\":[],");
    sb_buffer_text(
        out, "\"responses\":{\"200\":{\"description\":\"done\"},\"default\":{\"description\":\"an error, told in the "
             "form of the route's API\"}}}");
}

/* The methods of one path stand together: OpenAPI's paths are an object. */
static void print_path(struct sb_buffer *out, size_t first)
{
    const char *pattern = sb_route_at(first)->pattern, *separator = "";
    sb_buffer_format(out, "%s\"%s\":{", first ? "," : "", pattern);
    for (size_t i = first; i < sb_route_count(); i++) {
        const struct sb_route *route = sb_route_at(i);
        const struct sb_route_description *d = sb_route_describe(route);
        if (!d || strcmp(route->pattern, pattern) != 0)
            continue;
        sb_buffer_text(out, separator);
        print_operation(out, route, d);
        separator = ",";
    }
    sb_buffer_text(out, "}");
}

static bool is_first_of_path(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(sb_route_at(i)->pattern, sb_route_at(index)->pattern) == 0)
            return false;
    return true;
}

void sb_api_openapi(struct sb_buffer *out)
{
    sb_buffer_text(out, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"simbert\",\"version\":\"" SB_VERSION
                        "\",\"description\":"
                        "\"Embeddings, similar sentences and paraphrases of Chinese text\"},\"paths\":{");
    for (size_t i = 0; i < sb_route_count(); i++)
        if (is_first_of_path(i))
            print_path(out, i);
    sb_buffer_text(out, "},\"components\":{\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}},"
                        "\"security\":[{},{\"key\":[]}]}");
}

/* ---- the page ---- */

static const char page_head[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
    "<title>simbert " SB_VERSION "</title><style>"
    "body{font:16px/1.5 sans-serif;max-width:52em;margin:2em auto;padding:0 1em}"
    "pre{background:#f3f3f3;padding:.6em;overflow-x:auto}h2{font-size:1em;margin:1.6em 0 .2em}p{margin:.2em 0}"
    "</style><h1>simbert " SB_VERSION "</h1>"
    "<p>Machine-readable: <a href=\"openapi.json\">openapi.json</a>. Errors tell what was wrong, in the form of each "
    "route's API.</p>";

static void print_section(struct sb_buffer *out, const struct sb_route_description *d)
{
    sb_buffer_format(out, "<h2><code>%s %s</code></h2><p>%s.</p>", d->method, d->pattern, d->summary);
    if (d->example)
        sb_buffer_format(out, "<pre>%s</pre>", d->example);
}

void sb_api_page(struct sb_buffer *out)
{
    sb_buffer_text(out, page_head);
    for (size_t i = 0; i < sb_route_count(); i++) {
        const struct sb_route_description *d = sb_route_describe(sb_route_at(i));
        if (d)
            print_section(out, d);
    }
    sb_buffer_text(out, "</html>\n");
}
