/*
 * The REST server: models by name, collections of sentences in a data directory, HTTP in front.
 *
 *     struct sb_server_options options = sb_server_defaults();
 *     options.models = &(struct sb_server_model){.dir = "models/simbert-small-zh"};
 *     options.model_count = 1;
 *     options.data = "data";
 *     if (sb_server_run(&options, &error) != SB_OK)          // until SIGTERM or SIGINT
 *         fprintf(stderr, "%s\n", error.message);
 *
 * All strings are borrowed for the server's life. Log lines go to stderr through base/log.h, whose level and form the
 * caller has set.
 */
#ifndef SB_SERVER_SERVER_H
#define SB_SERVER_SERVER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_server;

struct sb_server_model {
    const char *name; /* what requests call it; NULL: the last part of dir */
    const char *dir;
};

struct sb_server_options {
    const char *host; /* address or name to listen on, "127.0.0.1" */
    int port;         /* 8080; 0: any free one, see sb_server_port and on_ready */
    const char *data; /* the data directory, "data"; created if missing. Holds simbert.db; one server at a time */
    /* Where the collections are: the URL of a PostgreSQL database (retrieval/store.h), which several servers may share;
       NULL or "": in data */
    const char *store;

    const struct sb_server_model *models; /* at least one; names differ */
    size_t model_count;
    const char *default_model; /* for requests that name none; NULL: the first */
    const char *kernels;       /* as in sb_model_options: variant, NULL: the best */
    const char *dtype;         /* as in sb_model_options: NULL: f32 */

    int threads;                 /* that compute; 0: as many as processors and the control group's quota allow */
    size_t max_queue;            /* requests that wait for a thread, above which new ones get 429; 512 */
    size_t max_batch_tokens;     /* token budget of one pass through the network, 512 */
    size_t max_batch_rows;       /* rows of one pass, 128 */
    size_t vector_cache_bytes;   /* vectors of texts that came before; 0: off; 8 MiB */
    size_t max_generation_bytes; /* key/value caches of all running paraphrase requests; 0: a quarter of the memory
                                    limit */

    const char *finetune_program; /* that trains for jobs, with the arguments "finetune --job DIR"; NULL: this program */
    int max_jobs;                 /* fine-tuning jobs that run at a time, 1 to 16; the rest queue; 1 */
    int job_niceness;             /* of their processes, above the server's; 19: what requests leave */
    int job_threads;              /* of each; 0: as many as processors */
    size_t job_memory_bytes;      /* of each; 0: three quarters of the memory limit */
    size_t max_upload_bytes;      /* of one file, with its form; 512 MiB */

    size_t max_client_batch; /* inputs of one request, 2048 */
    size_t max_body_bytes;   /* 8 MiB; larger bodies get 413 */
    int max_connections;     /* 1024; further ones wait in the listen queue */
    int request_timeout_ms;  /* deadline of a request that sets none (x-request-timeout-ms); 0: none; 60000 */
    int receive_timeout_ms;  /* for a request to arrive completely, and for a silent connection; 30000 */

    const char *api_key; /* NULL or "": none; else required as "authorization: Bearer KEY" */
    bool log_requests;   /* one line a request at level info */

    /* Called once when the server answers requests; may be NULL. url like "http://127.0.0.1:8080", borrowed. */
    void (*on_ready)(void *context, const char *url);
    void *context;
};
struct sb_server_options sb_server_defaults(void);

/* Opens the models and the data directory, listens, serves until SIGTERM or SIGINT, then stops as sb_server_stop. The
   signals are blocked in the calling thread meanwhile (call it from main); a second one ends the process at once.
   Errors say what to change: SB_INVALID options, SB_CONFLICT port taken or data in use, SB_IO data not writable, and
   what sb_model_open gives. */
SB_MUST_CHECK enum sb_status sb_server_run(const struct sb_server_options *options, struct sb_error *error);

/* The same in parts, for programs with a loop of their own. */
SB_MUST_CHECK enum sb_status sb_server_start(struct sb_server **server, const struct sb_server_options *options,
                                             struct sb_error *error);
int sb_server_port(const struct sb_server *server);
/* Accepts no more connections, answers new requests with 503, finishes what runs, frees everything. NULL is fine. */
void sb_server_stop(struct sb_server *server);

#endif
