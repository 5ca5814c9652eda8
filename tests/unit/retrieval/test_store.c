/*
 * Collections: every call, its limits, what survives a reopening, a full disk, a second process and a kill at any moment.
 */
#include "retrieval/store.h"
#include "base/random.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIMENSIONS = 7 };
static const char hash[] = "00112233445566778899aabbccddeeff";

static struct sb_store *open_store(const char *name)
{
    struct sb_store *store;
    struct sb_error error;
    enum sb_status status = sb_store_open(&store, scratch(name), NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return store;
}

static struct sb_collection_info info_of(const char *name, int dimensions)
{
    struct sb_collection_info info = {.dimensions = dimensions};
    snprintf(info.name, sizeof info.name, "%s", name);
    snprintf(info.model_name, sizeof info.model_name, "tiny");
    snprintf(info.model_hash, sizeof info.model_hash, "%s", hash);
    return info;
}

static struct sb_store *open_with(const char *name, const char *collection)
{
    struct sb_store *store = open_store(name);
    struct sb_collection_info info = info_of(collection, DIMENSIONS);
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    return store;
}

static const float *vector_of(uint64_t number)
{
    float *vector = malloc(DIMENSIONS * sizeof *vector);
    for (size_t i = 0; i < DIMENSIONS; i++)
        vector[i] = (float)sb_random_normal(5, number, i);
    return (const float *)(const void *)keep((char *)vector);
}

static struct sb_sentence sentence(const char *id, const char *text, uint64_t number)
{
    return (struct sb_sentence){.id = id, .text = text, .text_size = strlen(text), .vector = vector_of(number)};
}

static enum sb_status put(struct sb_store *store, const char *collection, struct sb_sentence s, struct sb_error *error)
{
    return sb_store_upsert(store, collection, hash, &s, 1, NULL, NULL, error);
}

static int64_t count_of(struct sb_store *store, const char *collection)
{
    struct sb_collection_info info;
    ck_assert_int_eq(sb_store_describe(store, collection, &info, NULL), SB_OK);
    return info.count;
}

START_TEST(what_was_stored_is_there_after_reopening)
{
    struct sb_store *store = open_with("a.db", "faq");
    struct sb_sentence three[] = {sentence("1", "花呗怎么还款", 1), sentence("二", "忘记密码怎么办", 2),
                                  sentence("3", "", 3)};
    three[1].metadata = "{\"page\": 7}";
    size_t inserted, updated;
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, three, 3, &inserted, &updated, NULL), SB_OK);
    ck_assert_uint_eq(inserted, 3);
    three[0] = sentence("1", "花呗如何还款", 4);
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, three, 1, &inserted, &updated, NULL), SB_OK);
    ck_assert_uint_eq(updated, 1);
    const char *ids[] = {"3", "4"};
    size_t deleted;
    ck_assert_int_eq(sb_store_delete(store, "faq", ids, 2, &deleted, NULL), SB_OK);
    ck_assert_uint_eq(deleted, 1);
    for (int opening = 0; opening < 2; opening++) {
        struct sb_sentences out;
        ck_assert_int_eq(count_of(store, "faq"), 2);
        ck_assert_int_eq(sb_store_get(store, "faq", "1", &out, NULL), SB_OK);
        ck_assert_str_eq(out.items[0].text, "花呗如何还款");
        ck_assert_str_eq(out.items[0].metadata, "{}");
        ck_assert(memcmp(out.items[0].vector, vector_of(4), DIMENSIONS * sizeof(float)) == 0);
        sb_sentences_free(&out);
        ck_assert_int_eq(sb_store_scroll(store, "faq", NULL, 10, &out, NULL), SB_OK);
        ck_assert_uint_eq(out.count, 2);
        ck_assert_str_eq(out.items[0].id, "1"); /* an update keeps its place */
        ck_assert_str_eq(out.items[1].id, "二");
        ck_assert_str_eq(out.items[1].metadata, "{\"page\": 7}");
        sb_sentences_free(&out);
        ck_assert_int_eq(sb_store_scroll(store, "faq", "1", 10, &out, NULL), SB_OK);
        ck_assert_uint_eq(out.count, 1);
        sb_sentences_free(&out);
        ck_assert_int_eq(sb_store_get(store, "faq", "3", &out, NULL), SB_NOT_FOUND);
        sb_store_close(store);
        store = open_store("a.db");
    }
    sb_store_close(store);
}
END_TEST

START_TEST(collections_are_created_listed_and_dropped)
{
    struct sb_store *store = open_with("a.db", "b");
    struct sb_collection_info info = info_of("a", DIMENSIONS), *infos, again = info_of("b", DIMENSIONS);
    bool created;
    size_t count;
    struct sb_error error;
    ck_assert_int_eq(sb_store_create(store, &info, &created, NULL), SB_OK);
    ck_assert(created);
    ck_assert_int_eq(sb_store_create(store, &again, &created, NULL), SB_OK);
    ck_assert(!created);
    again.dimensions++;
    ck_assert_int_eq(sb_store_create(store, &again, &created, &error), SB_CONFLICT);
    ck_assert_int_eq(sb_store_list(store, &infos, &count, NULL), SB_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(infos[0].name, "a");
    ck_assert_str_eq(infos[1].name, "b");
    ck_assert(infos[0].created_at > 1700000000);
    free(infos);
    ck_assert_int_eq(put(store, "a", sentence("1", "x", 1), NULL), SB_OK);
    ck_assert_int_eq(sb_store_drop(store, "a", NULL), SB_OK);
    ck_assert_int_eq(sb_store_drop(store, "a", &error), SB_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "'a' does not exist"));
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    ck_assert_int_eq(count_of(store, "a"), 0);
    sb_store_close(store);
    store = open_store("a.db"); /* the new one may have the old one's key, but not its sentences */
    ck_assert_int_eq(count_of(store, "a"), 0);
    static const char *const bad[] = {"",    ".x", "a/b",
                                      "a b", "问", "0123456789012345678901234567890123456789012345678901234567890123x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sb_collection_info refused = info_of("", DIMENSIONS);
        memset(refused.name, 0, sizeof refused.name);
        memcpy(refused.name, bad[i], strlen(bad[i]) < sizeof refused.name ? strlen(bad[i]) : sizeof refused.name);
        ck_assert_msg(sb_store_create(store, &refused, NULL, &error) == SB_INVALID, "'%s' was accepted", bad[i]);
    }
    sb_store_close(store);
}
END_TEST

static void refuse(struct sb_store *store, struct sb_sentence s, const char *says)
{
    struct sb_error error = {0};
    struct sb_sentence two[] = {sentence("good", "good", 1), s};
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, two, 2, NULL, NULL, &error), SB_INVALID);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
    ck_assert_int_eq(count_of(store, "faq"), 0); /* all or none */
}

START_TEST(bad_sentences_are_refused_whole)
{
    struct sb_store *store = open_with("a.db", "faq");
    static char long_id[10241], long_metadata[SB_SENTENCE_METADATA_MAX + 100];
    float nan_vector[DIMENSIONS] = {0, 0, NAN};
    memset(long_id, 'x', sizeof long_id - 1);
    memset(long_metadata, ' ', sizeof long_metadata - 1);
    refuse(store, sentence("", "x", 1), "no id");
    refuse(store, sentence(long_id, "x", 1), "10240 bytes; at most 512");
    refuse(store, sentence("a\nb", "x", 1), "control character");
    refuse(store, sentence("a\xff", "x", 1), "not UTF-8");
    refuse(store, sentence("a", "\xff", 1), "text is not UTF-8");
    refuse(store, sentence("good", "x", 1), "'good' stands twice");
    struct sb_sentence s = sentence("a", "x", 1);
    s.metadata = "[1]";
    refuse(store, s, "not a JSON object");
    s.metadata = "{";
    refuse(store, s, "metadata");
    s.metadata = long_metadata;
    refuse(store, s, "at most 65536");
    s = sentence("a", "x", 1);
    s.vector = nan_vector;
    refuse(store, s, "element 2 of its vector is not finite");
    s.vector = NULL;
    refuse(store, s, "no vector");
    s = sentence("a", "x", 1);
    s.text_size = SB_SENTENCE_TEXT_MAX + 1;
    refuse(store, s, "at most 1048576");
    struct sb_error error;
    ck_assert_int_eq(put(store, "none", sentence("a", "x", 1), &error), SB_NOT_FOUND);
    s = sentence("a", "x", 1);
    ck_assert_int_eq(sb_store_upsert(store, "faq", "another", &s, 1, NULL, NULL, &error), SB_CONFLICT);
    ck_assert_int_eq(put(store, "faq", sentence("q/'\"?%_ 问😀", "x", 1), &error), SB_OK);
    ck_assert_int_eq(count_of(store, "faq"), 1);
    sb_store_close(store);
}
END_TEST

/* Deletes until rows close up, and finds the rest by id and by search. */
START_TEST(deleted_sentences_leave_no_trace)
{
    struct sb_store *store = open_with("a.db", "faq");
    char ids[300][12];
    struct sb_sentence all[300];
    const char *gone[250];
    for (int i = 0; i < 300; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", i);
        all[i] = sentence(ids[i], ids[i], (uint64_t)i);
    }
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, all, 300, NULL, NULL, NULL), SB_OK);
    for (int i = 0; i < 250; i++)
        gone[i] = ids[(i * 7) % 300];
    size_t deleted;
    ck_assert_int_eq(sb_store_delete(store, "faq", gone, 250, &deleted, NULL), SB_OK);
    ck_assert_uint_eq(deleted, 250);
    ck_assert_int_eq(sb_store_delete(store, "faq", gone, 250, &deleted, NULL), SB_OK);
    ck_assert_uint_eq(deleted, 0);
    int found = 0;
    for (int i = 0; i < 300; i++) {
        struct sb_sentences out;
        if (sb_store_get(store, "faq", ids[i], &out, NULL) == SB_OK) {
            found++;
            ck_assert_str_eq(out.items[0].text, ids[i]);
            ck_assert(memcmp(out.items[0].vector, vector_of((uint64_t)i), DIMENSIONS * sizeof(float)) == 0);
            sb_sentences_free(&out);
        }
    }
    ck_assert_int_eq(found, 50);
    struct sb_search search = {.vectors = vector_of(1), .queries = 1, .top_k = 1000, .min_score = -INFINITY};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "faq", &search, &results, NULL), SB_OK);
    ck_assert_uint_eq(results.ends[0], 50);
    sb_search_results_free(&results);
    sb_store_close(store);
}
END_TEST

struct load {
    struct sb_store *store;
    atomic_bool stop;
    int number;
};

/* Pairs of sentences are always written together with one text: no search may see them differ. */
static void *write_pairs(void *context)
{
    struct load *load = context;
    for (int round = 0; !atomic_load(&load->stop) && round < 300; round++) {
        char text[32], a[16], b[16];
        snprintf(text, sizeof text, "%d", round);
        snprintf(a, sizeof a, "a%d", load->number);
        snprintf(b, sizeof b, "b%d", load->number);
        float vector[DIMENSIONS] = {1};
        struct sb_sentence pair[] = {{a, text, strlen(text), NULL, vector}, {b, text, strlen(text), NULL, vector}};
        ck_assert_int_eq(sb_store_upsert(load->store, "faq", hash, pair, 2, NULL, NULL, NULL), SB_OK);
        const char *ids[] = {a, b};
        if (round % 5 == 4)
            ck_assert_int_eq(sb_store_delete(load->store, "faq", ids, 2, NULL, NULL), SB_OK);
    }
    return NULL;
}

static void *drop_and_create(void *context)
{
    struct load *load = context;
    struct sb_collection_info info = info_of("other", DIMENSIONS);
    for (int round = 0; !atomic_load(&load->stop) && round < 100; round++) {
        ck_assert_int_eq(sb_store_create(load->store, &info, NULL, NULL), SB_OK);
        put(load->store, "other", sentence("1", "x", 1), NULL);
        ck_assert_int_eq(sb_store_drop(load->store, "other", NULL), SB_OK);
    }
    return NULL;
}

START_TEST(searches_never_see_half_a_change)
{
    struct sb_store *store = open_with("a.db", "faq");
    struct load loads[3] = {{.store = store, .number = 1}, {.store = store, .number = 2}, {.store = store}};
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, write_pairs, &loads[0]);
    pthread_create(&threads[1], NULL, write_pairs, &loads[1]);
    pthread_create(&threads[2], NULL, drop_and_create, &loads[2]);
    float query[DIMENSIONS] = {1};
    struct sb_search search = {.vectors = query, .queries = 1, .top_k = 10, .min_score = -1};
    for (int i = 0; i < 2000; i++) {
        struct sb_search_results results;
        ck_assert_int_eq(sb_store_search(store, "faq", &search, &results, NULL), SB_OK);
        ck_assert_uint_eq(results.ends[0] % 2, 0);
        const char *text[3] = {NULL, NULL, NULL};
        for (size_t m = 0; m < results.ends[0]; m++) {
            int number = results.matches[m].sentence.id[1] - '0';
            if (text[number])
                ck_assert_str_eq(text[number], results.matches[m].sentence.text);
            text[number] = results.matches[m].sentence.text;
        }
        sb_search_results_free(&results);
        if (sb_store_search(store, "other", &search, &results, NULL) == SB_OK)
            sb_search_results_free(&results);
    }
    for (int i = 0; i < 3; i++) {
        atomic_store(&loads[i].stop, true);
        pthread_join(threads[i], NULL);
    }
    sb_store_close(store);
}
END_TEST

/* The child upserts pairs and reports each one that was acknowledged. */
static void upsert_until_killed(const char *path, int report)
{
    struct sb_store *store;
    if (sb_store_open(&store, path, NULL, NULL) != SB_OK)
        _exit(1);
    struct sb_collection_info info = info_of("faq", DIMENSIONS);
    if (sb_store_create(store, &info, NULL, NULL) != SB_OK)
        _exit(1);
    struct sb_collection_info now;
    if (sb_store_describe(store, "faq", &now, NULL) != SB_OK)
        _exit(1);
    for (int i = (int)now.count / 2;; i++) {
        char a[16], b[16];
        snprintf(a, sizeof a, "a%d", i);
        snprintf(b, sizeof b, "b%d", i);
        float vector[DIMENSIONS] = {(float)i};
        struct sb_sentence pair[] = {{a, a, strlen(a), NULL, vector}, {b, b, strlen(b), NULL, vector}};
        if (sb_store_upsert(store, "faq", hash, pair, 2, NULL, NULL, NULL) != SB_OK ||
            write(report, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static bool is_there(struct sb_store *store, char letter, int number)
{
    char id[16];
    struct sb_sentences out;
    snprintf(id, sizeof id, "%c%d", letter, number);
    if (sb_store_get(store, "faq", id, &out, NULL) != SB_OK)
        return false;
    ck_assert_str_eq(out.items[0].text, id);
    ck_assert_float_eq(out.items[0].vector[0], (float)number);
    sb_sentences_free(&out);
    return true;
}

/* Each acknowledged pair is there whole; the one that was under way when the kill came is there whole or not at all. */
static void check_pairs(struct sb_store *store, int acknowledged)
{
    int pairs = (int)(count_of(store, "faq") / 2);
    ck_assert_int_eq(count_of(store, "faq") % 2, 0);
    ck_assert_msg(pairs == acknowledged + 1 || pairs == acknowledged + 2, "%d pairs, %d acknowledged", pairs,
                  acknowledged + 1);
    for (int i = 0; i < pairs; i++)
        ck_assert_msg(is_there(store, 'a', i) && is_there(store, 'b', i), "pair %d of %d is not whole", i, pairs);
}

START_TEST(what_was_acknowledged_survives_kill)
{
    const char *path = scratch("kill.db");
    int acknowledged = -1;
    for (int round = 0; round < 20; round++) {
        int ends[2], number;
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            upsert_until_killed(path, ends[1]);
        }
        close(ends[1]);
        usleep((useconds_t)(15000 + sb_random_uniform(1, 2, (uint64_t)round) * 60000));
        kill(child, SIGKILL);
        while (read(ends[0], &number, sizeof number) == sizeof number)
            acknowledged = number > acknowledged ? number : acknowledged;
        close(ends[0]);
        int status;
        waitpid(child, &status, 0);
        ck_assert_msg(WIFSIGNALED(status), "the child failed by itself");
        struct sb_store *store = open_store("kill.db");
        struct sb_collection_info info = info_of("faq", DIMENSIONS);
        ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
        check_pairs(store, acknowledged);
        acknowledged =
            (int)(count_of(store, "faq") / 2) - 1; /* one that was on disk, but not reported, counts from now on */
        sb_store_close(store);
    }
    ck_assert_int_ge(acknowledged, 5);
}
END_TEST

/* Opens the database in another process; returns the status. */
static enum sb_status open_elsewhere(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        struct sb_store *store;
        _exit((int)sb_store_open(&store, path, NULL, NULL));
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return (enum sb_status)WEXITSTATUS(status);
}

START_TEST(a_second_process_is_refused)
{
    struct sb_store *store = open_store("a.db"), *second;
    struct sb_error error;
    ck_assert_int_eq(open_elsewhere(scratch("a.db")), SB_CONFLICT);
    ck_assert_int_eq(sb_store_open(&second, scratch("a.db"), NULL, &error), SB_CONFLICT);
    ck_assert_ptr_nonnull(strstr(error.message, "another simbert process"));
    ck_assert_int_eq(open_elsewhere(scratch("b.db")), SB_OK);
    sb_store_close(store);
    ck_assert_int_eq(open_elsewhere(scratch("a.db")), SB_OK);
}
END_TEST

static void refuse_file(const char *name, enum sb_status status, const char *says)
{
    struct sb_store *store;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_store_open(&store, scratch(name), NULL, &error), status);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
    ck_assert_ptr_nonnull(strstr(error.message, name));
}

START_TEST(bad_files_are_refused_by_name)
{
    scratch_text(
        "text.db",
        "this is no database, but it is long enough to be looked at as one by anybody who opens it as such........");
    refuse_file("text.db", SB_CORRUPT, "not a database");
    refuse_file("missing/folder/a.db", SB_IO, "No such file");
    char command[1024];
    sb_store_close(open_store("newer.db"));
    /* user_version is the big-endian word at byte 60 of the file, application_id the one at 68 */
    snprintf(command, sizeof command, "printf '\\377' | dd of='%s' bs=1 seek=63 conv=notrunc 2>/dev/null",
             scratch("newer.db"));
    ck_assert_int_eq(system(command), 0);
    refuse_file("newer.db", SB_UNSUPPORTED, "newer than this program");
    snprintf(command, sizeof command, "printf '\\377' | dd of='%s' bs=1 seek=68 conv=notrunc 2>/dev/null",
             scratch("newer.db"));
    ck_assert_int_eq(system(command), 0);
    refuse_file("newer.db", SB_INVALID, "another program");
}
END_TEST

/* Root may write anywhere, so it becomes nobody for the attempt. */
static void refuse_to_nobody(const char *name, const char *says)
{
    uid_t user = geteuid();
    ck_assert_int_eq(chmod(scratch(""), 0755), 0);
    ck_assert(user != 0 || seteuid(65534) == 0);
    refuse_file(name, SB_IO, says);
    ck_assert_int_eq(seteuid(user), 0);
}

START_TEST(what_can_not_be_written_is_refused_by_name)
{
    ck_assert_int_eq(mkdir(scratch("folder"), 0755), 0);
    sb_store_close(open_with("folder/a.db", "faq"));
    ck_assert_int_eq(chmod(scratch("folder"), 0555), 0);
    refuse_to_nobody("folder/b.db", "Permission denied");
    ck_assert_int_eq(chmod(scratch("folder"), 0777), 0);
    ck_assert_int_eq(chmod(scratch("folder/a.db.lock"), 0666), 0);
    ck_assert_int_eq(chmod(scratch("folder/a.db"), 0444), 0);
    refuse_to_nobody("folder/a.db", "read-only");
    ck_assert_int_eq(chmod(scratch("folder/a.db"), 0644), 0);
    sb_store_close(open_store("folder/a.db"));
}
END_TEST

/* What no call stores: the file was changed by somebody else. */
static void change_file(const char *name, const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(scratch(name), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(impossible_rows_are_refused_by_name)
{
    struct sb_store *store = open_with("a.db", "faq");
    ck_assert_int_eq(put(store, "faq", sentence("1", "x", 1), NULL), SB_OK);
    sb_store_close(store);
    /* the last float is a NaN */
    change_file("a.db", "UPDATE sentences SET vector = x'0000000000000000000000000000000000000000000000000000c07f'");
    refuse_file("a.db", SB_CORRUPT, "element 6 of its vector is not finite");
    change_file("a.db", "UPDATE sentences SET vector = zeroblob(27)");
    refuse_file("a.db", SB_CORRUPT, "a vector of 27 bytes, not 28");
    change_file("a.db", "UPDATE sentences SET vector = zeroblob(28)");
    sb_store_close(open_store("a.db"));
    change_file("a.db", "UPDATE collections SET dimensions = 0");
    refuse_file("a.db", SB_CORRUPT, "'faq' has impossible properties");
}
END_TEST

START_TEST(a_damaged_page_is_found)
{
    struct sb_store *store = open_with("a.db", "faq");
    for (int i = 0; i < 400; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        ck_assert_int_eq(put(store, "faq", sentence(id, "一句话", 1), NULL), SB_OK);
    }
    sb_store_close(store);
    char command[1024];
    snprintf(command, sizeof command, "head -c 12288 /dev/urandom | dd of='%s' bs=4096 seek=5 conv=notrunc 2>/dev/null",
             scratch("a.db"));
    ck_assert_int_eq(system(command), 0);
    refuse_file("a.db", SB_CORRUPT, "a.db");
}
END_TEST

START_TEST(a_full_disk_loses_nothing)
{
    struct sb_store *store = open_with("a.db", "faq");
    ck_assert_int_eq(put(store, "faq", sentence("before", "x", 1), NULL), SB_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {256 << 10, RLIM_INFINITY}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    static char big[400 << 10];
    memset(big, 'x', sizeof big - 1);
    struct sb_error error = {0};
    ck_assert_int_eq(put(store, "faq", sentence("big", big, 2), &error), SB_IO);
    ck_assert_msg(strstr(error.message, "a.db") != NULL, "%s", error.message);
    ck_assert_int_eq(count_of(store, "faq"), 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    ck_assert_int_eq(put(store, "faq", sentence("after", "x", 3), NULL), SB_OK);
    sb_store_close(store);
    store = open_store("a.db");
    ck_assert_int_eq(count_of(store, "faq"), 2);
    sb_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_was_stored_is_there_after_reopening);
    tcase_add_test(tests, collections_are_created_listed_and_dropped);
    tcase_add_test(tests, bad_sentences_are_refused_whole);
    tcase_add_test(tests, deleted_sentences_leave_no_trace);
    tcase_add_test(tests, searches_never_see_half_a_change);
    tcase_add_test(tests, what_was_acknowledged_survives_kill);
    tcase_add_test(tests, a_second_process_is_refused);
    tcase_add_test(tests, bad_files_are_refused_by_name);
    tcase_add_test(tests, what_can_not_be_written_is_refused_by_name);
    tcase_add_test(tests, impossible_rows_are_refused_by_name);
    tcase_add_test(tests, a_damaged_page_is_found);
    tcase_add_test(tests, a_full_disk_loses_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
