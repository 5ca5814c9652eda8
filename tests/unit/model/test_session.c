/*
 * What a session promises besides the right numbers: rows do not see each other, bitwise; a cached step equals the whole row, bitwise;
 * nothing is allocated while computing; what does not fit is refused with a name.
 */
#include "model/session.h"
#include "base/random.h"
#include "model/task.h"
#include "tests/unit/model/count_allocations.h"
#include "tests/unit/model/families.h"
#include "tests/unit/support.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LENGTH = 64 };

static struct sb_model *open_model(const char *dir)
{
    struct sb_model *model;
    struct sb_error error;
    enum sb_status status = sb_model_open(&model, dir, NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return model;
}

static struct sb_session *new_session(struct sb_model *model, size_t max_tokens)
{
    struct sb_session *session;
    struct sb_session_options options = {.max_tokens = max_tokens, .max_rows = 64, .max_logits = 64};
    ck_assert_int_eq(sb_session_new(&session, model, &options, NULL), SB_OK);
    return session;
}

/* A row of `length` random ids of the model's vocabulary. */
static void random_ids(int32_t *ids, size_t length, uint64_t stream, const struct sb_model *model)
{
    for (size_t i = 0; i < length; i++)
        ids[i] = (int32_t)(sb_random_uniform(11, stream, i) * sb_model_config(model)->vocab_size);
}

struct sample {
    int32_t ids[MAX_LENGTH];
    uint8_t segments[MAX_LENGTH];
    struct sb_row row;
    float *vector, *logits;
};

/* Rows of many lengths and prefixes, each computed alone first. */
static void make_sample(struct sample *s, int index, struct sb_session *session)
{
    struct sb_model *model = sb_session_model(session);
    size_t longest = sb_model_max_length(model) < 40 ? (size_t)sb_model_max_length(model) : 40;
    size_t length = 1 + (size_t)(sb_random_uniform(3, 1, (uint64_t)index) * (double)longest),
           v = (size_t)sb_model_config(model)->vocab_size;
    size_t dimensions = (size_t)sb_model_dimensions(model);
    random_ids(s->ids, length, 100 + (uint64_t)index, model);
    size_t prefix = index % 3 == 0 ? length : index % 3 == 1 ? length / 2 : 0;
    for (size_t i = 0; i < length; i++)
        s->segments[i] = i >= prefix && index % 2;
    s->row = (struct sb_row){.ids = s->ids,
                             .segments = s->segments,
                             .length = length,
                             .prefix = prefix,
                             .want = SB_WANT_VECTOR | SB_WANT_LOGITS};
    ck_assert_int_eq(sb_session_forward(session, &s->row, 1, NULL), SB_OK);
    s->vector = malloc(dimensions * sizeof(float));
    s->logits = malloc(v * sizeof(float));
    memcpy(s->vector, s->row.vector, dimensions * sizeof(float));
    memcpy(s->logits, s->row.logits, v * sizeof(float));
}

static void check_sample(const struct sample *s, const struct sb_row *row, const struct sb_model *model,
                         const char *where)
{
    ck_assert_msg(memcmp(s->vector, row->vector, (size_t)sb_model_dimensions(model) * sizeof(float)) == 0,
                  "vector differs %s", where);
    ck_assert_msg(memcmp(s->logits, row->logits, (size_t)sb_model_config(model)->vocab_size * sizeof(float)) == 0,
                  "logits differ %s", where);
}

static const char *family_or_real(int i)
{
    return i == FAMILIES ? "models/simbert-small-zh" : family_dir(i);
}

static void check_independence(const char *dir)
{
    enum { SAMPLES = 24 };
    struct sb_model *model = open_model(dir);
    struct sb_session *session = new_session(model, 1024), *small = new_session(model, 96);
    static struct sample samples[SAMPLES];
    struct sb_row rows[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        make_sample(&samples[i], i, session);
    for (int rotation = 0; rotation < SAMPLES; rotation += 7) {
        for (int i = 0; i < SAMPLES; i++)
            rows[i] = samples[(i + rotation) % SAMPLES].row;
        ck_assert_int_eq(sb_session_forward(session, rows, SAMPLES, NULL), SB_OK);
        for (int i = 0; i < SAMPLES; i++)
            check_sample(&samples[(i + rotation) % SAMPLES], &rows[i], model, "in a batch");
    }
    for (int i = 0; i + 1 < SAMPLES; i += 2) {
        rows[0] = samples[i + 1].row;
        rows[1] = samples[i].row;
        ck_assert_int_eq(sb_session_forward(small, rows, 2, NULL), SB_OK);
        check_sample(&samples[i], &rows[1], model, "in a smaller session");
    }
    for (int i = 0; i < SAMPLES; i++)
        free(samples[i].vector), free(samples[i].logits);
    sb_session_free(session), sb_session_free(small);
    sb_model_release(model);
}

START_TEST(a_row_does_not_see_the_rows_beside_it)
{
    check_independence(family_or_real(_i));
}
END_TEST

struct thread_work {
    struct sb_model *model;
    float vector[64];
    int32_t ids[20];
};

static void *embed_on_thread(void *context)
{
    struct thread_work *w = context;
    struct sb_session *session = new_session(w->model, 64);
    struct sb_row row = {.ids = w->ids, .length = 20, .prefix = 20, .want = SB_WANT_VECTOR};
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
    memcpy(w->vector, row.vector, (size_t)sb_model_dimensions(w->model) * sizeof(float));
    sb_session_free(session);
    return NULL;
}

START_TEST(threads_with_one_model_agree)
{
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct thread_work work[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        work[i].model = model;
        random_ids(work[i].ids, 20, 5, model);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, embed_on_thread, &work[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(memcmp(work[i].vector, work[0].vector, (size_t)sb_model_dimensions(model) * sizeof(float)) == 0);
    }
    sb_model_release(model);
}
END_TEST

/* Two hypotheses that share a source and a first token, then part: every step's logits against the whole row computed anew. */
static void check_cache(const char *dir)
{
    enum { SOURCE = 13, STEPS = 9, SLOTS = 2 * STEPS };
    struct sb_model *model = open_model(dir);
    struct sb_session *session = new_session(model, 256);
    size_t v = (size_t)sb_model_config(model)->vocab_size;
    struct sb_kv_cache *cache;
    ck_assert_int_eq(sb_kv_cache_new(&cache, model, SOURCE, SLOTS, NULL), SB_OK);
    int32_t ids[2][SOURCE + STEPS];
    uint8_t segments[SOURCE + STEPS], target = 1;
    random_ids(ids[0], SOURCE + STEPS, 1, model);
    random_ids(ids[1], SOURCE + STEPS, 2, model);
    memcpy(ids[1], ids[0], (SOURCE + 1) * sizeof **ids);
    for (int i = 0; i < SOURCE + STEPS; i++)
        segments[i] = i >= SOURCE;

    struct sb_row prefill = {.ids = ids[0],
                             .segments = segments,
                             .length = SOURCE,
                             .prefix = SOURCE,
                             .cache = cache,
                             .want = SB_WANT_LOGITS};
    ck_assert_int_eq(sb_session_forward(session, &prefill, 1, NULL), SB_OK);
    int32_t paths[2][STEPS];
    for (int t = 0; t < STEPS; t++) {
        struct sb_row steps[2], whole[2];
        int live = t == 0 ? 1 : 2;
        for (int h = 0; h < live; h++)
            steps[h] = (struct sb_row){.ids = &ids[h][SOURCE + t],
                                       .segments = &target,
                                       .length = 1,
                                       .want = SB_WANT_LOGITS,
                                       .cache = cache,
                                       .is_step = true,
                                       .position = (size_t)(SOURCE + t),
                                       .path = paths[h],
                                       .path_length = (size_t)t,
                                       .slot = 2 * t + h};
        ck_assert_int_eq(sb_session_forward(session, steps, (size_t)live, NULL), SB_OK);
        float *cached[2] = {malloc(v * sizeof(float)), malloc(v * sizeof(float))};
        for (int h = 0; h < live; h++)
            memcpy(cached[h], steps[h].logits, v * sizeof(float));
        for (int h = 0; h < 2; h++) {
            paths[h][t] = live == 1 ? 0 : 2 * t + h;
            whole[h] = (struct sb_row){.ids = ids[h],
                                       .segments = segments,
                                       .length = (size_t)(SOURCE + t + 1),
                                       .prefix = SOURCE,
                                       .want = SB_WANT_LOGITS};
        }
        ck_assert_int_eq(sb_session_forward(session, whole, (size_t)live, NULL), SB_OK);
        for (int h = 0; h < live; h++) {
            ck_assert_msg(memcmp(cached[h], whole[h].logits, v * sizeof(float)) == 0,
                          "%s, step %d: not the whole row's logits", dir, t);
        }
        free(cached[0]), free(cached[1]);
    }
    sb_kv_cache_free(cache);
    sb_session_free(session);
    sb_model_release(model);
}

START_TEST(cached_steps_equal_whole_rows)
{
    check_cache(family_or_real(_i));
}
END_TEST

START_TEST(nothing_is_allocated_while_computing)
{
    struct sb_model *model = open_model(family_dir(_i));
    struct sb_session *session = new_session(model, 256);
    struct sb_task_batch *batch;
    ck_assert_int_eq(sb_task_batch_new(&batch, session, NULL), SB_OK);
    struct sb_kv_cache *cache;
    ck_assert_int_eq(sb_kv_cache_new(&cache, model, 16, 4, NULL), SB_OK);
    int32_t ids[16];
    random_ids(ids, 16, 1, model);
    struct sb_row rows[] = {
        {.ids = ids, .length = 16, .prefix = 16, .want = SB_WANT_VECTOR, .cache = cache},
        {.ids = ids, .length = 9, .prefix = 4, .want = SB_WANT_ALL_LOGITS | SB_WANT_HIDDEN},
        {.ids = ids, .length = 1, .is_step = true, .position = 16, .cache = cache, .want = SB_WANT_LOGITS}};
    ck_assert(allocations_are_counted());
    allocations_begin();
    enum sb_status status = sb_session_forward(session, rows, 3, NULL);
    int allocations = allocations_end();
    ck_assert_int_eq(status, SB_OK);
    ck_assert_int_eq(allocations, 0);
    sb_kv_cache_free(cache);
    sb_task_batch_free(batch);
    sb_session_free(session);
    sb_model_release(model);
}
END_TEST

static void expect(struct sb_session *session, struct sb_row row, enum sb_status status, const char *says)
{
    struct sb_error error = {0};
    ck_assert_int_eq(sb_session_forward(session, &row, 1, &error), status);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
}

START_TEST(what_does_not_fit_is_refused)
{
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct sb_session *session = new_session(model, 64);
    struct sb_kv_cache *cache;
    ck_assert_int_eq(sb_kv_cache_new(&cache, model, 4, 2, NULL), SB_OK);
    int32_t ids[70] = {0}, bad[] = {1, 200}, negative[] = {-1}, slot = 2;
    uint8_t segments[] = {0, 2};
    struct sb_row rows[3] = {{.ids = ids, .length = 30}, {.ids = ids, .length = 30}, {.ids = ids, .length = 5}};
    expect(session, (struct sb_row){.ids = ids, .length = 0}, SB_INVALID, "0 tokens");
    expect(session, (struct sb_row){.ids = ids, .length = 65}, SB_INVALID, "65 tokens; the model takes 1 to 64");
    expect(session, (struct sb_row){.ids = ids, .length = 3, .prefix = 4}, SB_INVALID, "prefix 4");
    expect(session, (struct sb_row){.ids = bad, .length = 2}, SB_INVALID, "token id 200 at 1");
    expect(session, (struct sb_row){.ids = negative, .length = 1}, SB_INVALID, "token id -1");
    expect(session, (struct sb_row){.ids = ids, .segments = segments, .length = 2}, SB_INVALID, "segment 2 at 1");
    expect(session, (struct sb_row){.ids = ids, .length = 5, .cache = cache}, SB_INVALID, "its cache holds 4");
    expect(session, (struct sb_row){.ids = ids, .length = 1, .is_step = true, .cache = cache, .slot = 2}, SB_INVALID,
           "slot");
    expect(session,
           (struct sb_row){.ids = ids, .length = 1, .is_step = true, .cache = cache, .path = &slot, .path_length = 1},
           SB_INVALID, "slot");
    expect(session, (struct sb_row){.ids = ids, .length = 1, .is_step = true, .cache = cache, .position = 64},
           SB_INVALID, "position");
    expect(session, (struct sb_row){.ids = ids, .length = 1, .is_step = true}, SB_INVALID, "cache");
    struct sb_error error;
    ck_assert_int_eq(sb_session_forward(session, rows, 3, &error), SB_LIMIT);
    ck_assert_int_eq(sb_session_forward(session, rows, 65, &error), SB_LIMIT);
    sb_kv_cache_free(cache);
    sb_session_free(session);
    sb_model_release(model);
}
END_TEST

/* The task gives each text its own vector, whatever the batches were. */
START_TEST(an_embed_task_returns_vectors_in_order)
{
    enum { TEXTS = 150 };
    struct sb_model *model = open_model(golden("models/tiny-bert"));
    struct sb_session *session = new_session(model, 64);
    static int32_t ids[TEXTS][30];
    struct sb_embed_input inputs[TEXTS];
    for (int i = 0; i < TEXTS; i++) {
        inputs[i] = (struct sb_embed_input){ids[i], 1 + (size_t)i % 30};
        random_ids(ids[i], inputs[i].length, (uint64_t)i, model);
    }
    struct sb_task *task;
    ck_assert_int_eq(sb_embed_task_new(&task, model, inputs, TEXTS, NULL), SB_OK);
    ck_assert_int_eq(sb_task_run(task, session, NULL), SB_OK);
    size_t dimensions = (size_t)sb_model_dimensions(model);
    for (int i = 0; i < TEXTS; i++) {
        struct sb_row row = {
            .ids = ids[i], .length = inputs[i].length, .prefix = inputs[i].length, .want = SB_WANT_VECTOR};
        ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
        ck_assert(
            memcmp(row.vector, sb_embed_task_vectors(task) + (size_t)i * dimensions, dimensions * sizeof(float)) == 0);
        double norm = 0;
        for (size_t d = 0; d < dimensions; d++)
            norm += (double)row.pooled[d] * row.pooled[d];
        ck_assert_double_eq_tol(sb_embed_task_norms(task)[i], sqrt(norm), 1e-5 * sqrt(norm));
    }
    sb_task_free(task);
    ids[3][0] = 200;
    struct sb_error error;
    ck_assert_int_eq(sb_embed_task_new(&task, model, inputs, TEXTS, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "input 3: token id 200"));
    sb_session_free(session);
    sb_model_release(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, a_row_does_not_see_the_rows_beside_it, 0, FAMILIES + 1);
    tcase_add_test(tests, threads_with_one_model_agree);
    tcase_add_loop_test(tests, cached_steps_equal_whole_rows, 0, FAMILIES + 1);
    tcase_add_loop_test(tests, nothing_is_allocated_while_computing, 0, FAMILIES);
    tcase_add_test(tests, what_does_not_fit_is_refused);
    tcase_add_test(tests, an_embed_task_returns_vectors_in_order);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
