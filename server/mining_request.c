#include "server/mining_request.h"

#include "base/cpu.h"
#include "server/server_impl.h"

enum { WAITING_MAX = 8 }; /* requests that wait or run, above which further ones get 429 */

static bool deadline_passed(const struct sb_request *request)
{
    return request->deadline_ns && sb_now_ns() >= request->deadline_ns;
}

static bool stops(void *context)
{
    const struct sb_request *request = context;
    return atomic_load(&request->cancelled) || deadline_passed(request);
}

void sb_mining_fail(struct sb_request *request, enum sb_status status, const struct sb_error *error)
{
    if (status == SB_CANCELLED && deadline_passed(request))
        sb_request_problem(
            request, SB_PROBLEM_DEADLINE, NULL,
            "the deadline passed before the work was done; x-request-timeout-ms can give it up to an hour");
    else
        sb_request_fail(request, status, NULL, error);
}

static void work(struct sb_background_job *job)
{
    struct sb_mining_request *m = (struct sb_mining_request *)((char *)job - offsetof(struct sb_mining_request, job));
    struct sb_request *request = m->request;
    struct sb_server *server = request->server;
    struct sb_error error;
    const struct sb_kernels *kernels = sb_kernels_choose(server->options.kernels, &error);
    enum sb_status status = !kernels ? error.status : stops(request) ? sb_mining_cancelled(&error) : SB_OK;
    if (status == SB_OK)
        status = sb_sentence_set_read(&m->sentences, server->store, request->params[0], m->filter, m->most, &error);
    if (status != SB_OK) {
        sb_mining_fail(request, status, &error);
    } else {
        m->set = (struct sb_mining){.vectors = m->sentences.vectors,
                                    .count = m->sentences.count,
                                    .dimensions = m->sentences.dimensions,
                                    .kernels = kernels,
                                    .stop = stops,
                                    .context = request};
        m->run(request); /* answers: the request is gone afterwards */
    }
    atomic_fetch_sub(&server->minings, 1);
}

void sb_mining_start(struct sb_mining_request *mining, struct sb_request *request)
{
    struct sb_server *server = request->server;
    if (atomic_fetch_add(&server->minings, 1) >= WAITING_MAX) {
        atomic_fetch_sub(&server->minings, 1);
        sb_request_problem(request, SB_PROBLEM_OVERLOADED, NULL, "too much long work waits; try again later");
        return;
    }
    mining->request = request;
    mining->job.run = work;
    sb_background_push(server->mining, &mining->job);
}

void sb_mining_request_clear(struct sb_mining_request *mining)
{
    sb_filter_free(mining->filter);
    sb_sentence_set_free(&mining->sentences);
}
