/*
 * The job database: the queue's order, changes of status that are all or nothing, and what a restart finds.
 */
#include "server/jobs.h"
#include "server/records.h"

#include "base/file.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct sb_records *records;

static void must(enum sb_status status, const struct sb_error *error)
{
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error->message);
}

static void open_records(void)
{
    struct sb_error error;
    must(sb_records_open(&records, scratch("jobs.db"), &error), &error);
}

static void close_records(void)
{
    sb_records_close(records);
    records = NULL;
}

static void reopen(void)
{
    close_records();
    open_records();
}

/* A job "ftjob-<name>" on the file "file-<name>". */
static void add(const char *name)
{
    static char json[] = "{}", method[] = "{\"type\":\"supervised\"}", metadata[] = "{\"team\":\"a\"}",
                recipe[] = "{\"steps\":2}";
    struct sb_error error;
    struct sb_job_record job = {.status = SB_JOB_VALIDATING,
                                .model = "base",
                                .created_at = 100,
                                .seed = 7,
                                .method = method,
                                .hyperparameters = json,
                                .metadata = metadata,
                                .recipe = recipe};
    snprintf(job.id, sizeof job.id, "ftjob-%s", name);
    snprintf(job.name, sizeof job.name, "ft:base:%s", name);
    snprintf(job.training_file, sizeof job.training_file, "file-%s", name);
    must(sb_records_add_job(records, &job, &error), &error);
}

static struct sb_job_record job_of(const char *id)
{
    struct sb_job_record job;
    struct sb_error error;
    must(sb_records_job(records, id, &job, &error), &error);
    return job;
}

static enum sb_job_status status_of(const char *id)
{
    struct sb_job_record job = job_of(id);
    enum sb_job_status status = job.status;
    sb_job_record_clear(&job);
    return status;
}

static bool move(const char *id, unsigned from, enum sb_job_status to, const char *message)
{
    bool changed;
    struct sb_error error;
    struct sb_job_change change = {.from = from, .to = to, .message = message};
    must(sb_records_change_job(records, id, &change, &changed, &error), &error);
    return changed;
}

static void note_event(void *context, const struct sb_event_record *event)
{
    sb_buffer_format(context, "%s: %s|", event->level, event->message);
}

/* All of them, the oldest first. */
static const char *events_of(const char *id)
{
    struct sb_buffer text = {0};
    struct sb_error error;
    struct sb_job_record job = job_of(id);
    struct sb_record_page page = {.job = job.key, .limit = 100, .oldest_first = true};
    bool has_more;
    sb_buffer_text(&text, "");
    must(sb_records_events(records, &page, note_event, &text, &has_more, &error), &error);
    ck_assert(!has_more);
    sb_job_record_clear(&job);
    return keep(sb_buffer_take(&text, NULL));
}

/* ---- the queue ---- */

static const char *next(enum sb_job_status status, int64_t *after)
{
    struct sb_job_record job;
    struct sb_error error;
    bool found;
    must(sb_records_next_job(records, status, *after, &job, &found, &error), &error);
    char *id = strdup(found ? job.id : "");
    *after = found ? job.key : *after;
    sb_job_record_clear(&job);
    return keep(id);
}

START_TEST(the_oldest_comes_first)
{
    int64_t after = 0, counts[SB_JOB_STATUSES];
    for (int i = 0; i < 4; i++)
        add((const char *const[]){"c", "a", "d", "b"}[i]);
    move("ftjob-d", 1u << SB_JOB_VALIDATING, SB_JOB_QUEUED, "queued"); /* in another order than they came */
    move("ftjob-c", 1u << SB_JOB_VALIDATING, SB_JOB_QUEUED, "queued");
    move("ftjob-b", 1u << SB_JOB_VALIDATING, SB_JOB_QUEUED, "queued");
    for (int round = 0; round < 2; round++, reopen(), after = 0) {
        ck_assert_str_eq(next(SB_JOB_QUEUED, &after), "ftjob-c");
        ck_assert_str_eq(next(SB_JOB_QUEUED, &after), "ftjob-d");
        ck_assert_str_eq(next(SB_JOB_QUEUED, &after), "ftjob-b");
        ck_assert_str_eq(next(SB_JOB_QUEUED, &after), "");
        after = 0;
        ck_assert_str_eq(next(SB_JOB_VALIDATING, &after), "ftjob-a");
        ck_assert_str_eq(next(SB_JOB_RUNNING, &after), "");
        must(sb_records_count_jobs(records, counts, NULL), NULL);
        ck_assert(counts[SB_JOB_QUEUED] == 3 && counts[SB_JOB_VALIDATING] == 1 && counts[SB_JOB_RUNNING] == 0);
    }
}
END_TEST

START_TEST(pages_go_from_new_to_old)
{
    struct sb_job_record *jobs;
    size_t count;
    bool has_more;
    for (int i = 0; i < 5; i++)
        add((const char *const[]){"0", "1", "2", "3", "4"}[i]);
    const char *after = NULL;
    for (int first = 4; first >= 0; first -= 2) {
        must(sb_records_jobs(records, after, 2, &jobs, &count, &has_more, NULL), NULL);
        ck_assert_uint_eq(count, first ? 2 : 1);
        ck_assert_int_eq(has_more, first > 1);
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_eq(jobs[i].id[6], '0' + first - (int)i);
            after = keep(strdup(jobs[i].id));
            sb_job_record_clear(&jobs[i]);
        }
        free(jobs);
    }
    struct sb_error error;
    ck_assert_int_eq(sb_records_jobs(records, "ftjob-x", 2, &jobs, &count, &has_more, &error), SB_NOT_FOUND);
    ck_assert(!jobs && count == 0);
}
END_TEST

/* ---- changes ---- */

START_TEST(a_change_wants_the_right_status)
{
    add("a");
    ck_assert(!move("ftjob-a", 1u << SB_JOB_QUEUED | 1u << SB_JOB_PAUSED, SB_JOB_RUNNING, "wrong"));
    ck_assert(!move("ftjob-none", ~0u, SB_JOB_RUNNING, "wrong"));
    ck_assert_int_eq(status_of("ftjob-a"), SB_JOB_VALIDATING);
    ck_assert_str_eq(events_of("ftjob-a"), "info: Created fine-tuning job|");
    ck_assert(move("ftjob-a", 1u << SB_JOB_VALIDATING, SB_JOB_QUEUED, "right"));
    ck_assert_str_eq(events_of("ftjob-a"), "info: Created fine-tuning job|info: right|");
}
END_TEST

START_TEST(a_failure_is_told_and_goes_with_a_resume)
{
    bool changed;
    struct sb_error error;
    struct sb_job_change failed = {.from = 1u << SB_JOB_VALIDATING,
                                   .to = SB_JOB_FAILED,
                                   .message = "it broke",
                                   .error_code = "training_failed",
                                   .error_message = "step 3",
                                   .error_param = "training_file",
                                   .trained_tokens = 50,
                                   .result_file = "file-r"};
    add("a");
    must(sb_records_change_job(records, "ftjob-a", &failed, &changed, &error), &error);
    ck_assert(changed);
    reopen();
    struct sb_job_record job = job_of("ftjob-a");
    ck_assert_str_eq(job.error_code, "training_failed");
    ck_assert_str_eq(job.error_message, "step 3");
    ck_assert_str_eq(job.error_param, "training_file");
    ck_assert_str_eq(job.result_file, "file-r");
    ck_assert(job.finished_at > 100 && job.trained_tokens == 50);
    sb_job_record_clear(&job);
    ck_assert_str_eq(events_of("ftjob-a"), "info: Created fine-tuning job|error: it broke|");
    ck_assert(move("ftjob-a", 1u << SB_JOB_FAILED, SB_JOB_QUEUED, "on"));
    job = job_of("ftjob-a");
    ck_assert(!job.error_code && !job.error_message && !job.error_param);
    ck_assert(job.finished_at == 0 && job.trained_tokens == 50); /* what was trained stays */
    ck_assert_str_eq(job.result_file, "file-r");
    sb_job_record_clear(&job);
}
END_TEST

enum { RACES = 60, RACERS = 4 };

/* Each takes every job to a status of its own. */
static void *race(void *wins)
{
    static const enum sb_job_status to[RACERS] = {SB_JOB_RUNNING, SB_JOB_CANCELLED, SB_JOB_PAUSED, SB_JOB_FAILED};
    static int racers;
    enum sb_job_status mine = to[__atomic_fetch_add(&racers, 1, __ATOMIC_RELAXED)];
    for (int i = 0; i < RACES; i++) {
        char id[SB_ID_SIZE];
        bool changed;
        struct sb_job_change change = {.from = 1u << SB_JOB_VALIDATING, .to = mine, .message = "mine"};
        snprintf(id, sizeof id, "ftjob-%d", i);
        if (sb_records_change_job(records, id, &change, &changed, NULL) == SB_OK && changed)
            ((int *)wins)[i]++;
    }
    return NULL;
}

START_TEST(one_of_several_changes_wins)
{
    int wins[RACERS][RACES] = {{0}};
    pthread_t threads[RACERS];
    for (int i = 0; i < RACES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        add(name);
    }
    for (int i = 0; i < RACERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, wins[i]), 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < RACES; i++) {
        char id[SB_ID_SIZE];
        int sum = 0;
        for (int k = 0; k < RACERS; k++)
            sum += wins[k][i];
        ck_assert_int_eq(sum, 1);
        snprintf(id, sizeof id, "ftjob-%d", i);
        ck_assert_ptr_nonnull(strstr(events_of(id), "mine|"));
        ck_assert_ptr_null(strstr(strstr(events_of(id), "mine|") + 1, "mine|"));
    }
}
END_TEST

START_TEST(a_full_disk_changes_nothing)
{
    struct rlimit none, limit;
    struct sb_error error;
    static char long_text[1 << 20];
    bool changed;
    memset(long_text, 'x', sizeof long_text - 1);
    add("a");
    struct sb_job_change failed = {.from = ~0u, .to = SB_JOB_FAILED, .message = long_text, .error_message = long_text};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &none), 0);
    limit = (struct rlimit){200 << 10, none.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum sb_status status = sb_records_change_job(records, "ftjob-a", &failed, &changed, &error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_int_eq(status, SB_IO);
    ck_assert(!changed);
    ck_assert_int_eq(status_of("ftjob-a"), SB_JOB_VALIDATING);
    ck_assert_str_eq(events_of("ftjob-a"), "info: Created fine-tuning job|");
    reopen();
    ck_assert_int_eq(status_of("ftjob-a"), SB_JOB_VALIDATING);
    ck_assert(move("ftjob-a", 1u << SB_JOB_VALIDATING, SB_JOB_QUEUED, "room again"));
}
END_TEST

/* ---- restarts ---- */

static void note_checkpoint(void *context, const struct sb_checkpoint_record *checkpoint)
{
    sb_buffer_format(context, "%d %s %s|", (int)checkpoint->step, checkpoint->path, checkpoint->metrics);
}

START_TEST(everything_is_there_after_a_restart)
{
    struct sb_error error;
    struct sb_buffer text = {0};
    bool has_more;
    add("a");
    struct sb_job_record job = job_of("ftjob-a");
    int64_t key = job.key;
    sb_job_record_clear(&job);
    static const struct sb_checkpoint_record checkpoints[] = {
        {.step = 2, .path = "p", .metrics = "{}"},
        {.step = 4, .path = "p", .metrics = "{}"},
        {.step = 6, .path = "p", .metrics = "{}"},
        {.step = 6, .path = "q", .metrics = "{\"a\":1}"}, /* it went on from step 4 and came to 6 once more */
    };
    for (int i = 0; i < 4; i++)
        must(sb_records_add_checkpoint(records, key, &checkpoints[i], &error), &error);
    must(sb_records_set_alias(records, "prod", "base", &error), &error);
    must(sb_records_set_alias(records, "prod", "ft:base:a", &error), &error);
    reopen();
    job = job_of("ftjob-a");
    ck_assert(job.key == key && job.status == SB_JOB_VALIDATING && job.created_at == 100 && job.seed == 7);
    ck_assert_str_eq(job.model, "base");
    ck_assert_str_eq(job.name, "ft:base:a");
    ck_assert_str_eq(job.training_file, "file-a");
    ck_assert_str_eq(job.validation_file, "");
    ck_assert_str_eq(job.method, "{\"type\":\"supervised\"}");
    ck_assert_str_eq(job.metadata, "{\"team\":\"a\"}");
    ck_assert_str_eq(job.recipe, "{\"steps\":2}");
    sb_job_record_clear(&job);
    struct sb_record_page page = {.job = key, .limit = 2};
    must(sb_records_checkpoints(records, &page, note_checkpoint, &text, &has_more, &error), &error);
    ck_assert_str_eq(text.data, "6 q {\"a\":1}|4 p {}|");
    ck_assert(has_more);
    sb_buffer_free(&text);
    struct sb_model_alias aliases[SB_ALIASES_MAX];
    size_t count;
    must(sb_records_aliases(records, aliases, &count, &error), &error);
    ck_assert(count == 1 && strcmp(aliases[0].model, "ft:base:a") == 0);
    must(sb_records_remove_alias(records, "prod", &error), &error);
    must(sb_records_aliases(records, aliases, &count, &error), &error);
    ck_assert_uint_eq(count, 0);
    add("b");
    job = job_of("ftjob-b");
    ck_assert_int_gt(job.key, key);
    sb_job_record_clear(&job);
}
END_TEST

static void add_file(const char *id, const char *stored)
{
    struct sb_error error;
    struct sb_file_record file = {.purpose = "fine-tune", .filename = "x.jsonl", .bytes = 3, .created_at = 5};
    snprintf(file.id, sizeof file.id, "%s", id);
    snprintf(file.stored, sizeof file.stored, "%s", stored);
    must(sb_records_add_file(records, &file, &error), &error);
}

static bool is_there(const char *name)
{
    return sb_file_exists(scratch(name));
}

START_TEST(a_restart_goes_on_and_cleans_up)
{
    struct sb_error error;
    static const struct {
        const char *name;
        enum sb_job_status status, after;
        bool keeps_model, keeps_checkpoint; /* in the job's folder */
    } jobs[] = {
        {"r", SB_JOB_RUNNING, SB_JOB_QUEUED, true, true},
        {"q", SB_JOB_QUEUED, SB_JOB_QUEUED, true, true},
        {"p", SB_JOB_PAUSED, SB_JOB_PAUSED, true, true},
        {"f", SB_JOB_FAILED, SB_JOB_FAILED, true, true},
        {"s", SB_JOB_SUCCEEDED, SB_JOB_SUCCEEDED, false, false},
        {"c", SB_JOB_CANCELLED, SB_JOB_CANCELLED, false, false},
        {"v", SB_JOB_VALIDATING, SB_JOB_VALIDATING, true, true},
    };
    enum { JOBS = sizeof jobs / sizeof *jobs };
    char path[2][80];
    for (int i = 0; i < JOBS; i++) {
        char id[SB_ID_SIZE];
        snprintf(id, sizeof id, "ftjob-%s", jobs[i].name);
        add(jobs[i].name);
        if (jobs[i].status != SB_JOB_VALIDATING)
            ck_assert(move(id, 1u << SB_JOB_VALIDATING, jobs[i].status, "there"));
        snprintf(path[0], sizeof path[0], "data/jobs/%s/model/config.json", id);
        snprintf(path[1], sizeof path[1], "data/jobs/%s/checkpoints/step-1.ckpt", id);
        scratch_text(path[0], "{}");
        scratch_text(path[1], "x");
    }
    scratch_text("data/jobs/ftjob-unknown/log.txt", "x");
    add_file("file-a", "file-a.jsonl");
    scratch_text("data/files/file-a.jsonl", "abc");
    scratch_text("data/files/file-b.jsonl", "never acknowledged");
    scratch_text("data/files/file-a.jsonl.1.0.tmp", "never acknowledged");
    reopen();
    must(sb_jobs_recover(scratch("data"), records, &error), &error);
    for (int i = 0; i < JOBS; i++) {
        char id[SB_ID_SIZE];
        snprintf(id, sizeof id, "ftjob-%s", jobs[i].name);
        snprintf(path[0], sizeof path[0], "data/jobs/%s/model/config.json", id);
        snprintf(path[1], sizeof path[1], "data/jobs/%s/checkpoints/step-1.ckpt", id);
        ck_assert_int_eq(status_of(id), jobs[i].after);
        ck_assert_msg(is_there(path[0]) == jobs[i].keeps_model, "%s", path[0]);
        ck_assert_msg(is_there(path[1]) == jobs[i].keeps_checkpoint, "%s", path[1]);
    }
    ck_assert_ptr_nonnull(strstr(events_of("ftjob-r"), "goes on from its last checkpoint"));
    ck_assert(sb_folder_exists(scratch("data/models"))); /* where the model of the success went */
    ck_assert(!sb_folder_exists(scratch("data/jobs/ftjob-unknown")) && !sb_folder_exists(scratch("data/jobs/ftjob-c")));
    ck_assert(is_there("data/files/file-a.jsonl") && !is_there("data/files/file-b.jsonl"));
    ck_assert(!is_there("data/files/file-a.jsonl.1.0.tmp"));
    const char *before = events_of("ftjob-r");
    must(sb_jobs_recover(scratch("data"), records, &error), &error); /* killed and started again at once */
    ck_assert_str_eq(events_of("ftjob-r"), before);
}
END_TEST

START_TEST(what_is_no_database_is_left_alone)
{
    struct sb_records *other;
    struct sb_error error;
    scratch_text("other.db", "this is a text that somebody has put here, longer than the head of a database: "
                             "0123456789012345678901234567890123456789012345678901234567890123456789");
    ck_assert_int_ne(sb_records_open(&other, scratch("other.db"), &error), SB_OK);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(error.message, "other.db"));
    ck_assert_ptr_nonnull(strstr(whole_file(scratch("other.db"), NULL), "somebody has put here"));
    sb_records_close(NULL);
}
END_TEST

/* ---- files ---- */

START_TEST(a_file_stays_while_a_job_needs_it)
{
    struct sb_error error;
    int64_t users;
    add_file("file-a", "file-a.jsonl");
    add("a");
    static const enum sb_job_status needs[] = {SB_JOB_VALIDATING, SB_JOB_QUEUED, SB_JOB_RUNNING, SB_JOB_PAUSED};
    for (int i = 0; i < 4; i++) {
        ck_assert(i == 0 || move("ftjob-a", 1u << needs[i - 1], needs[i], "on"));
        ck_assert_int_eq(sb_records_remove_file(records, "file-a", &error), SB_CONFLICT);
        must(sb_records_jobs_of_model(records, "base", &users, &error), &error);
        ck_assert_int_eq(users, 1);
    }
    ck_assert(move("ftjob-a", 1u << SB_JOB_PAUSED, SB_JOB_CANCELLED, "over"));
    must(sb_records_remove_file(records, "file-a", &error), &error);
    ck_assert_int_eq(sb_records_remove_file(records, "file-a", &error), SB_NOT_FOUND);
    must(sb_records_jobs_of_model(records, "base", &users, &error), &error);
    ck_assert_int_eq(users, 0);
}
END_TEST

START_TEST(ids_are_keys_and_back)
{
    char id[SB_ID_SIZE], other[SB_ID_SIZE];
    sb_records_key_id(id, "ftevent-", 161);
    ck_assert_str_eq(id, "ftevent-00000000000000a1");
    ck_assert_int_eq(sb_records_key_of(id, "ftevent-"), 161);
    static const char *const wrong[] = {
        "",
        "ftevent-",
        "ftevent-a1",
        "ftevent-00000000000000A1",
        "ftckpt-00000000000000a1",
        "ftevent-00000000000000a1x",
        "ftevent--0000000000000a1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(sb_records_key_of(wrong[i], "ftevent-"), 0);
    sb_records_new_id(id, "ftjob-");
    sb_records_new_id(other, "ftjob-");
    ck_assert_uint_eq(strlen(id), strlen("ftjob-") + 24);
    ck_assert_str_ne(id, other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/records");
    TCase *jobs = tcase_create("records");
    tcase_add_checked_fixture(jobs, open_records, close_records);
    tcase_set_timeout(jobs, 60);
    tcase_add_test(jobs, the_oldest_comes_first);
    tcase_add_test(jobs, pages_go_from_new_to_old);
    tcase_add_test(jobs, a_change_wants_the_right_status);
    tcase_add_test(jobs, a_failure_is_told_and_goes_with_a_resume);
    tcase_add_test(jobs, one_of_several_changes_wins);
    tcase_add_test(jobs, a_full_disk_changes_nothing);
    tcase_add_test(jobs, everything_is_there_after_a_restart);
    tcase_add_test(jobs, a_restart_goes_on_and_cleans_up);
    tcase_add_test(jobs, what_is_no_database_is_left_alone);
    tcase_add_test(jobs, a_file_stays_while_a_job_needs_it);
    tcase_add_test(jobs, ids_are_keys_and_back);
    suite_add_tcase(suite, jobs);
    return run_suite(suite);
}
