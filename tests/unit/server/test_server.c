/* A whole server in this process, over real connections: what happens between HTTP, the scheduler and the threads. */
#include "server/server.h"

#include "base/cpu.h"
#include "base/log.h"
#include "tests/unit/support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sb_server_options options_for_tests(void)
{
    static struct sb_server_model models[2];
    models[0] = (struct sb_server_model){.name = "tiny", .dir = golden("models/tiny-bert")};
    models[1] = (struct sb_server_model){.name = "other", .dir = golden("models/tiny-factorised")};
    struct sb_server_options o = sb_server_defaults();
    sb_log_set_level(SB_LOG_ERROR);
    o.port = 0;
    o.data = temporary_folder();
    o.models = models;
    o.model_count = 2;
    o.threads = 2;
    return o;
}

static struct sb_server *start(const struct sb_server_options *options)
{
    struct sb_server *server;
    struct sb_error error;
    enum sb_status status = sb_server_start(&server, options, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    ck_assert_int_gt(sb_server_port(server), 0);
    return server;
}

/* ---- a small client ---- */

static int dial(const struct sb_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)sb_server_port(server))};
    struct timeval patience = {.tv_sec = 30};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_text(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server closed: what it said is still to be read */
        text += n;
        size -= (size_t)n;
    }
}

static void send_post(int fd, const char *path, const char *headers, const char *body)
{
    char head[512];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n", path, strlen(body),
             headers);
    send_text(fd, head);
    send_text(fd, body);
}

struct reply {
    int status;
    char text[65536]; /* head and body */
    const char *body;
};

/* Reads one reply of known length, or all until the server closes. */
static void read_reply(int fd, struct reply *reply)
{
    size_t length = 0, wanted = SIZE_MAX;
    *reply = (struct reply){0};
    while (length < wanted && length + 1 < sizeof reply->text) {
        ssize_t n = recv(fd, reply->text + length, sizeof reply->text - 1 - length, 0);
        if (n <= 0)
            break;
        length += (size_t)n;
        reply->text[length] = '\0';
        char *end = strstr(reply->text, "\r\n\r\n"), *size = strcasestr(reply->text, "\r\nContent-Length:");
        if (end && size && size < end)
            wanted = (size_t)(end + 4 - reply->text) + strtoul(size + 17, NULL, 10);
        if (end && strstr(end, "\r\n0\r\n\r\n"))
            break; /* the last chunk */
    }
    const char *end = strstr(reply->text, "\r\n\r\n");
    reply->body = end ? end + 4 : "";
    if (sscanf(reply->text, "HTTP/1.%*d %d", &reply->status) != 1)
        reply->status = 0;
}

static int post(const struct sb_server *server, const char *path, const char *headers, const char *body,
                struct reply *reply)
{
    int fd = dial(server);
    send_post(fd, path, headers, body);
    read_reply(fd, reply);
    close(fd);
    return reply->status;
}

/* A metric's value. */
static double metric(const struct sb_server *server, const char *name)
{
    static char text[1 << 20];
    size_t length = 0;
    char line[128];
    int fd = dial(server);
    send_text(fd, "GET /metrics HTTP/1.0\r\n\r\n");
    for (ssize_t n; length + 1 < sizeof text && (n = recv(fd, text + length, sizeof text - 1 - length, 0)) > 0;)
        length += (size_t)n;
    close(fd);
    text[length] = '\0';
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    ck_assert_msg(at != NULL, "no %s", name);
    return atof(at + strlen(line));
}

/* ---- life of a server ---- */

START_TEST(starts_serves_and_stops)
{
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    static struct reply reply;
    ck_assert_int_eq(post(server, "/v1/embeddings", "", "{\"input\":\"天\"}", &reply), 200);
    ck_assert_int_eq(post(server, "/v1/embeddings", "", "{\"input\":\"天\",\"model\":\"other\"}", &reply), 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "x-compute-tokens: 3\r\n"));
    sb_server_stop(server);
    sb_server_stop(NULL);
}
END_TEST

static void set_zero_models(struct sb_server_options *o)
{
    o->model_count = 0;
}
static void set_threads(struct sb_server_options *o)
{
    o->threads = -1;
}
static void set_port(struct sb_server_options *o)
{
    o->port = 65536;
}
static void set_host(struct sb_server_options *o)
{
    o->host = "no such host";
}
static void set_foreign(struct sb_server_options *o)
{
    o->host = "192.0.2.1";
}
static void set_default(struct sb_server_options *o)
{
    o->default_model = "nope";
}
static void set_body(struct sb_server_options *o)
{
    o->max_body_bytes = 0;
}

static void set_twins(struct sb_server_options *o)
{
    static struct sb_server_model twins[2];
    twins[0] = twins[1] = o->models[0];
    o->models = twins;
}

static void set_missing(struct sb_server_options *o)
{
    static const struct sb_server_model missing = {.dir = "/nonexistent/model"};
    o->models = &missing;
    o->model_count = 1;
}

static void set_file(struct sb_server_options *o)
{
    o->data = golden("models/tiny-bert/vocab.txt");
}

static const struct {
    void (*set)(struct sb_server_options *o);
    enum sb_status status;
    const char *says;
} wrong_options[] = {
    {set_zero_models, SB_INVALID, "models is 0"},
    {set_threads, SB_INVALID, "threads is -1"},
    {set_port, SB_INVALID, "port is 65536"},
    {set_host, SB_INVALID, "no such host"},
    {set_foreign, SB_INVALID, "192.0.2.1"},
    {set_default, SB_NOT_FOUND, "\"nope\""},
    {set_body, SB_INVALID, "max_body_bytes is 0"},
    {set_twins, SB_CONFLICT, "\"tiny\""},
    {set_missing, SB_NOT_FOUND, "/nonexistent/model"},
    {set_file, SB_IO, "vocab.txt"},
};

START_TEST(wrong_options_are_told)
{
    struct sb_server *server;
    struct sb_error error;
    struct sb_server_options o = options_for_tests();
    wrong_options[_i].set(&o);
    enum sb_status status = sb_server_start(&server, &o, &error);
    ck_assert_ptr_null(server);
    ck_assert_msg(status == wrong_options[_i].status, "%s: %s", sb_status_name(status), error.message);
    ck_assert_msg(strstr(error.message, wrong_options[_i].says) != NULL, "%s", error.message);
}
END_TEST

START_TEST(a_taken_port_is_told)
{
    struct sb_server *second;
    struct sb_error error;
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    struct sb_server_options again = options_for_tests();
    again.port = sb_server_port(server);
    ck_assert_int_eq(sb_server_start(&second, &again, &error), SB_CONFLICT);
    ck_assert_ptr_nonnull(strstr(error.message, "taken"));
    sb_server_stop(server);
}
END_TEST

/* ---- HTTP ---- */

static const struct {
    const char *request;
    int status;
    const char *says;
} refused[] = {
    {"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404, "\"error_type\""},
    {"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 404, "there is no route"},
    {"PUT /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 405, "Allow: POST\r\n"},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415,
     "application/json"},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/jsonx\r\nContent-Length: 2\r\n\r\n{}", 415,
     "application/json"},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n", 413, "8388608"},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nX-Request-Timeout-Ms: 0\r\nContent-Length: 2\r\n\r\n{}", 422,
     "x-request-timeout-ms"},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nX-Request-Timeout-Ms: 1e3\r\nContent-Length: 2\r\n\r\n{}", 422,
     "x-request-timeout-ms"},
    {"GET /v1/models/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "hexadecimal"},
    {"GET /v1/models/%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "%00"},
    {"HEAD /health HTTP/1.0\r\n\r\n", 200, "application/json"},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: "
     "14\r\n\r\n{\"inputs\":\"a\"}",
     200, "[["},
    {"POST /embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n{\"inputs\":\"a\"}\r\n0\r\n\r\n", 200,
     "[["},
};

START_TEST(refusals)
{
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    static struct reply reply;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        int fd = dial(server);
        send_text(fd, refused[i].request);
        if (strncmp(refused[i].request, "HEAD", 4) == 0)
            shutdown(fd, SHUT_WR);
        read_reply(fd, &reply);
        close(fd);
        ck_assert_msg(reply.status == refused[i].status, "%s\n%s", refused[i].request, reply.text);
        ck_assert_msg(strstr(reply.text, refused[i].says) != NULL, "%s\n%s", refused[i].request, reply.text);
    }
    sb_server_stop(server);
}
END_TEST

START_TEST(a_large_body_is_refused_in_words)
{
    enum { SIZE = 3 << 20 };
    struct sb_server_options o = options_for_tests();
    o.max_body_bytes = 1 << 20;
    struct sb_server *server = start(&o);
    static struct reply reply;
    char *body = malloc(SIZE + 1), chunk[64];
    memset(body, ' ', SIZE);
    body[SIZE] = '\0';
    ck_assert_int_eq(post(server, "/embed", "", body, &reply), 413);
    ck_assert_ptr_nonnull(strstr(reply.body, "1048576"));
    int fd = dial(server); /* without a length: noticed on the way */
    send_text(fd, "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    snprintf(chunk, sizeof chunk, "%x\r\n", SIZE);
    send_text(fd, chunk);
    send_text(fd, body);
    send_text(fd, "\r\n0\r\n\r\n");
    read_reply(fd, &reply);
    close(fd);
    ck_assert_int_eq(reply.status, 413);
    ck_assert_ptr_nonnull(strstr(reply.body, "\"too_large\""));
    free(body);
    ck_assert_int_eq(post(server, "/embed", "", "{\"inputs\":\"a\"}", &reply), 200);
    sb_server_stop(server);
}
END_TEST

START_TEST(the_key)
{
    struct sb_server_options o = options_for_tests();
    o.api_key = "secret";
    struct sb_server *server = start(&o);
    static struct reply reply;
    static const char body[] = "{\"input\":\"天\"}";
    ck_assert_int_eq(post(server, "/v1/embeddings", "", body, &reply), 401);
    ck_assert_ptr_nonnull(strstr(reply.text, "WWW-Authenticate: Bearer\r\n"));
    ck_assert_int_eq(post(server, "/v1/embeddings", "Authorization: Bearer secre\r\n", body, &reply), 401);
    ck_assert_int_eq(post(server, "/v1/embeddings", "Authorization: Bearer secrets\r\n", body, &reply), 401);
    ck_assert_int_eq(post(server, "/v1/embeddings", "Authorization: secret\r\n", body, &reply), 401);
    ck_assert_int_eq(post(server, "/v1/embeddings", "Authorization: Bearer secret\r\n", body, &reply), 200);
    ck_assert_int_eq(post(server, "/v1/embeddings", "authorization: bearer secret\r\n", body, &reply), 200);
    int fd = dial(server);
    send_text(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    read_reply(fd, &reply);
    ck_assert_int_eq(reply.status, 200);
    close(fd);
    sb_server_stop(server);
}
END_TEST

START_TEST(a_slow_client_is_let_go)
{
    struct sb_server_options o = options_for_tests();
    o.receive_timeout_ms = 300;
    struct sb_server *server = start(&o);
    static struct reply reply;
    int silent = dial(server), trickling = dial(server);
    send_text(silent, "POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{");
    send_text(trickling, "POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n");
    for (const char *at = "{\"inputs\":\"a\"}"; *at; at++) {
        send_text(trickling, (char[2]){*at, '\0'});
        usleep(30000);
    }
    read_reply(trickling, &reply);
    ck_assert_int_eq(reply.status, 408);
    read_reply(silent, &reply); /* closed without a word */
    ck_assert_int_eq(reply.status, 0);
    close(trickling);
    close(silent);
    sb_server_stop(server);
}
END_TEST

/* ---- many at once ---- */

struct load {
    const struct sb_server *server;
    size_t index;
    atomic_bool *failed;
};

static void *make_load(void *argument)
{
    static const char *const bodies[][2] = {
        {"/v1/embeddings", "{\"input\":[\"天\",\"天天\",\"地\"]}"},
        {"/v1/embeddings", "{\"input\":\"天\",\"model\":\"other\",\"encoding_format\":\"base64\"}"},
        {"/v1/paraphrases", "{\"input\":[\"天天\",\"地\"],\"n\":2,\"num_candidates\":4,\"max_new_tokens\":6}"},
        {"/v1/paraphrases", "{\"input\":\"天天\",\"n\":2,\"num_candidates\":4,\"max_new_tokens\":6,\"stream\":true}"},
        {"/rerank", "{\"query\":\"天\",\"texts\":[\"地\",\"天\"]}"},
        {"/v1/collections/none/similar", "{\"query\":\"天\"}"},
    };
    enum { BODIES = sizeof bodies / sizeof *bodies };
    struct load *load = argument;
    struct reply *reply = malloc(sizeof *reply);
    int fd = dial(load->server);
    for (size_t i = 0; i < 4 * BODIES; i++) {
        size_t kind = (i + load->index) % BODIES;
        send_post(fd, bodies[kind][0], "", bodies[kind][1]);
        read_reply(fd, reply);
        if (reply->status != (kind == 5 ? 404 : 200))
            atomic_store(load->failed, true);
        if (kind == 3 && (!strstr(reply->body, "data: [DONE]") || !strstr(reply->text, "text/event-stream")))
            atomic_store(load->failed, true);
    }
    close(fd);
    free(reply);
    return NULL;
}

START_TEST(many_clients_keep_their_connections)
{
    enum { CLIENTS = 6 };
    pthread_t threads[CLIENTS];
    struct load loads[CLIENTS];
    atomic_bool failed = false;
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    for (size_t i = 0; i < CLIENTS; i++) {
        loads[i] = (struct load){server, i, &failed};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_load, &loads[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    ck_assert(!atomic_load(&failed));
    ck_assert_double_eq(metric(server, "simbert_generation_cache_bytes"), 0);
    ck_assert_double_eq(metric(server, "simbert_jobs_running"), 0);
    sb_server_stop(server);
}
END_TEST

/* Long enough to be caught in the middle: thousands of steps. */
static const char long_body[] = "{\"input\":[\"天\",\"地\",\"人\",\"天天\",\"地地\",\"人人\",\"天地\",\"地人\","
                                "\"人天\"],\"n\":1,\"drop_copies\":false,"
                                "\"num_candidates\":1000,\"min_new_tokens\":40,\"max_new_tokens\":40,\"top_k\":0%s}";

static void wait_until_running(const struct sb_server *server)
{
    while (metric(server, "simbert_jobs_running") < 1)
        usleep(1000);
}

START_TEST(a_vanished_client_ends_its_work)
{
    char body[512];
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    for (int stream = 0; stream < 2; stream++) {
        snprintf(body, sizeof body, long_body, stream ? ",\"stream\":true" : "");
        int fd = dial(server);
        send_post(fd, "/v1/paraphrases", "", body);
        wait_until_running(server);
        close(fd);
        int64_t gone = sb_now_ns();
        while (metric(server, "simbert_requests_active") > 1 ||
               metric(server, "simbert_jobs_running") > 0) /* 1: this one */
            usleep(10000);
        ck_assert_double_ge(metric(server, "simbert_cancelled_total"), stream + 1);
        ck_assert_double_eq(metric(server, "simbert_generation_cache_bytes"), 0);
        ck_assert_int_lt(sb_now_ns() - gone, 20 * INT64_C(1000000000));
    }
    sb_server_stop(server);
}
END_TEST

START_TEST(a_deadline_is_kept)
{
    char body[512];
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    static struct reply reply;
    snprintf(body, sizeof body, long_body, "");
    ck_assert_int_eq(post(server, "/v1/paraphrases", "X-Request-Timeout-Ms: 50\r\n", body, &reply), 504);
    ck_assert_ptr_nonnull(strstr(reply.body, "deadline"));
    ck_assert_double_ge(metric(server, "simbert_deadline_expired_total"), 1);
    sb_server_stop(server);
}
END_TEST

static void *stop(void *server)
{
    sb_server_stop(server);
    return NULL;
}

START_TEST(stopping_finishes_what_runs_and_refuses_what_is_new)
{
    char body[512];
    pthread_t stopper;
    struct sb_server_options o = options_for_tests();
    struct sb_server *server = start(&o);
    static struct reply reply;
    snprintf(body, sizeof body,
             "{\"input\":[\"天\",\"地\"],\"n\":1,\"num_candidates\":300,\"min_new_tokens\":40,\"max_new_tokens\":40,"
             "\"top_k\":0}");
    int working = dial(server), idle = dial(server);
    send_text(idle, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    read_reply(idle, &reply);
    ck_assert_int_eq(reply.status, 200);
    send_post(working, "/v1/paraphrases", "", body);
    wait_until_running(server);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop, server), 0);
    usleep(20000);
    send_post(idle, "/v1/embeddings", "", "{\"input\":\"天\"}");
    read_reply(idle, &reply);
    ck_assert_msg(reply.status == 503, "%d", reply.status);
    ck_assert_ptr_nonnull(strcasestr(reply.text, "\r\nConnection: close\r\n"));
    read_reply(working, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_ptr_nonnull(strstr(reply.body, "\"usage\""));
    pthread_join(stopper, NULL);
    close(working);
    close(idle);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/server");
    TCase *tests = tcase_create("server");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, starts_serves_and_stops);
    tcase_add_loop_test(tests, wrong_options_are_told, 0, sizeof wrong_options / sizeof *wrong_options);
    tcase_add_test(tests, a_taken_port_is_told);
    tcase_add_test(tests, refusals);
    tcase_add_test(tests, a_large_body_is_refused_in_words);
    tcase_add_test(tests, the_key);
    tcase_add_test(tests, a_slow_client_is_let_go);
    tcase_add_test(tests, many_clients_keep_their_connections);
    tcase_add_test(tests, a_vanished_client_ends_its_work);
    tcase_add_test(tests, a_deadline_is_kept);
    tcase_add_test(tests, stopping_finishes_what_runs_and_refuses_what_is_new);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
