/*
 * kill -9 at 100 random moments of concurrent upserts, deletions and searches: after each, every acknowledged change is
 * there, none is half made, and searches find what is there.
 *
 * Two writers change groups of sentences, one after the other; what a writer's n-th change is follows from n alone. So after
 * a kill a writer's groups must be as after its last acknowledged change, or as after the next one, which was under way.
 */
#include "tests/unit/retrieval/fixture.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 100, WRITERS = 2, GROUPS = 60, GROUP = 4, SIZE = 16, INDEXED_FROM = 200, CHECKED_SEARCHES = 12 };
enum { GONE = -1 };

struct change {
    int group;
    bool deletes;
};

static struct change change_of(int writer, int number)
{
    uint32_t words[4];
    sb_random_words(words, 41, (uint64_t)writer, (uint64_t)number);
    return (struct change){(int)(words[0] % GROUPS), words[1] % 4 == 0};
}

/* The vector that all sentences of a group have after this change. */
static void change_vector(float *vector, int writer, int number)
{
    for (size_t d = 0; d < SIZE; d++)
        vector[d] = (float)sb_random_normal(43 + (uint64_t)writer, (uint64_t)number, d);
    float square = 0;
    for (size_t d = 0; d < SIZE; d++)
        square += vector[d] * vector[d];
    for (size_t d = 0; d < SIZE; d++)
        vector[d] /= sqrtf(square);
}

typedef char name[32];

static void group_ids(name ids[GROUP], int writer, int group)
{
    for (int i = 0; i < GROUP; i++)
        snprintf(ids[i], sizeof ids[i], "%d-%d-%d", writer, group, i);
}

/* ---- the process that is killed ---- */

struct writer {
    struct sb_store *store;
    int number, next, report; /* the first change to make; where to acknowledge */
};

struct acknowledgement {
    int writer, number;
};

static enum sb_status make_change(struct sb_store *store, int writer, int number)
{
    struct change change = change_of(writer, number);
    name ids[GROUP];
    char text[16];
    float vector[SIZE];
    const char *names[GROUP];
    struct sb_sentence group[GROUP];
    group_ids(ids, writer, change.group);
    change_vector(vector, writer, number);
    snprintf(text, sizeof text, "%d", number);
    for (int i = 0; i < GROUP; i++) {
        names[i] = ids[i];
        group[i] = (struct sb_sentence){ids[i], text, strlen(text), NULL, vector};
    }
    return change.deletes ? sb_store_delete(store, "faq", names, GROUP, NULL, NULL)
                          : sb_store_upsert(store, "faq", hash, group, GROUP, NULL, NULL, NULL);
}

static void *change_until_killed(void *context)
{
    struct writer *w = context;
    for (int number = w->next;; number++) {
        struct acknowledgement done = {w->number, number};
        if (make_change(w->store, w->number, number) != SB_OK || write(w->report, &done, sizeof done) != sizeof done)
            _exit(1);
    }
    return NULL;
}

static void work_until_killed(const char *path, const int next[WRITERS], int report)
{
    struct sb_store *store;
    struct sb_collection_info info = info_of("faq", SIZE);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    info.vectors = SB_VECTORS_INT16;
    if (sb_store_open(&store, path, NULL, NULL) != SB_OK || sb_store_create(store, &info, NULL, NULL) != SB_OK)
        _exit(1);
    sb_store_set_approximate_from(store, INDEXED_FROM);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){store, i, next[i], report};
        if (pthread_create(&threads[i], NULL, change_until_killed, &writers[i]) != 0)
            _exit(1);
    }
    for (int i = 0;; i++) {
        float vector[SIZE];
        struct sb_search search = {.vectors = vector, .queries = 1, .top_k = 10, .min_score = -1};
        struct sb_search_results results;
        change_vector(vector, 0, i);
        if (sb_store_search(store, "faq", &search, &results, NULL) != SB_OK)
            _exit(1);
        sb_search_results_free(&results);
    }
}

/* Lets it make some changes, and a moment more, and kills it; last[] becomes the last acknowledged one of each writer. The
   moment of the kill depends on the machine's load only through what is under way. */
static void run_and_kill(const char *path, const int next[WRITERS], int last[WRITERS], int changes, useconds_t moment)
{
    int ends[2], status;
    struct acknowledgement done;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work_until_killed(path, next, ends[1]);
    }
    close(ends[1]);
    for (int i = 0; i < changes && read(ends[0], &done, sizeof done) == sizeof done; i++)
        last[done.writer] = done.number;
    usleep(moment);
    kill(child, SIGKILL);
    while (read(ends[0], &done, sizeof done) == sizeof done)
        last[done.writer] = done.number;
    close(ends[0]);
    waitpid(child, &status, 0);
    ck_assert_msg(WIFSIGNALED(status), "the process failed by itself");
}

/* ---- what is found afterwards ---- */

/* The number of the change that a group is as after, GONE if it is not there. */
static int state_of(struct sb_store *store, int writer, int group)
{
    name ids[GROUP];
    int state = GONE;
    group_ids(ids, writer, group);
    for (int i = 0; i < GROUP; i++) {
        struct sb_sentences out;
        int number = GONE;
        if (sb_store_get(store, "faq", ids[i], &out, NULL) == SB_OK) {
            float vector[SIZE];
            number = atoi(out.items[0].text);
            change_vector(vector, writer, number);
            for (int d = 0; d < SIZE; d++)
                ck_assert(fabsf(vector[d] - out.items[0].vector[d]) < 1e-4f);
            sb_sentences_free(&out);
        }
        ck_assert_msg(i == 0 || number == state, "group %d of writer %d is not whole", group, writer);
        state = number;
    }
    return state;
}

static bool groups_are(const int found[GROUPS], const int expected[GROUPS])
{
    return memcmp(found, expected, GROUPS * sizeof *found) == 0;
}

static void apply(int state[GROUPS], int writer, int number)
{
    struct change change = change_of(writer, number);
    state[change.group] = change.deletes ? GONE : number;
}

/* Brings the expected state up to the last acknowledged change, compares, and takes over the one that was under way. */
static int check_writer(struct sb_store *store, int writer, int state[GROUPS], int *next, int last)
{
    int found[GROUPS], live = 0;
    for (; *next <= last; ++*next)
        apply(state, writer, *next);
    for (int group = 0; group < GROUPS; group++) {
        found[group] = state_of(store, writer, group);
        live += found[group] == GONE ? 0 : GROUP;
    }
    if (!groups_are(found, state)) {
        apply(state, writer, *next);
        ck_assert_msg(groups_are(found, state), "writer %d: not as after change %d, nor after the next", writer, last);
    }
    ++*next; /* whether it was made or not, it is never made again */
    return live;
}

static void check_searches(struct sb_store *store, int writer, const int state[GROUPS])
{
    for (int i = 0, group = 0; i < CHECKED_SEARCHES && group < GROUPS; group++) {
        float vector[SIZE];
        name ids[GROUP];
        struct sb_search search = {.vectors = vector, .queries = 1, .top_k = GROUP, .min_score = -1};
        struct sb_search_results results;
        if (state[group] == GONE)
            continue;
        change_vector(vector, writer, state[group]);
        group_ids(ids, writer, group);
        ck_assert_int_eq(sb_store_search(store, "faq", &search, &results, NULL), SB_OK);
        ck_assert_uint_eq(results.ends[0], GROUP);
        for (int m = 0; m < GROUP; m++) {
            ck_assert(results.matches[m].score > 0.999);
            ck_assert_int_eq(strncmp(results.matches[m].sentence.id, ids[0], strlen(ids[0]) - 1), 0);
        }
        sb_search_results_free(&results);
        i++;
    }
}

START_TEST(acknowledged_changes_survive_any_kill)
{
    const char *path = scratch("crash.db");
    static int state[WRITERS][GROUPS];
    int next[WRITERS] = {0}, last[WRITERS], made = 0;
    memset(state, 0xFF, sizeof state); /* GONE */
    for (int round = 0; round < KILLS; round++) {
        for (int i = 0; i < WRITERS; i++)
            last[i] = next[i] - 1;
        run_and_kill(path, next, last, (int)(12 * sb_random_uniform(47, 1, (uint64_t)round)),
                     (useconds_t)(8000 * sb_random_uniform(47, 2, (uint64_t)round)));
        struct sb_store *store = open_store("crash.db");
        struct sb_collection_info info = info_of("faq", SIZE);
        info.vectors = SB_VECTORS_INT16;
        ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK); /* killed before it could */
        sb_store_set_approximate_from(store, INDEXED_FROM);
        int live = 0;
        for (int i = 0; i < WRITERS; i++) {
            made += last[i] - next[i] + 1;
            live += check_writer(store, i, state[i], &next[i], last[i]);
            check_searches(store, i, state[i]);
        }
        ck_assert_int_eq(count_of(store, "faq"), live);
        sb_store_close(store);
    }
    ck_assert_msg(made >= 300, "only %d changes were acknowledged", made);
}
END_TEST

int main(void)
{
    /* A process that dies loses nothing that was written, whether or not it has reached a disk: in memory the rounds take
       no time to speak of. That commits are synced is test_disk's. */
    setenv("TMPDIR", "/dev/shm", 0);
    Suite *suite = suite_create("crash");
    TCase *tests = tcase_create("crash");
    tcase_set_timeout(tests, 280);
    tcase_add_test(tests, acknowledged_changes_survive_any_kill);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
