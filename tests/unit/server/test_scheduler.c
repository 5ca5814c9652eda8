#include "server/scheduler.h"

#include "base/cpu.h"
#include "tests/unit/support.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

static struct sb_model *model; /* tiny-bert: rows of up to 64 tokens */

static void open_model(void)
{
    ck_assert_int_eq(sb_model_open(&model, golden("models/tiny-bert"), NULL, NULL), SB_OK);
}

static void close_model(void)
{
    sb_model_release(model);
}

/* ---- a task that counts ---- */

/* Offers `rows` rows of `length` tokens, one after the other, each once the one before was computed when in_order. */
struct counting {
    struct sb_task task;
    size_t rows, length, offered, accepted;
    bool in_order, offers_nothing;
    int32_t id;   /* of every token */
    sem_t *gate;  /* not NULL: waits for it before each offer */
    sem_t *begun; /* not NULL: posted at each offer */
};

static const int32_t *row_of(int32_t id)
{
    static int32_t good[64], bad[64];
    for (size_t i = 0; i < 64 && id < 0; i++)
        bad[i] = id;
    return id < 0 ? bad : good;
}

static size_t counting_offer(struct sb_task *task, struct sb_task_batch *batch, size_t max_tokens)
{
    struct counting *c = (struct counting *)task;
    size_t added = 0;
    if (c->begun)
        sem_post(c->begun);
    if (c->gate)
        sem_wait(c->gate);
    if (c->offers_nothing)
        return 0;
    while (c->offered < c->rows && (!c->in_order || c->offered == c->accepted)) {
        struct sb_row row = {.ids = row_of(c->id), .length = c->length, .prefix = c->length};
        if (batch->count > 0 && added + c->length > max_tokens)
            break;
        if (!sb_task_batch_add(batch, &row, task, c->offered))
            break;
        c->offered++;
        added += c->length;
    }
    return added;
}

static void counting_accept(struct sb_task *task, uint64_t tag, const struct sb_row *row)
{
    struct counting *c = (struct counting *)task;
    ck_assert_uint_eq(tag, c->accepted);
    ck_assert_uint_eq(row->length, c->length);
    task->finished = ++c->accepted == c->rows;
}

static void counting_free(struct sb_task *task)
{
    (void)task; /* on the test's stack */
}

static const struct sb_task_class counting_class = {"counting", counting_offer, counting_accept, counting_free};

/* A job with its task, and what done() saw. */
struct unit {
    struct sb_job job;
    struct counting counting;
    struct unit *observed; /* whose progress is noted when this one is done */
    size_t observed_accepted;
    struct unit *follower; /* submitted by done() */
    struct sb_scheduler *scheduler;
    sem_t done;
};

static void on_done(struct sb_job *job, void *context)
{
    struct unit *u = context;
    ck_assert_ptr_eq(job, &u->job);
    ck_assert(job->task->finished);
    ck_assert_int_ge(job->finished_ns, job->submitted_ns);
    if (u->observed)
        u->observed_accepted = u->observed->counting.accepted;
    if (u->follower)
        ck_assert_int_eq(sb_scheduler_submit(u->scheduler, &u->follower->job, NULL), SB_OK);
    sem_post(&u->done);
}

static void unit_init(struct unit *u, size_t rows, size_t length)
{
    *u = (struct unit){.counting = {.task.class = &counting_class, .rows = rows, .length = length}};
    u->job = (struct sb_job){.model = model, .task = &u->counting.task, .done = on_done, .context = u};
    sem_init(&u->done, 0, 0);
}

static void submit(struct sb_scheduler *s, struct unit *u)
{
    ck_assert_int_eq(sb_scheduler_submit(s, &u->job, NULL), SB_OK);
}

static enum sb_status wait_for(struct unit *u)
{
    while (sem_wait(&u->done) != 0)
        continue;
    return u->counting.task.status;
}

static struct sb_scheduler *scheduler_of(int threads, size_t tokens, size_t rows, size_t max_queue)
{
    struct sb_scheduler *s;
    struct sb_scheduler_options o = sb_scheduler_defaults();
    o.threads = threads;
    o.max_batch_tokens = tokens;
    o.max_batch_rows = rows;
    o.max_queue = max_queue;
    ck_assert_int_eq(sb_scheduler_new(&s, &o, NULL), SB_OK);
    return s;
}

/* ---- results ---- */

START_TEST(vectors_do_not_depend_on_the_company)
{
    enum { JOBS = 24 };
    static struct unit units[JOBS];
    struct sb_model *models[2] = {model};
    struct sb_session *sessions[2];
    struct sb_scheduler *s = scheduler_of(2, 128, 128, 512);
    int32_t ids[JOBS][20];
    struct sb_task *alone[JOBS], *together[JOBS];
    ck_assert_int_eq(sb_model_open(&models[1], golden("models/tiny-factorised"), NULL, NULL), SB_OK);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(sb_session_new(&sessions[i], models[i], NULL, NULL), SB_OK);
    for (int i = 0; i < JOBS; i++) {
        for (int j = 0; j < 20; j++)
            ids[i][j] = (i * 31 + j * 7) % 200;
        struct sb_embed_input input = {ids[i], (size_t)(3 + i % 17)};
        ck_assert_int_eq(sb_embed_task_new(&alone[i], models[i % 2], &input, 1, NULL), SB_OK);
        ck_assert_int_eq(sb_task_run(alone[i], sessions[i % 2], NULL), SB_OK);
        ck_assert_int_eq(sb_embed_task_new(&together[i], models[i % 2], &input, 1, NULL), SB_OK);
        unit_init(&units[i], 0, 0);
        units[i].job.model = models[i % 2];
        units[i].job.task = together[i];
        submit(s, &units[i]);
    }
    for (int i = 0; i < JOBS; i++) {
        wait_for(&units[i]);
        ck_assert_int_eq(together[i]->status, SB_OK);
        ck_assert_mem_eq(sb_embed_task_vectors(alone[i]), sb_embed_task_vectors(together[i]),
                         (size_t)sb_model_dimensions(models[i % 2]) * sizeof(float));
        sb_task_free(alone[i]);
        sb_task_free(together[i]);
    }
    sb_scheduler_free(s);
    sb_session_free(sessions[0]);
    sb_session_free(sessions[1]);
    sb_model_release(models[1]);
}
END_TEST

/* ---- fairness ---- */

/* A job that holds the only worker until all others are in line. */
struct barrier {
    sem_t gate, begun;
    struct unit unit;
};

static void close_barrier(struct sb_scheduler *s, struct barrier *b)
{
    sem_init(&b->gate, 0, 0);
    sem_init(&b->begun, 0, 0);
    unit_init(&b->unit, 1, 4);
    b->unit.counting.gate = &b->gate;
    b->unit.counting.begun = &b->begun;
    submit(s, &b->unit);
    while (sem_wait(&b->begun) != 0)
        continue;
}

static void open_barrier(struct barrier *b)
{
    sem_post(&b->gate); /* a pass may offer twice: its share, then what is left */
    sem_post(&b->gate);
}

START_TEST(a_short_job_is_not_stuck_behind_long_ones)
{
    struct barrier barrier;
    struct unit long1, long2, brief;
    struct sb_scheduler *s = scheduler_of(1, 512, 128, 512);
    unit_init(&long1, 400, 16);
    unit_init(&long2, 400, 16);
    unit_init(&brief, 1, 16);
    brief.observed = &long1;
    close_barrier(s, &barrier);
    submit(s, &long1);
    submit(s, &long2);
    submit(s, &brief);
    open_barrier(&barrier);
    ck_assert_int_eq(wait_for(&brief), SB_OK);
    ck_assert_uint_lt(brief.observed_accepted, 512 / 16); /* it had a part in the very first pass */
    ck_assert_int_eq(wait_for(&long1), SB_OK);
    ck_assert_int_eq(wait_for(&long2), SB_OK);
    sb_scheduler_free(s);
}
END_TEST

START_TEST(equal_tasks_get_equal_shares)
{
    struct barrier barrier;
    struct unit a, b;
    struct sb_scheduler *s = scheduler_of(1, 256, 128, 512);
    unit_init(&a, 300, 8);
    unit_init(&b, 300, 8);
    a.observed = &b;
    b.observed = &a;
    close_barrier(s, &barrier);
    submit(s, &a);
    submit(s, &b);
    open_barrier(&barrier);
    wait_for(&a);
    wait_for(&b);
    ck_assert_uint_ge(a.observed_accepted, 300 - 256 / 8);
    ck_assert_uint_ge(b.observed_accepted, 300 - 256 / 8);
    sb_scheduler_free(s);
}
END_TEST

START_TEST(a_long_row_comes_to_its_turn_among_many_short_ones)
{
    enum { SHORT = 40 };
    static struct unit brief[SHORT];
    struct barrier barrier;
    struct unit large;
    struct sb_scheduler *s = scheduler_of(1, 64, 128, 512);
    close_barrier(s, &barrier);
    for (size_t i = 0; i < SHORT; i++) {
        unit_init(&brief[i], 200, 4);
        brief[i].counting.in_order = true;
        submit(s, &brief[i]);
    }
    unit_init(&large, 10, 64); /* each row fills a pass */
    large.observed = &brief[0];
    submit(s, &large);
    open_barrier(&barrier);
    ck_assert_int_eq(wait_for(&large), SB_OK);
    ck_assert_uint_lt(large.observed_accepted, 200); /* while the short ones were still at work */
    for (size_t i = 0; i < SHORT; i++)
        ck_assert_int_eq(wait_for(&brief[i]), SB_OK);
    sb_scheduler_free(s);
}
END_TEST

/* The largest pass seen. */
struct largest {
    _Atomic size_t rows, tokens;
};

static void note_pass(void *context, size_t rows, size_t tokens)
{
    struct largest *largest = context;
    if (rows > largest->rows)
        largest->rows = rows;
    if (tokens > largest->tokens)
        largest->tokens = tokens;
}

/* Runs ten tasks of 30 rows; returns the statistics. */
static struct sb_scheduler_stats run_ten(struct largest *largest, size_t max_tokens, size_t max_rows)
{
    struct unit units[10];
    struct sb_scheduler *s;
    struct sb_scheduler_options o = sb_scheduler_defaults();
    o.threads = 1;
    o.max_batch_tokens = max_tokens;
    o.max_batch_rows = max_rows;
    o.on_pass = note_pass;
    o.context = largest;
    ck_assert_int_eq(sb_scheduler_new(&s, &o, NULL), SB_OK);
    for (size_t i = 0; i < 10; i++) {
        unit_init(&units[i], 30, i < 5 ? 7 : 24);
        submit(s, &units[i]);
    }
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(wait_for(&units[i]), SB_OK);
    struct sb_scheduler_stats stats = sb_scheduler_stats(s);
    sb_scheduler_free(s);
    ck_assert_int_eq(stats.rows, 300);
    ck_assert_int_eq(stats.tokens, 150 * 7 + 150 * 24);
    ck_assert_uint_eq(stats.queued + stats.running, 0);
    return stats;
}

START_TEST(passes_keep_to_the_budget)
{
    struct largest few_tokens = {0}, few_rows = {0};
    run_ten(&few_tokens, 30, 9);
    ck_assert_uint_le(few_tokens.tokens, 30);
    ck_assert_uint_ge(few_tokens.tokens, 24);
    run_ten(&few_rows, 512, 3);
    ck_assert_uint_eq(few_rows.rows, 3);
}
END_TEST

/* Tasks that have had a pass share 48 tokens of each later one: what they need in all says how many passes that takes at least. Each
   may have had 32 tokens more, in its first. */
START_TEST(long_work_leaves_passes_short)
{
    struct largest largest = {0};
    struct sb_scheduler_stats stats = run_ten(&largest, 512, 128);
    ck_assert_int_ge(stats.passes, (stats.tokens - 10 * 32) / 48);
}
END_TEST

/* Tokens of each pass, in order. */
struct passes {
    size_t count, tokens[16];
};

static void list_pass(void *context, size_t rows, size_t tokens)
{
    struct passes *passes = context;
    (void)rows;
    if (passes->count < 16)
        passes->tokens[passes->count++] = tokens;
}

START_TEST(a_pass_with_a_new_job_is_shorter_still)
{
    enum { ROWS = 40 };
    struct passes passes = {0};
    struct unit running, brief;
    struct sb_scheduler *s;
    struct sb_scheduler_options o = sb_scheduler_defaults();
    sem_t gate, begun;
    o.threads = 1;
    o.on_pass = list_pass;
    o.context = &passes;
    ck_assert_int_eq(sb_scheduler_new(&s, &o, NULL), SB_OK);
    sem_init(&gate, 0, 1);
    sem_init(&begun, 0, 0);
    unit_init(&running, ROWS, 8);
    unit_init(&brief, 1, 16);
    running.counting.gate = &gate;
    running.counting.begun = &begun;
    submit(s, &running);
    for (int offers = 0; offers < 2; offers++)
        while (sem_wait(&begun) != 0)
            continue;
    submit(s, &brief); /* the second pass is being gathered */
    for (int i = 0; i < ROWS; i++)
        sem_post(&gate);
    ck_assert_int_eq(wait_for(&brief), SB_OK);
    ck_assert_int_eq(wait_for(&running), SB_OK);
    sb_scheduler_free(s);
    ck_assert_uint_eq(passes.tokens[0], 32);
    ck_assert_uint_eq(passes.tokens[1], 48);
    ck_assert_uint_eq(passes.tokens[2], 24 + 16);
    ck_assert_uint_eq(passes.tokens[3], 48);
}
END_TEST

START_TEST(long_rows_go_on_however_many_sentences_come)
{
    enum { SENTENCES = 200 };
    static struct unit brief[SENTENCES];
    struct barrier barrier;
    struct unit large[2];
    struct sb_scheduler *s = scheduler_of(1, 512, 128, 512);
    close_barrier(s, &barrier);
    for (size_t i = 0; i < SENTENCES; i++) { /* when one ends the next comes, so that each pass has a new job */
        unit_init(&brief[i], 1, 8);
        brief[i].scheduler = s;
        brief[i].follower = i + 1 < SENTENCES ? &brief[i + 1] : NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        unit_init(&large[i], 20, 64); /* a row is more than the share beside new jobs */
        large[i].observed = &brief[SENTENCES - 1];
        submit(s, &large[i]);
    }
    submit(s, &brief[0]);
    open_barrier(&barrier);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(wait_for(&large[i]), SB_OK);
        ck_assert_uint_eq(large[i].observed_accepted, 0);
    }
    for (size_t i = 0; i < SENTENCES; i++)
        ck_assert_int_eq(wait_for(&brief[i]), SB_OK);
    sb_scheduler_free(s);
}
END_TEST

/* ---- limits and failures ---- */

START_TEST(a_full_queue_refuses_but_not_what_continues)
{
    struct barrier barrier;
    struct unit waiting[2], refused, more;
    struct sb_error error;
    struct sb_scheduler *s = scheduler_of(1, 64, 16, 2);
    close_barrier(s, &barrier);
    for (size_t i = 0; i < 2; i++) {
        unit_init(&waiting[i], 1, 4);
        submit(s, &waiting[i]);
    }
    unit_init(&refused, 1, 4);
    ck_assert_int_eq(sb_scheduler_submit(s, &refused.job, &error), SB_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(error.message, "full"));
    unit_init(&more, 1, 4);
    more.job.continues = true;
    submit(s, &more);
    ck_assert_uint_eq(sb_scheduler_stats(s).queued, 3);
    ck_assert_uint_eq(sb_scheduler_stats(s).running, 1);
    open_barrier(&barrier);
    ck_assert_int_eq(wait_for(&waiting[1]), SB_OK);
    ck_assert_int_eq(wait_for(&more), SB_OK);
    submit(s, &refused); /* there is room again */
    ck_assert_int_eq(wait_for(&refused), SB_OK);
    sb_scheduler_free(s);
}
END_TEST

START_TEST(past_its_deadline_a_job_computes_nothing)
{
    struct unit late, running;
    struct sb_scheduler *s = scheduler_of(1, 64, 16, 512);
    unit_init(&late, 1, 4);
    late.job.deadline_ns = sb_now_ns() - 1;
    submit(s, &late);
    ck_assert_int_eq(wait_for(&late), SB_DEADLINE);
    ck_assert_uint_eq(late.counting.offered, 0);
    unit_init(&running, 1000000, 8); /* longer than the test may take */
    running.job.deadline_ns = sb_now_ns() + 20000000;
    submit(s, &running);
    ck_assert_int_eq(wait_for(&running), SB_DEADLINE);
    ck_assert_uint_gt(running.counting.accepted, 0);
    ck_assert_int_ge(running.job.finished_ns, running.job.deadline_ns);
    ck_assert_int_eq(sb_scheduler_stats(s).expired, 2);
    sb_scheduler_free(s);
}
END_TEST

START_TEST(a_cancelled_job_ends)
{
    _Atomic int cancelled = 0;
    sem_t begun;
    struct unit u;
    struct sb_scheduler *s = scheduler_of(1, 64, 16, 512);
    sem_init(&begun, 0, 0);
    unit_init(&u, 1000000, 8);
    u.job.cancelled = &cancelled;
    u.counting.begun = &begun;
    submit(s, &u);
    sem_wait(&begun);
    atomic_store(&cancelled, 1);
    ck_assert_int_eq(wait_for(&u), SB_CANCELLED);
    ck_assert_uint_lt(u.counting.accepted, 1000000);
    ck_assert_int_eq(sb_scheduler_stats(s).cancelled, 1);
    sb_scheduler_free(s);
}
END_TEST

START_TEST(a_failed_pass_fails_its_tasks_and_nothing_else)
{
    struct unit bad, stuck, good;
    struct sb_scheduler *s = scheduler_of(1, 64, 16, 512);
    unit_init(&bad, 2, 8);
    bad.counting.id = -1;
    submit(s, &bad);
    ck_assert_int_eq(wait_for(&bad), SB_INVALID);
    unit_init(&stuck, 1, 8);
    stuck.counting.offers_nothing = true;
    submit(s, &stuck);
    ck_assert_int_eq(wait_for(&stuck), SB_LIMIT);
    unit_init(&good, 2, 8);
    submit(s, &good);
    ck_assert_int_eq(wait_for(&good), SB_OK);
    sb_scheduler_free(s);
}
END_TEST

START_TEST(options_are_checked)
{
    struct sb_scheduler *s;
    struct sb_error error;
    struct sb_scheduler_options bad[3] = {sb_scheduler_defaults(), sb_scheduler_defaults(), sb_scheduler_defaults()};
    bad[0].threads = -1;
    bad[1].max_batch_tokens = 0;
    bad[2].max_batch_rows = 0;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(sb_scheduler_new(&s, &bad[i], &error), SB_INVALID);
        ck_assert_ptr_null(s);
    }
    sb_scheduler_free(NULL);
}
END_TEST

/* ---- threads ---- */

START_TEST(free_waits_for_what_was_submitted)
{
    enum { JOBS = 30 };
    static struct unit units[JOBS], followers[JOBS];
    struct sb_scheduler *s = scheduler_of(3, 64, 16, 512);
    for (size_t i = 0; i < JOBS; i++) {
        unit_init(&followers[i], 3, 5);
        followers[i].job.continues = true;
        unit_init(&units[i], 3, 5);
        units[i].scheduler = s;
        units[i].follower = &followers[i];
        submit(s, &units[i]);
    }
    sb_scheduler_free(s);
    for (size_t i = 0; i < JOBS; i++) {
        ck_assert_int_eq(sem_trywait(&units[i].done), 0);
        ck_assert_int_eq(sem_trywait(&followers[i].done), 0);
        ck_assert_uint_eq(followers[i].counting.accepted, 3);
    }
}
END_TEST

static void *submit_many(void *argument)
{
    struct sb_scheduler *s = argument;
    for (int round = 0; round < 20; round++) {
        struct unit units[4];
        _Atomic int cancelled = 0;
        for (size_t i = 0; i < 4; i++) {
            unit_init(&units[i], 1 + i, 3 + i);
            units[i].job.cancelled = &cancelled;
            submit(s, &units[i]);
        }
        if (round % 5 == 4)
            atomic_store(&cancelled, 1);
        for (size_t i = 0; i < 4; i++) {
            enum sb_status status = wait_for(&units[i]);
            ck_assert(status == SB_OK || (round % 5 == 4 && status == SB_CANCELLED));
        }
    }
    return NULL;
}

START_TEST(many_threads_submit)
{
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    struct sb_scheduler *s = scheduler_of(3, 64, 16, 512);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_many, s), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct sb_scheduler_stats stats = sb_scheduler_stats(s);
    ck_assert_uint_eq(stats.queued + stats.running, 0);
    sb_scheduler_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/scheduler");
    TCase *tests = tcase_create("scheduler");
    tcase_add_checked_fixture(tests, open_model, close_model);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, vectors_do_not_depend_on_the_company);
    tcase_add_test(tests, a_short_job_is_not_stuck_behind_long_ones);
    tcase_add_test(tests, equal_tasks_get_equal_shares);
    tcase_add_test(tests, a_long_row_comes_to_its_turn_among_many_short_ones);
    tcase_add_test(tests, passes_keep_to_the_budget);
    tcase_add_test(tests, long_work_leaves_passes_short);
    tcase_add_test(tests, a_pass_with_a_new_job_is_shorter_still);
    tcase_add_test(tests, long_rows_go_on_however_many_sentences_come);
    tcase_add_test(tests, a_full_queue_refuses_but_not_what_continues);
    tcase_add_test(tests, past_its_deadline_a_job_computes_nothing);
    tcase_add_test(tests, a_cancelled_job_ends);
    tcase_add_test(tests, a_failed_pass_fails_its_tasks_and_nothing_else);
    tcase_add_test(tests, options_are_checked);
    tcase_add_test(tests, free_waits_for_what_was_submitted);
    tcase_add_test(tests, many_threads_submit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
