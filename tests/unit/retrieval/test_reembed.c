/*
 * A collection changes its model: old vectors answer until all are new, changes in between are not lost, and a process that
 * was killed goes on.
 */
#include "retrieval/reembed.h"

#include "tests/unit/retrieval/fixture.h"

#include <sqlite3.h>

enum { SENTENCES = 100, NEW_DIMENSIONS = 5, STEP = 8 };
static const char new_hash[] = "ffeeddccbbaa99887766554433221100";

static const char *number_id(int number)
{
    char id[16];
    snprintf(id, sizeof id, "%d", number);
    return keep(strdup(id));
}

static struct sb_store *open_filled(const char *name)
{
    struct sb_store *store = open_with(name, "faq");
    struct sb_sentence all[SENTENCES];
    for (int i = 0; i < SENTENCES; i++)
        all[i] = sentence(number_id(i), number_id(i), (uint64_t)i);
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, all, SENTENCES, NULL, NULL, NULL), SB_OK);
    return store;
}

/* The "new model": a vector that says which text it is of. */
static void new_vector(float *vector, const char *text)
{
    unsigned long number = strtoul(text, NULL, 10);
    for (size_t d = 0; d < NEW_DIMENSIONS; d++)
        vector[d] = (float)sb_random_normal(77, number, d);
}

struct model {
    struct sb_store *store;
    int calls;
    int fails_at;   /* the number of the call that fails, -1: none */
    int changes_at; /* the number of the call during which the collection changes, -1: none */
};

static enum sb_status embed(void *context, const struct sb_sentence *sentences, size_t n, float *vectors,
                            struct sb_error *error)
{
    struct model *model = context;
    int call = model->calls++;
    ck_assert_uint_le(n, STEP);
    if (call == model->fails_at)
        return sb_fail(error, SB_INTERNAL, "the model is out");
    for (size_t i = 0; i < n; i++)
        new_vector(vectors + i * NEW_DIMENSIONS, sentences[i].text);
    if (call == model->changes_at) {
        /* one of those that are just being embedded, one that is done, a new one, and one that goes */
        const char *const gone[] = {sentences[1].id};
        ck_assert_int_eq(put(model->store, "faq", sentence(sentences[0].id, "1000", 1), NULL), SB_OK);
        ck_assert_int_eq(put(model->store, "faq", sentence("0", "1001", 2), NULL), SB_OK);
        ck_assert_int_eq(put(model->store, "faq", sentence("new", "1002", 3), NULL), SB_OK);
        ck_assert_int_eq(sb_store_delete(model->store, "faq", gone, 1, NULL, NULL), SB_OK);
    }
    return SB_OK;
}

static enum sb_reembed_state state_of(struct sb_store *store)
{
    struct sb_reembed_progress progress;
    ck_assert_int_eq(sb_reembed_progress(store, "faq", &progress, NULL), SB_OK);
    ck_assert_int_le(progress.done, progress.total);
    return progress.state;
}

static void begin(struct sb_store *store)
{
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "larger", new_hash, NEW_DIMENSIONS, NULL), SB_OK);
}

/* Steps until the state is no longer this one. */
static void go_on(struct sb_store *store, enum sb_reembed_state until, struct model *model)
{
    enum sb_reembed_state state = state_of(store);
    for (int i = 0; i < 1000 && state == until; i++)
        ck_assert_int_eq(sb_reembed_step(store, "faq", STEP, embed, model, &state, NULL), SB_OK);
    ck_assert_int_ne(state, until);
}

static void check_old(struct sb_store *store)
{
    struct sb_collection_info info;
    struct sb_sentences out;
    ck_assert_int_eq(sb_store_describe(store, "faq", &info, NULL), SB_OK);
    ck_assert_str_eq(info.model_hash, hash);
    ck_assert_int_eq(sb_store_get(store, "faq", "5", &out, NULL), SB_OK);
    ck_assert(memcmp(out.items[0].vector, vector_of(5), DIMENSIONS * sizeof(float)) == 0);
    sb_sentences_free(&out);
    struct sb_search search = {
        .vectors = vector_of(7), .queries = 1, .top_k = 1, .min_score = -100, .model_hash = hash};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "faq", &search, &results, NULL), SB_OK);
    ck_assert_uint_eq(results.ends[0], 1);
    sb_search_results_free(&results);
}

/* Every sentence has the vector that the new model makes of its text. */
static bool check_new_vector(void *context, const struct sb_sentence *s, size_t dimensions)
{
    ck_assert_uint_eq(dimensions, NEW_DIMENSIONS);
    float expected[NEW_DIMENSIONS];
    new_vector(expected, s->text);
    ck_assert(memcmp(s->vector, expected, sizeof expected) == 0);
    ++*(int *)context;
    return true;
}

static void check_new(struct sb_store *store, int count)
{
    struct sb_collection_info info;
    struct sb_error error = {0};
    int seen = 0;
    ck_assert_int_eq(sb_store_describe(store, "faq", &info, NULL), SB_OK);
    ck_assert_str_eq(info.model_hash, new_hash);
    ck_assert_str_eq(info.model_name, "larger");
    ck_assert_int_eq(info.dimensions, NEW_DIMENSIONS);
    ck_assert_int_eq(info.count, count);
    ck_assert_int_eq(sb_store_visit(store, "faq", check_new_vector, &seen, NULL), SB_OK);
    ck_assert_int_eq(seen, count);
    struct sb_search search = {
        .vectors = vector_of(7), .queries = 1, .top_k = 1, .min_score = -100, .model_hash = hash};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "faq", &search, &results, &error), SB_CONFLICT); /* of the old model */
    ck_assert_int_eq(put(store, "faq", sentence("x", "x", 1), &error), SB_CONFLICT);
}

START_TEST(a_collection_changes_its_model)
{
    struct sb_store *store = open_filled("a.db");
    struct model model = {store, 0, -1, 3};
    struct sb_error error = {0};
    ck_assert_int_eq(state_of(store), SB_REEMBED_NONE);
    begin(store);
    begin(store); /* again: nothing new */
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "third", "33", 3, &error), SB_CONFLICT);
    enum sb_reembed_state state;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(sb_reembed_step(store, "faq", STEP, embed, &model, &state, NULL), SB_OK);
        ck_assert_int_eq(state, SB_REEMBED_RUNNING);
        check_old(store);
    }
    go_on(store, SB_REEMBED_RUNNING, &model);
    check_new(store, SENTENCES);
    go_on(store, SB_REEMBED_CLEANING, &model);
    ck_assert_int_eq(state_of(store), SB_REEMBED_NONE);
    sb_store_close(store);
    store = open_store("a.db");
    check_new(store, SENTENCES);
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "larger", new_hash, NEW_DIMENSIONS, &error), SB_CONFLICT);
    sb_store_close(store);
}
END_TEST

static int64_t ask_file(const char *name, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_open(scratch(name), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

/* Closed and opened between any two steps; there and back again, so that both columns are used. */
START_TEST(it_goes_on_after_reopening)
{
    sb_store_close(open_filled("a.db"));
    for (int way = 0; way < 2; way++) {
        enum sb_reembed_state state = SB_REEMBED_RUNNING;
        int steps = 0, calls = 0;
        struct sb_store *store = open_store("a.db");
        if (way == 0)
            begin(store);
        else
            ck_assert_int_eq(sb_reembed_begin(store, "faq", "third", "33", NEW_DIMENSIONS, NULL), SB_OK);
        while (state != SB_REEMBED_NONE) {
            struct model model = {store, 0, -1, -1};
            ck_assert_int_lt(++steps, 500);
            ck_assert_int_eq(sb_reembed_step(store, "faq", STEP, embed, &model, &state, NULL), SB_OK);
            calls += model.calls;
            sb_store_close(store);
            store = open_store("a.db");
            ck_assert_int_eq(count_of(store, "faq"), SENTENCES);
        }
        int seen = 0;
        ck_assert_int_eq(calls, (SENTENCES + STEP - 1) / STEP); /* nothing is done twice */
        ck_assert_int_eq(sb_store_visit(store, "faq", check_new_vector, &seen, NULL), SB_OK);
        ck_assert_int_eq(seen, SENTENCES);
        sb_store_close(store);
        ck_assert_int_eq(ask_file("a.db", way ? "SELECT sum(length(coalesce(other_vector, x''))) FROM sentences"
                                              : "SELECT sum(length(vector)) FROM sentences"),
                         0);
    }
}
END_TEST

START_TEST(a_failing_model_changes_nothing)
{
    struct sb_store *store = open_filled("a.db");
    struct model model = {store, 0, 2, -1};
    struct sb_error error = {0};
    enum sb_reembed_state state = SB_REEMBED_RUNNING;
    int failures = 0;
    begin(store);
    for (int i = 0; i < 100 && state == SB_REEMBED_RUNNING; i++)
        if (sb_reembed_step(store, "faq", STEP, embed, &model, &state, &error) != SB_OK) {
            failures++;
            state = SB_REEMBED_RUNNING;
            ck_assert_str_eq(error.message, "the model is out");
            check_old(store);
        }
    ck_assert_int_eq(failures, 1);
    check_new(store, SENTENCES);
    sb_store_close(store);
}
END_TEST

START_TEST(what_is_cancelled_leaves_no_trace)
{
    struct sb_store *store = open_filled("a.db");
    struct model model = {store, 0, -1, -1};
    enum sb_reembed_state state;
    begin(store);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(sb_reembed_step(store, "faq", STEP, embed, &model, &state, NULL), SB_OK);
    ck_assert_int_eq(sb_reembed_cancel(store, "faq", NULL), SB_OK);
    ck_assert_int_eq(sb_reembed_cancel(store, "faq", NULL), SB_OK);
    check_old(store);
    ck_assert_int_eq(state_of(store), SB_REEMBED_CLEANING);
    /* another run does not take the vectors of the first one for its own */
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "larger", new_hash, NEW_DIMENSIONS, NULL), SB_OK);
    model.calls = 0;
    go_on(store, SB_REEMBED_RUNNING, &model);
    ck_assert_int_eq(model.calls, (SENTENCES + STEP - 1) / STEP);
    check_new(store, SENTENCES);
    sb_store_close(store);
}
END_TEST

START_TEST(bad_requests_are_refused)
{
    struct sb_store *store = open_filled("a.db");
    struct sb_error error = {0};
    struct sb_reembed_progress progress;
    enum sb_reembed_state state;
    ck_assert_int_eq(sb_reembed_begin(store, "none", "m", "h", 3, &error), SB_NOT_FOUND);
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "m", "", 3, &error), SB_INVALID);
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "m", "h", 0, &error), SB_INVALID);
    ck_assert_int_eq(sb_reembed_begin(store, "faq", "m", hash, 3, &error), SB_CONFLICT);
    ck_assert_int_eq(sb_reembed_progress(store, "none", &progress, &error), SB_NOT_FOUND);
    ck_assert_int_eq(sb_reembed_step(store, "faq", 0, embed, NULL, &state, &error), SB_INVALID);
    ck_assert_int_eq(sb_reembed_step(store, "faq", 1, embed, NULL, &state, &error), SB_OK); /* nothing to do */
    ck_assert_int_eq(state, SB_REEMBED_NONE);
    sb_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reembed");
    TCase *tests = tcase_create("reembed");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_collection_changes_its_model);
    tcase_add_test(tests, it_goes_on_after_reopening);
    tcase_add_test(tests, a_failing_model_changes_nothing);
    tcase_add_test(tests, what_is_cancelled_leaves_no_trace);
    tcase_add_test(tests, bad_requests_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
