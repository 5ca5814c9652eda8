#include "server/jobs_impl.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TICK_MS = 200, IDLE_MS = 10000 };

void sb_job_log_failure(const char *id, const struct sb_error *error)
{
    sb_log(SB_LOG_WARN, "jobs", "%s: %s", id, error->message);
}

void sb_jobs_wake(struct sb_jobs *jobs)
{
    ssize_t written = write(jobs->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* full: it is awake already */
}

static bool is_quiescing(struct sb_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    bool quiescing = jobs->quiescing;
    pthread_mutex_unlock(&jobs->lock);
    return quiescing;
}

/* ---- validating ---- */

/* Whether a job's file is on disk as it was uploaded. */
static enum sb_status check_file(struct sb_jobs *jobs, const char *id, struct sb_error *error)
{
    struct sb_file_record file;
    struct stat about;
    enum sb_status status = sb_records_file(jobs->options.records, id, &file, error);
    if (status != SB_OK)
        return status;
    char *path = sb_path_join(jobs->data, "files");
    char *full = path ? sb_path_join(path, file.stored) : NULL;
    if (!full)
        status = sb_fail(error, SB_NO_MEMORY, "no memory to look at file %s", id);
    else if (stat(full, &about) != 0)
        status = sb_fail(error, SB_NOT_FOUND, "file %s is gone from the disk: %s", id, strerror(errno));
    else if (about.st_size != file.bytes)
        status = sb_fail(error, SB_CORRUPT, "file %s has %lld bytes on disk; it was uploaded with %lld", id,
                         (long long)about.st_size, (long long)file.bytes);
    free(full);
    free(path);
    return status;
}

static void validate(struct sb_jobs *jobs, const struct sb_job_record *job)
{
    struct sb_error error, wrong;
    struct sb_job_change change = {.from = 1u << SB_JOB_VALIDATING, .to = SB_JOB_QUEUED, .message = "Files validated, job queued"};
    bool changed;
    const char *param = "training_file";
    enum sb_status status = check_file(jobs, job->training_file, &wrong);
    if (status == SB_OK && job->validation_file[0]) {
        param = "validation_file";
        status = check_file(jobs, job->validation_file, &wrong);
    }
    if (status != SB_OK) {
        change.to = SB_JOB_FAILED;
        change.message = change.error_message = wrong.message;
        change.error_code = "invalid_file";
        change.error_param = param;
    }
    if (sb_records_change_job(jobs->options.records, job->id, &change, &changed, &error) != SB_OK)
        sb_job_log_failure(job->id, &error);
}

static void validate_new(struct sb_jobs *jobs)
{
    struct sb_job_record job;
    struct sb_error error;
    bool found = true;
    for (int64_t after = 0; found;) {
        if (sb_records_next_job(jobs->options.records, SB_JOB_VALIDATING, after, &job, &found, &error) != SB_OK) {
            sb_job_log_failure("the queue", &error);
            found = false;
        }
        if (found) {
            after = job.key;
            validate(jobs, &job);
        }
        sb_job_record_clear(&job);
    }
}

/* ---- the queue ---- */

static struct sb_job_run *free_run(struct sb_jobs *jobs)
{
    for (int i = 0; i < jobs->options.max_running; i++)
        if (!jobs->runs[i].used)
            return &jobs->runs[i];
    return NULL;
}

static bool runs_already(struct sb_jobs *jobs, const char *id)
{
    for (int i = 0; i < jobs->options.max_running; i++)
        if (jobs->runs[i].used && strcmp(jobs->runs[i].job.id, id) == 0)
            return true; /* paused and resumed before its child has ended */
    return false;
}

/* Starts what is queued, the oldest first, as long as there is room. */
static void start_queued(struct sb_jobs *jobs)
{
    struct sb_job_run *run;
    struct sb_error error;
    bool found = true;
    for (int64_t after = 0; found && (run = free_run(jobs));) {
        struct sb_job_record job;
        if (sb_records_next_job(jobs->options.records, SB_JOB_QUEUED, after, &job, &found, &error) != SB_OK) {
            sb_job_log_failure("the queue", &error);
            found = false;
        }
        if (found)
            after = job.key;
        if (!found || runs_already(jobs, job.id)) {
            sb_job_record_clear(&job);
            continue;
        }
        pthread_mutex_lock(&jobs->lock); /* before the records say that it runs: see sb_jobs_clean */
        *run = (struct sb_job_run){.used = true, .job = job, .jobs = jobs, .child = {.pid = -1, .output = -1}};
        pthread_mutex_unlock(&jobs->lock);
        sb_job_run_start(run);
    }
}

/* Room again. */
static void release(struct sb_jobs *jobs, struct sb_job_run *run)
{
    char id[SB_ID_SIZE];
    struct sb_job_record now;
    memcpy(id, run->job.id, sizeof id);
    sb_job_child_clear(&run->child);
    free(run->dir);
    pthread_mutex_lock(&jobs->lock);
    sb_job_record_clear(&run->job);
    run->used = false;
    pthread_mutex_unlock(&jobs->lock);
    if (sb_records_job(jobs->options.records, id, &now, NULL) == SB_OK && now.status == SB_JOB_CANCELLED)
        sb_job_folder_remove(jobs->data, id);
    sb_job_record_clear(&now);
}

void sb_jobs_clean(struct sb_jobs *jobs, const char *id)
{
    pthread_mutex_lock(&jobs->lock);
    bool runs = runs_already(jobs, id);
    pthread_mutex_unlock(&jobs->lock);
    if (!runs)
        sb_job_folder_remove(jobs->data, id);
    sb_jobs_wake(jobs);
}

/* ---- the thread ---- */

/* True when somebody has woken the thread. */
static bool wait_for_something(struct sb_jobs *jobs)
{
    struct pollfd polled[1 + SB_JOBS_RUNNING_MAX] = {{.fd = jobs->wake_fd, .events = POLLIN}};
    nfds_t n = 1;
    uint64_t count;
    bool busy = sb_jobs_has_followers(jobs) || is_quiescing(jobs);
    for (int i = 0; i < jobs->options.max_running; i++) {
        busy = busy || jobs->runs[i].used;
        if (jobs->runs[i].used && jobs->runs[i].child.output >= 0)
            polled[n++] = (struct pollfd){.fd = jobs->runs[i].child.output, .events = POLLIN};
    }
    poll(polled, n, busy ? TICK_MS : IDLE_MS);
    return read(jobs->wake_fd, &count, sizeof count) == (ssize_t)sizeof count;
}

/* True while something runs. */
static bool look_after_runs(struct sb_jobs *jobs, bool obey, bool stopping)
{
    bool some = false;
    for (int i = 0; i < jobs->options.max_running; i++) {
        struct sb_job_run *run = &jobs->runs[i];
        if (!run->used)
            continue;
        sb_job_run_read(run);
        if (obey)
            sb_job_run_obey(run, stopping);
        if (sb_job_run_end(run, stopping))
            release(jobs, run);
        some = some || run->used;
    }
    return some;
}

/* The records are looked at when somebody has changed them, and every TICK_MS; what children tell is read at once. */
static void *supervise(void *argument)
{
    struct sb_jobs *jobs = argument;
    int64_t looked_ns = 0;
    bool woken = true, some = true;
    for (bool stopping = false; some || !stopping; woken = wait_for_something(jobs)) {
        bool look = woken || sb_now_ns() - looked_ns >= TICK_MS * INT64_C(1000000);
        stopping = is_quiescing(jobs);
        some = look_after_runs(jobs, look, stopping);
        if (look && !stopping) {
            validate_new(jobs);
            start_queued(jobs);
        }
        sb_jobs_deliver(jobs, stopping);
        if (look)
            looked_ns = sb_now_ns();
    }
    return NULL;
}

/* ---- life ---- */

enum sb_status sb_jobs_new(struct sb_jobs **jobs, const struct sb_jobs_options *options, struct sb_error *error)
{
    struct sb_jobs *j = calloc(1, sizeof *j);
    *jobs = NULL;
    if (!j)
        return sb_fail(error, SB_NO_MEMORY, "jobs: no memory");
    j->options = *options;
    pthread_mutex_init(&j->lock, NULL);
    j->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    j->data = realpath(options->data, NULL);
    enum sb_status status = SB_OK;
    if (options->max_running < 1 || options->max_running > SB_JOBS_RUNNING_MAX)
        status = sb_fail(error, SB_INVALID, "max_jobs is %d; 1 to %d are possible", options->max_running,
                         SB_JOBS_RUNNING_MAX);
    else if (j->wake_fd < 0 || !j->data)
        status = sb_fail(error, SB_IO, "jobs: %s: %s", options->data, strerror(errno));
    if (status == SB_OK) {
        j->started = pthread_create(&j->thread, NULL, supervise, j) == 0;
        if (!j->started)
            status = sb_fail(error, SB_NO_MEMORY, "jobs: a thread can not be started");
    }
    if (status != SB_OK) {
        sb_jobs_free(j);
        return status;
    }
    *jobs = j;
    return SB_OK;
}

void sb_jobs_quiesce(struct sb_jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->quiescing = true;
    pthread_mutex_unlock(&jobs->lock);
    sb_jobs_wake(jobs);
}

void sb_jobs_free(struct sb_jobs *jobs)
{
    if (!jobs)
        return;
    if (jobs->started) {
        sb_jobs_quiesce(jobs);
        pthread_join(jobs->thread, NULL);
    }
    if (jobs->wake_fd >= 0)
        close(jobs->wake_fd);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs->data);
    free(jobs);
}
