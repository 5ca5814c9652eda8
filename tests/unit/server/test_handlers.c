#include "tests/unit/server/handlers.h"

#include "tests/unit/support.h"

#include <math.h>

static struct sb_server server;

static void open_server(void)
{
    ck_assert(handlers_open(&server, golden("models/tiny-bert"), temporary_folder()));
}

static void close_server(void)
{
    handlers_close(&server);
}

/* Runs a request and parses its reply; the caller deletes the JSON. */
static cJSON *ask(const char *method, const char *path, const char *body, int *status)
{
    struct call call;
    cJSON *json = NULL;
    ck_assert_msg(call_run(&call, &server, method, path, body, strlen(body)), "%s %s: no route", method, path);
    ck_assert_int_eq(call.answers, 1);
    const struct sb_reply *reply = &call.request.reply;
    *status = reply->status;
    ck_assert_str_eq(reply->content_type, "application/json");
    ck_assert_msg(sb_json_parse(&json, reply->body.data, reply->body.length, NULL) == SB_OK, "%s", reply->body.data);
    call_clear(&call);
    return json;
}

/* The member at a path like "data.0.embedding". */
static const cJSON *member(const cJSON *json, const char *path)
{
    char key[64];
    while (json && *path) {
        size_t size = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)size, path);
        json = cJSON_IsArray(json) ? cJSON_GetArrayItem(json, atoi(key)) : cJSON_GetObjectItemCaseSensitive(json, key);
        path += path[size] ? size + 1 : size;
    }
    return json;
}

/* ---- replies ---- */

/* Requests that succeed, and a member of the reply with its printed value. */
static const struct {
    const char *method, *path, *body, *member, *value;
} good[] = {
    {"POST", "/v1/embeddings", "{\"input\":\"天天\"}", "object", "\"list\""},
    {"POST", "/v1/embeddings", "{\"input\":\"天天\",\"model\":\"tiny\",\"user\":\"u\",\"unknown\":1}", "model",
     "\"tiny\""},
    {"POST", "/v1/embeddings", "{\"input\":\"天天\"}", "usage", "{\"prompt_tokens\":4,\"total_tokens\":4}"},
    {"POST", "/v1/embeddings", "{\"input\":[\"天\",\"天天\"]}", "data.1.index", "1"},
    {"POST", "/v1/embeddings", "{\"input\":[5,6,7]}", "usage.total_tokens", "5"},
    {"POST", "/v1/embeddings", "{\"input\":[[2,5,3],[6]]}", "usage.total_tokens", "6"},
    {"GET", "/v1/models", "", "data.0.id", "\"tiny\""},
    {"GET", "/v1/models/tiny", "", "object", "\"model\""},
    {"POST", "/rerank", "{\"query\":\"天\",\"texts\":[\"地\",\"天\"],\"return_text\":true}", "0.text", "\"天\""},
    {"POST", "/rerank", "{\"query\":\"天\",\"texts\":[\"地\",\"天\"]}", "0.text", NULL},
    {"POST", "/rerank", "{\"query\":\"天\",\"texts\":[\"地\",\"天\"]}", "0.score", "1"},
    {"POST", "/v1/rerank", "{\"query\":\"天\",\"documents\":[\"地\",\"天\"],\"top_n\":1}", "results.1", NULL},
    {"POST", "/v1/rerank", "{\"query\":\"天\",\"documents\":[\"地\",\"天\"],\"return_documents\":true}",
     "results.0.document.text", "\"天\""},
    {"POST", "/v1/rerank", "{\"query\":\"天\",\"documents\":[\"地\",\"天\"]}", "results.0.index", "1"},
    {"POST", "/tokenize", "{\"inputs\":\"天ab\"}", "0.1",
     "{\"id\":170,\"text\":\"天\",\"special\":false,\"start\":0,\"stop\":1}"},
    {"POST", "/tokenize", "{\"inputs\":\"天\"}", "0.0",
     "{\"id\":2,\"text\":\"[CLS]\",\"special\":true,\"start\":null,\"stop\":null}"},
    {"POST", "/tokenize", "{\"inputs\":[\"天\",\"地\"],\"add_special_tokens\":false}", "1.0.text", "\"地\""},
    {"POST", "/decode", "{\"ids\":[2,170,170,3]}", "", "[\"天天\"]"},
    {"POST", "/decode", "{\"ids\":[[170],[2,170]],\"skip_special_tokens\":true}", "", "[\"天\",\"天\"]"},
    {"GET", "/info", "", "model_type.embedding.pooling", "\"pooler\""},
    {"GET", "/info", "", "max_input_length", "64"},
    {"GET", "/info", "", "max_client_batch_size", "16"},
    {"GET", "/health", "", "status", "\"ok\""},
    {"POST", "/v1/paraphrases", "{\"input\":\"天天\",\"n\":2,\"num_candidates\":4,\"max_new_tokens\":6,\"seed\":1}",
     "object", "\"list\""},
    {"POST", "/v1/paraphrases", "{\"input\":[\"天\",\"地\"],\"num_beams\":3,\"n\":2,\"max_new_tokens\":6}",
     "data.1.index", "1"},
    {"GET", "/gen_synonyms?text=%E5%A4%A9&n=4&k=2", "", "desc", "\"succeeded\""},
    {"GET", "/gen_synonyms?text=%E5%A4%A9&n=2&k=9", "", "code", "0"},
    {"PUT", "/v1/collections/faq", "", "model", "\"tiny\""},
    {"GET", "/v1/collections", "", "data", "[]"},
};

START_TEST(good_requests)
{
    int status;
    cJSON *json = ask(good[_i].method, good[_i].path, good[_i].body, &status);
    const cJSON *found = member(json, good[_i].member);
    char *text = cJSON_PrintUnformatted(found ? found : json);
    ck_assert_msg(status / 100 == 2, "%s: %d %s", good[_i].path, status, text);
    if (good[_i].value)
        ck_assert_msg(found && strcmp(text, good[_i].value) == 0, "%s: %s", good[_i].member, text);
    else
        ck_assert_ptr_null(found);
    cJSON_free(text);
    cJSON_Delete(json);
}
END_TEST

/* ---- errors ---- */

#define TEN "天,天,天,天,天,天,天,天,天,天,"
#define LONG_TEXT TEN TEN TEN TEN
#define EIGHT "\"天\",\"天\",\"天\",\"天\",\"天\",\"天\",\"天\",\"天\""

/* What is refused: the status and a part of the message that names what was wrong. */
static const struct {
    const char *method, *path, *body;
    int status;
    const char *says;
} bad[] = {
    {"POST", "/v1/embeddings", "", 400, "no body"},
    {"POST", "/v1/embeddings", "{", 400, "byte"},
    {"POST", "/v1/embeddings", "[]", 400, "not a JSON object"},
    {"POST", "/v1/embeddings", "{\"input\":\"\xff\"}", 400, "UTF-8"},
    {"POST", "/v1/embeddings", "{\"input\":\"a\\u0000b\"}", 400, "NUL"},
    {"POST", "/v1/embeddings", "{\"input\":\"\\ud800\"}", 400, "surrogate"},
    {"POST", "/v1/embeddings", "{\"input\":NaN}", 400, "byte"},
    {"POST", "/v1/embeddings", "{}", 400, "input is missing"},
    {"POST", "/v1/embeddings", "{\"input\":\"\"}", 400, "empty"},
    {"POST", "/v1/embeddings", "{\"input\":[]}", 400, "empty"},
    {"POST", "/v1/embeddings", "{\"input\":[\"a\",\"\"]}", 400, "text 1 is empty"},
    {"POST", "/v1/embeddings", "{\"input\":[[]]}", 400, "no token ids"},
    {"POST", "/v1/embeddings", "{\"input\":7}", 400, "input must be"},
    {"POST", "/v1/embeddings", "{\"input\":[\"a\",1]}", 400, "element 1"},
    {"POST", "/v1/embeddings", "{\"input\":[1,\"a\"]}", 400, "element 1"},
    {"POST", "/v1/embeddings", "{\"input\":[200]}", 400, "0 to 199"},
    {"POST", "/v1/embeddings", "{\"input\":[-1]}", 400, "0 to 199"},
    {"POST", "/v1/embeddings", "{\"input\":[1.5]}", 400, "0 to 199"},
    {"POST", "/v1/embeddings", "{\"input\":[" EIGHT "," EIGHT ",\"a\"]}", 400, "17 elements"},
    {"POST", "/v1/embeddings", "{\"input\":\"a\",\"model\":\"nope\"}", 404,
     "there is no model \"nope\"; this server has tiny"},
    {"POST", "/v1/embeddings", "{\"input\":\"a\",\"model\":1}", 400, "model"},
    {"POST", "/v1/embeddings", "{\"input\":\"a\",\"dimensions\":33}", 400, "have 32"},
    {"POST", "/v1/embeddings", "{\"input\":\"a\",\"dimensions\":0}", 400, "dimensions"},
    {"POST", "/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}", 400, "float and base64"},
    {"GET", "/v1/models/nope", "", 404, "nope"},
    {"POST", "/embed", "{\"inputs\":\"\"}", 400, "empty"},
    {"POST", "/embed", "{\"inputs\":1}", 422, "inputs must be"},
    {"POST", "/embed", "{\"inputs\":\"" LONG_TEXT "\",\"truncate\":false}", 422, "82 tokens"},
    {"POST", "/embed", "{\"inputs\":\"a\",\"truncation_direction\":\"up\"}", 422, "left and right"},
    {"POST", "/similarity", "{\"inputs\":\"a\"}", 422, "source_sentence"},
    {"POST", "/similarity", "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[]}}", 400,
     "sentences is an empty list"},
    {"POST", "/similarity", "{\"inputs\":{\"sentences\":[\"a\"]}}", 400, "source_sentence is missing"},
    {"POST", "/similarity", "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[\"b\"]},\"parameters\":1}", 422,
     "parameters"},
    {"POST", "/rerank", "{\"query\":\"a\"}", 400, "texts is missing"},
    {"POST", "/rerank", "{\"texts\":[\"a\"]}", 400, "query is missing"},
    {"POST", "/v1/rerank", "{\"query\":\"a\",\"documents\":[\"b\"],\"top_n\":0}", 400, "top_n"},
    {"POST", "/tokenize", "{}", 400, "inputs is missing"},
    {"POST", "/decode", "{\"ids\":[200]}", 422, "element 0"},
    {"POST", "/decode", "{\"ids\":[]}", 422, "ids must be"},
    {"POST", "/decode", "{\"ids\":[[1],2]}", 422, "mixes"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"n\":-1}", 400, "n"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"n\":9,\"num_candidates\":3}", 400, "num_candidates"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"temperature\":-1}", 400, "temperature"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"top_p\":\"x\"}", 400, "top_p"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"max_new_tokens\":1000}", 400, "max_new_tokens"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"bad_words\":\"x\"}", 400, "bad_words"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"bad_words\":[\" \"]}", 400, "holds no word"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"mask\":[[0]]}", 400, "mask"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"mask\":[[0,5]]}", 400, "mask"},
    {"POST", "/v1/paraphrases", "{\"input\":\"天\",\"early_stopping\":3}", 400, "early_stopping"},
    {"POST", "/v1/paraphrases", "{\"input\":[[1]]}", 400, "a list of texts is expected"},
    {"POST", "/v1/paraphrases", "{\"input\":[\"天\",\" \"]}", 400, "input 1"},
    {"GET", "/gen_synonyms", "", 400, "lack of \"text\" argument"},
    {"GET", "/gen_synonyms?text=a&n=x", "", 400, "n is \"x\""},
    {"GET", "/gen_synonyms?text=a%00b", "", 400, "%00"},
    {"GET", "/gen_synonyms?text=%ff", "", 400, "UTF-8"},
    {"GET", "/v1/collections/none", "", 404, "none"},
    {"PUT", "/v1/collections/.x", "", 400, ".x"},
    {"PUT", "/v1/collections/c", "{\"model\":\"nope\"}", 404, "nope"},
    {"POST", "/v1/collections/none/sentences", "{\"sentences\":[{\"id\":\"1\",\"text\":\"天\"}]}", 404, "none"},
    {"POST", "/v1/collections/none/sentences", "{\"sentences\":[{\"id\":\"1\"}]}", 400, "sentence 0 has no text"},
    {"POST", "/v1/collections/none/sentences", "{\"sentences\":[{\"text\":\"a\"}]}", 400, "sentence 0 has no id"},
    {"POST", "/v1/collections/none/similar", "{\"query\":\"天\",\"top_k\":0}", 400, "top_k"},
    {"POST", "/v1/collections/none/similar", "{\"query\":\"天\",\"filter\":{\"n\":{\"below\":1}}}", 400,
     "filter.n: unknown operator"},
    {"POST", "/v1/collections/none/delete", "{\"ids\":[]}", 400, "ids"},
};

START_TEST(bad_requests)
{
    int status;
    cJSON *json = ask(bad[_i].method, bad[_i].path, bad[_i].body, &status);
    bool openai = strncmp(bad[_i].path, "/v1/", 4) == 0, serving = strncmp(bad[_i].path, "/gen_", 5) == 0;
    const cJSON *message = member(json, openai ? "error.message" : serving ? "desc" : "error");
    char *text = cJSON_PrintUnformatted(json);
    ck_assert_msg(status == bad[_i].status, "%s %s: %d %s", bad[_i].path, bad[_i].body, status, text);
    ck_assert_msg(cJSON_IsString(message) && strstr(message->valuestring, bad[_i].says), "%s lacks %s", text,
                  bad[_i].says);
    ck_assert(openai ? cJSON_IsString(member(json, "error.type"))
                     : serving || cJSON_IsString(member(json, "error_type")));
    cJSON_free(text);
    cJSON_Delete(json);
}
END_TEST

/* ---- numbers ---- */

/* The vector in a member of a reply. */
static size_t read_vector(const cJSON *list, float *out)
{
    size_t n = 0;
    for (const cJSON *item = list->child; item; item = item->next)
        out[n++] = (float)item->valuedouble;
    return n;
}

START_TEST(vectors_come_out_bit_by_bit)
{
    int status;
    float sent[32], cut[32];
    const int32_t ids[] = {2, 170, 170, 3};
    struct sb_model *model = sb_registry_acquire(server.registry, NULL);
    struct sb_session *session;
    struct sb_task *task;
    ck_assert_int_eq(sb_session_new(&session, model, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_embed_task_new(&task, model, &(struct sb_embed_input){ids, 4}, 1, NULL), SB_OK);
    ck_assert_int_eq(sb_task_run(task, session, NULL), SB_OK);
    const float *vector = sb_embed_task_vectors(task);

    cJSON *json = ask("POST", "/v1/embeddings", "{\"input\":\"天天\"}", &status);
    ck_assert_uint_eq(read_vector(member(json, "data.0.embedding"), sent), 32);
    ck_assert_mem_eq(sent, vector, sizeof sent);
    cJSON_Delete(json);

    json = ask("POST", "/v1/embeddings", "{\"input\":\"天天\",\"dimensions\":8}", &status);
    ck_assert_uint_eq(read_vector(member(json, "data.0.embedding"), cut), 8);
    double length = 0, norm = 0;
    for (size_t i = 0; i < 8; i++) {
        length += (double)cut[i] * (double)cut[i];
        norm += (double)vector[i] * (double)vector[i];
    }
    ck_assert_double_eq_tol(length, 1, 1e-6);
    for (size_t i = 0; i < 8; i++)
        ck_assert_double_eq_tol((double)cut[i], (double)vector[i] / sqrt(norm), 1e-6);
    cJSON_Delete(json);

    json = ask("POST", "/embed", "{\"inputs\":\"天天\",\"normalize\":false}", &status);
    ck_assert_uint_eq(read_vector(member(json, "0"), sent), 32);
    for (size_t i = 0; i < 32; i++)
        ck_assert_double_eq_tol((double)sent[i], (double)vector[i] * (double)sb_embed_task_norms(task)[0], 1e-5);
    cJSON_Delete(json);
    sb_task_free(task);
    sb_session_free(session);
    sb_model_release(model);
}
END_TEST

/* Both sides keep 62 of the tokens: 天 repeated, with 地 at one end. */
START_TEST(truncation_keeps_the_side_that_is_asked_for)
{
    int status;
    struct sb_buffer body = {0};
    float vectors[3][32];
    static const char *const directions[] = {"right", "left"};
    for (size_t i = 0; i < 2; i++) {
        sb_buffer_reset(&body);
        sb_buffer_text(&body, "{\"inputs\":\"地");
        for (size_t j = 0; j < 80; j++)
            sb_buffer_text(&body, "天");
        sb_buffer_format(&body, "\",\"truncation_direction\":\"%s\"}", directions[i]);
        cJSON *json = ask("POST", "/embed", body.data, &status);
        ck_assert_int_eq(status, 200);
        read_vector(member(json, "0"), vectors[i]);
        cJSON_Delete(json);
    }
    sb_buffer_reset(&body);
    sb_buffer_text(&body, "{\"inputs\":\"");
    for (size_t j = 0; j < 62; j++)
        sb_buffer_text(&body, "天");
    sb_buffer_text(&body, "\"}");
    cJSON *json = ask("POST", "/embed", body.data, &status);
    read_vector(member(json, "0"), vectors[2]);
    cJSON_Delete(json);
    sb_buffer_free(&body);
    ck_assert_mem_eq(vectors[1], vectors[2], sizeof vectors[1]);
    ck_assert_mem_ne(vectors[0], vectors[2], sizeof vectors[0]);
}
END_TEST

START_TEST(similarity_is_the_cosine)
{
    int status;
    float a[32], b[32];
    cJSON *json = ask("POST", "/similarity",
                      "{\"inputs\":{\"source_sentence\":\"天天\",\"sentences\":[\"地\",\"天天\"]}}", &status);
    double cosine = member(json, "0")->valuedouble;
    ck_assert_double_eq_tol(member(json, "1")->valuedouble, 1, 1e-6);
    cJSON_Delete(json);
    json = ask("POST", "/embed", "{\"inputs\":[\"天天\",\"地\"]}", &status);
    read_vector(member(json, "0"), a);
    read_vector(member(json, "1"), b);
    double dot = 0;
    for (size_t i = 0; i < 32; i++)
        dot += (double)a[i] * (double)b[i];
    ck_assert_double_eq_tol(cosine, dot, 1e-6);
    cJSON_Delete(json);
}
END_TEST

START_TEST(seeds_make_paraphrases_repeatable)
{
    static const char body[] =
        "{\"input\":\"天天\",\"n\":3,\"num_candidates\":8,\"max_new_tokens\":8,\"top_k\":0,\"seed\":7}";
    int status;
    cJSON *first = ask("POST", "/v1/paraphrases", body, &status),
          *second = ask("POST", "/v1/paraphrases", body, &status);
    ck_assert_int_eq(status, 200);
    ck_assert_int_eq(cJSON_GetArraySize(member(first, "data.0.candidates")), 3);
    ck_assert(cJSON_Compare(first, second, true));
    const cJSON *candidate = member(first, "data.0.candidates.0");
    static const char *const keys[] = {"text", "similarity", "logprob", "edit_distance", "finish_reason"};
    ck_assert_int_eq(cJSON_GetArraySize(candidate), 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(cJSON_GetObjectItemCaseSensitive(candidate, keys[i]));
    cJSON_Delete(first);
    cJSON_Delete(second);
    ck_assert_uint_eq(atomic_load(&server.generation_bytes), 0);
}
END_TEST

START_TEST(caches_keep_to_the_servers_memory)
{
    int status;
    static const char body[] = "{\"input\":[\"天\",\"地\",\"人\"],\"n\":1,\"num_candidates\":2,\"max_new_tokens\":4}";
    server.options.max_generation_bytes = 1;
    atomic_store(&server.generation_bytes, 1000); /* as if others were at work */
    cJSON *json = ask("POST", "/v1/paraphrases", body, &status);
    ck_assert_int_eq(status, 429);
    cJSON_Delete(json);
    ck_assert_uint_eq(atomic_load(&server.generation_bytes), 1000);
    atomic_store(&server.generation_bytes, 0);
    json = ask("POST", "/v1/paraphrases", body, &status); /* one after the other */
    ck_assert_int_eq(status, 200);
    ck_assert_int_eq(cJSON_GetArraySize(member(json, "data")), 3);
    cJSON_Delete(json);
    ck_assert_uint_eq(atomic_load(&server.generation_bytes), 0);
}
END_TEST

START_TEST(a_stream_gets_all_candidates)
{
    struct call call;
    static const char body[] = "{\"input\":\"天天\",\"n\":3,\"num_candidates\":4,\"max_new_tokens\":4,\"stream\":true}";
    ck_assert(call_run(&call, &server, "POST", "/v1/paraphrases", body, sizeof body - 1));
    ck_assert_int_eq(call.answers, 1);
    ck_assert_int_eq(call.request.reply.status, 200);
    ck_assert_str_eq(call.request.reply.content_type, "text/event-stream");
    ck_assert_ptr_nonnull(call.request.reply.stream);
    call_clear(&call);
}
END_TEST

START_TEST(every_route_is_described)
{
    int status;
    struct call call;
    cJSON *json = ask("GET", "/openapi.json", "", &status);
    for (size_t i = 0; i < sb_route_count(); i++) {
        const struct sb_route *route = sb_route_at(i);
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(member(json, "paths"), route->pattern);
        ck_assert_msg(
            cJSON_IsString(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(path, route->method), "summary")),
            "%s %s", route->method, route->pattern);
    }
    cJSON_Delete(json);
    ck_assert(call_run(&call, &server, "GET", "/docs", "", 0));
    ck_assert_ptr_nonnull(strstr(call.request.reply.body.data, "/v1/embeddings"));
    call_clear(&call);
}
END_TEST

START_TEST(metrics_count)
{
    int status;
    struct call call;
    cJSON_Delete(ask("POST", "/embed", "{\"inputs\":[\"天\",\"天天\"]}", &status));
    cJSON_Delete(ask("POST", "/embed", "{\"inputs\":\"\"}", &status));
    ck_assert(call_run(&call, &server, "GET", "/metrics", "", 0));
    const char *text = call.request.reply.body.data;
    static const char *const lines[] = {"te_request_count{method=\"batch\"} 1\n",
                                        "te_request_success{method=\"batch\"} 1\n",
                                        "te_request_failure{err=\"empty\"} 1\n",
                                        "te_embed_count 2\n",
                                        "te_embed_success 2\n",
                                        "te_request_input_length_sum 7\n",
                                        "te_request_input_length_bucket{le=\"4\"} 2\n",
                                        "te_request_input_length_bucket{le=\"2\"} 0\n",
                                        "te_request_duration_count 1\n",
                                        "te_queue_size 0\n",
                                        "simbert_threads 1\n",
                                        "simbert_tokens_total 7\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no %s", lines[i]);
    call_clear(&call);
}
END_TEST

/* A request whose deadline has passed, or whose client is gone, is not worked on. */
START_TEST(deadlines_and_cancellation)
{
    static const char body[] = "{\"input\":\"天\"}";
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct call call;
        struct sb_route_match match;
        memset(&call, 0, sizeof call);
        sb_request_init(&call.request, &server);
        sem_init(&call.answered, 0, 0);
        ck_assert_int_eq(sb_route_find("POST", "/v1/embeddings", &match), SB_ROUTE_FOUND);
        sb_buffer_bytes(&call.request.body, body, sizeof body - 1);
        call.request.deadline_ns = cancelled ? 0 : 1;
        atomic_store(&call.request.cancelled, cancelled);
        match.route->handle(&call.request);
        while (sem_wait(&call.answered) != 0)
            continue;
        ck_assert_int_eq(call.request.reply.status, cancelled ? 503 : 504);
        call_clear(&call);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/handlers");
    TCase *tests = tcase_create("handlers");
    tcase_add_checked_fixture(tests, open_server, close_server);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, good_requests, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tests, bad_requests, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tests, vectors_come_out_bit_by_bit);
    tcase_add_test(tests, truncation_keeps_the_side_that_is_asked_for);
    tcase_add_test(tests, similarity_is_the_cosine);
    tcase_add_test(tests, seeds_make_paraphrases_repeatable);
    tcase_add_test(tests, caches_keep_to_the_servers_memory);
    tcase_add_test(tests, a_stream_gets_all_candidates);
    tcase_add_test(tests, every_route_is_described);
    tcase_add_test(tests, metrics_count);
    tcase_add_test(tests, deadlines_and_cancellation);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
