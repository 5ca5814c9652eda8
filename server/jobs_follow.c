/* A job's events as a stream. Followers are added by any thread; only the jobs' thread writes to them and ends them. */
#include "server/jobs_impl.h"

#include "server/stream.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_AT_ONCE = 256 };

struct sb_job_follower {
    struct sb_request *request; /* the stream's, until it is ended */
    struct sb_stream *stream;
    int64_t job, last; /* keys: of the job, of the last event sent */
    char id[SB_ID_SIZE];
    struct sb_job_follower *next;
};

void sb_job_event_print(struct sb_buffer *out, const struct sb_event_record *event)
{
    char id[SB_ID_SIZE];
    sb_records_key_id(id, "ftevent-", event->key);
    sb_buffer_format(out, "{\"object\":\"fine_tuning.job.event\",\"id\":\"%s\",\"created_at\":%lld,\"level\":\"%s\",",
                     id, (long long)event->created_at, event->level);
    sb_buffer_format(out, "\"type\":\"%s\",\"message\":", event->type);
    sb_buffer_json_string(out, event->message, strlen(event->message));
    sb_buffer_text(out, ",\"data\":");
    sb_buffer_text(out, event->data ? event->data : "null");
    sb_buffer_text(out, "}");
}

static void send_event(void *context, const struct sb_event_record *event)
{
    struct sb_job_follower *f = context;
    struct sb_buffer text = {0};
    sb_job_event_print(&text, event);
    if (!text.failed)
        sb_stream_event(f->stream, text.data, text.length);
    sb_buffer_free(&text);
    f->last = event->key;
}

static bool is_over(struct sb_records *records, const char *id)
{
    struct sb_job_record job;
    bool over = sb_records_job(records, id, &job, NULL) == SB_OK && sb_job_is_over(job.status);
    sb_job_record_clear(&job);
    return over;
}

/* Sends what is new; true when the stream is to end. */
static bool deliver(struct sb_jobs *jobs, struct sb_job_follower *f)
{
    struct sb_records *records = jobs->options.records;
    bool over = is_over(records, f->id), has_more = true; /* looked at first: no event can come after it */
    while (has_more) {
        const struct sb_record_page page = {
            .job = f->job, .after = f->last, .limit = EVENTS_AT_ONCE, .oldest_first = true};
        if (atomic_load(&f->request->cancelled) ||
            sb_records_events(records, &page, send_event, f, &has_more, NULL) != SB_OK)
            return true;
    }
    if (over)
        sb_stream_event(f->stream, "[DONE]", 6);
    return over;
}

void sb_jobs_deliver(struct sb_jobs *jobs, bool ending)
{
    struct sb_job_follower *kept = NULL, **end = &kept;
    pthread_mutex_lock(&jobs->lock);
    struct sb_job_follower *f = jobs->followers;
    jobs->followers = NULL;
    pthread_mutex_unlock(&jobs->lock);
    while (f) {
        struct sb_job_follower *next = f->next;
        if (deliver(jobs, f) || ending) {
            sb_stream_end(f->stream);
            free(f);
        } else {
            *end = f;
            end = &f->next;
        }
        f = next;
    }
    pthread_mutex_lock(&jobs->lock);
    *end = jobs->followers;
    jobs->followers = kept;
    pthread_mutex_unlock(&jobs->lock);
}

bool sb_jobs_has_followers(struct sb_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    bool some = jobs->followers != NULL;
    pthread_mutex_unlock(&jobs->lock);
    return some;
}

void sb_jobs_follow(struct sb_jobs *jobs, struct sb_request *request, const struct sb_job_record *job, int64_t after)
{
    struct sb_job_follower *f = calloc(1, sizeof *f);
    struct sb_stream *stream = f ? sb_stream_new(request) : NULL;
    if (!stream) {
        free(f);
        sb_request_problem(request, SB_PROBLEM_STOPPING, NULL, "no memory for a stream of events");
        return;
    }
    *f = (struct sb_job_follower){.request = request, .stream = stream, .job = job->key, .last = after};
    memcpy(f->id, job->id, sizeof f->id);
    sb_stream_start(stream);
    pthread_mutex_lock(&jobs->lock);
    bool quiescing = jobs->quiescing;
    if (!quiescing) {
        f->next = jobs->followers;
        jobs->followers = f;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (quiescing) {
        sb_stream_end(stream);
        free(f);
        return;
    }
    sb_jobs_wake(jobs);
}
