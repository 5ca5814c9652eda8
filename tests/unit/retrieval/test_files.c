/*
 * The database file: who may open it, what is refused, damage, and large files whose sentences are read when they are
 * needed.
 */
#include "tests/unit/retrieval/fixture.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Somebody else changes the file. */
static void change_file(const char *name, const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(scratch(name), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

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
    ck_assert_int_eq(symlink(scratch("a.db"), scratch("link.db")), 0);
    ck_assert_int_eq(open_elsewhere(scratch("link.db")), SB_CONFLICT);
    ck_assert_int_eq(open_elsewhere(scratch("b.db")), SB_OK);
    sb_store_close(store);
    ck_assert_int_eq(open_elsewhere(scratch("a.db")), SB_OK);
}
END_TEST

START_TEST(bad_files_are_refused_by_name)
{
    scratch_text(
        "text.db",
        "this is no database, but it is long enough to be looked at as one by anybody who opens it as such........");
    refuse_file("text.db", SB_CORRUPT, "not a database");
    refuse_file("missing/folder/a.db", SB_IO, "No such file");
    sb_store_close(open_store("a.db"));
    change_file("a.db", "PRAGMA user_version = 255");
    refuse_file("a.db", SB_UNSUPPORTED, "newer than this program");
    change_file("a.db", "PRAGMA user_version = -1");
    refuse_file("a.db", SB_CORRUPT, "schema version -1");
    change_file("a.db", "PRAGMA user_version = 0");
    refuse_file("a.db", SB_CORRUPT, "schema version 0");
    change_file("a.db", "PRAGMA user_version = 2; DROP TABLE sentences");
    refuse_file("a.db", SB_CORRUPT, "no such table: sentences");
    change_file("a.db", "PRAGMA application_id = 7");
    refuse_file("a.db", SB_INVALID, "another program");
}
END_TEST

/* Known by its id, by its version or by its tables alone; all are left as they are. */
START_TEST(another_programs_file_is_left_alone)
{
    static const char *const others[] = {"PRAGMA application_id = 7", "PRAGMA user_version = 1", "CREATE TABLE t (x)"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t before, after;
        remove(scratch("other.db"));
        change_file("other.db", others[i]);
        const char *bytes = whole_file(scratch("other.db"), &before);
        refuse_file("other.db", SB_INVALID, "another program");
        ck_assert(memcmp(bytes, whole_file(scratch("other.db"), &after), before) == 0);
        ck_assert_uint_eq(before, after);
    }
}
END_TEST

static void *unlock_soon(void *db)
{
    usleep(200000);
    ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    return NULL;
}

START_TEST(a_tools_moment_of_locking_is_waited_for)
{
    struct sb_store *store = open_with("a.db", "faq");
    sqlite3 *db;
    pthread_t thread;
    ck_assert_int_eq(sqlite3_open(scratch("a.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    pthread_create(&thread, NULL, unlock_soon, db);
    ck_assert_int_eq(put(store, "faq", sentence("1", "x", 1), NULL), SB_OK);
    pthread_join(thread, NULL);
    sqlite3_close(db);
    sb_store_close(store);
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
    change_file("a.db", "UPDATE sentences SET vector = zeroblob(28), metadata = '[1]'");
    refuse_file("a.db", SB_CORRUPT, "its metadata is not a JSON object");
    change_file("a.db", "UPDATE sentences SET metadata = '{}', text = CAST(x'61ff' AS TEXT)");
    refuse_file("a.db", SB_CORRUPT, "its text is not UTF-8");
    change_file("a.db", "UPDATE sentences SET text = 'x', id = 'a' || char(10)");
    refuse_file("a.db", SB_CORRUPT, "its id holds a control character");
    change_file("a.db", "UPDATE sentences SET id = '1'");
    sb_store_close(open_store("a.db"));
    change_file("a.db", "UPDATE collections SET dimensions = 0");
    refuse_file("a.db", SB_CORRUPT, "'faq' has impossible properties");
}
END_TEST

/* Without the constraint that the schema has. */
START_TEST(an_id_that_stands_twice_in_the_file_is_refused)
{
    sb_store_close(open_with("a.db", "faq"));
    change_file("a.db",
                "DROP TABLE sentences; CREATE TABLE sentences (sequence INTEGER PRIMARY KEY, collection INTEGER,"
                " id TEXT, text TEXT, metadata TEXT, vector BLOB, generation INTEGER); INSERT INTO sentences VALUES"
                " (1, 1, '1', 'x', '{}', zeroblob(28), 0), (2, 1, '1', 'y', '{}', zeroblob(28), 0)");
    refuse_file("a.db", SB_CORRUPT, "sentence 2 of collection 'faq' has the id of another");
}
END_TEST

/* A trigger stands for what fails behind the first sentence and does not make SQLite end the transaction by itself. */
START_TEST(a_change_that_fails_halfway_is_taken_back)
{
    sb_store_close(open_with("a.db", "faq"));
    change_file("a.db", "CREATE TRIGGER t BEFORE INSERT ON sentences WHEN new.id = 'bad'"
                        " BEGIN SELECT RAISE (ABORT, 'not this one'); END");
    struct sb_store *store = open_store("a.db");
    struct sb_sentence two[] = {sentence("good", "x", 1), sentence("bad", "x", 2)};
    struct sb_error error = {0};
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, two, 2, NULL, NULL, &error), SB_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "a.db: storing sentences: not this one"));
    ck_assert_int_eq(count_of(store, "faq"), 0);
    ck_assert_int_eq(put(store, "faq", sentence("next", "x", 3), NULL), SB_OK);
    sb_store_close(store);
    store = open_store("a.db");
    ck_assert_int_eq(count_of(store, "faq"), 1);
    sb_store_close(store);
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

/* Every call of a store; whatever it answers, it must be an answer about the file. */
static void use_all(struct sb_store *store)
{
    struct sb_collection_info *infos;
    size_t count;
    enum sb_status statuses[8] = {0};
    ck_assert_int_eq(sb_store_list(store, &infos, &count, NULL), SB_OK);
    for (size_t i = 0; i < count; i++) {
        const char *name = infos[i].name, *const ids[] = {"3", "5"};
        float vector[64] = {1};
        struct sb_sentence s = {"new", "new", 3, NULL, vector};
        struct sb_search search = {.vectors = vector, .queries = 1, .top_k = 5, .min_score = -1};
        struct sb_search_results results = {0};
        struct sb_sentences out = {0};
        if (infos[i].dimensions > 64)
            continue;
        statuses[0] = sb_store_search(store, name, &search, &results, NULL);
        statuses[1] = sb_store_scroll(store, name, NULL, 1000, &out, NULL);
        statuses[2] = sb_store_upsert(store, name, infos[i].model_hash, &s, 1, NULL, NULL, NULL);
        statuses[3] = sb_store_delete(store, name, ids, 2, NULL, NULL);
        statuses[4] = sb_store_drop(store, name, NULL);
        sb_search_results_free(&results);
        sb_sentences_free(&out);
        for (size_t j = 0; j < sizeof statuses / sizeof *statuses; j++)
            ck_assert_msg(statuses[j] != SB_INTERNAL && statuses[j] != SB_NO_MEMORY, "call %zu: %s", j,
                          sb_status_name(statuses[j]));
    }
    free(infos);
}

/* Half of the changes go to the first bytes of a page, where its structure is. Under the sanitizers this finds what
   reads past anything; here it finds answers that blame us for what the file is. */
START_TEST(changed_bytes_never_harm)
{
    enum { ROUNDS = 200, PAGE = 4096 };
    struct sb_store *store = open_with("a.db", "faq");
    create(store, "other");
    for (uint64_t i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", (int)i);
        ck_assert_int_eq(put(store, i % 4 ? "faq" : "other", sentence(id, "一句话", i), NULL), SB_OK);
    }
    sb_store_close(store);
    size_t size;
    const char *whole = whole_file(scratch("a.db"), &size);
    char *changed = malloc(size);
    int opened = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t words[4];
        memcpy(changed, whole, size);
        for (uint64_t change = 0; change <= round % 3; change++) {
            sb_random_words(words, 11, round, change);
            size_t at = words[0] % size;
            if (words[1] % 2)
                at = at / PAGE * PAGE + words[2] % 100;
            changed[at] = (char)words[3];
        }
        scratch_write("b.db", changed, round % 16 == 15 ? words[0] % size : size);
        remove(scratch("b.db-wal"));
        remove(scratch("b.db-shm"));
        struct sb_error error = {0};
        enum sb_status status = sb_store_open(&store, scratch("b.db"), NULL, &error);
        ck_assert_msg(status != SB_INTERNAL && status != SB_NO_MEMORY, "%s", error.message);
        ck_assert_msg(status == SB_OK || strstr(error.message, "b.db"), "%s", error.message);
        if (status == SB_OK) {
            opened++;
            use_all(store);
            sb_store_close(store);
        }
    }
    ck_assert(opened > 0 && opened < ROUNDS);
    free(changed);
}
END_TEST

enum { BIG_SENTENCES = 36 };

/* "a.db": "big", of many sentences, and "small", of one. Freed pages make it too large to be read at opening. */
static void make_large_file(void)
{
    struct sb_store *store = open_with("a.db", "big");
    create(store, "small");
    ck_assert_int_eq(put(store, "small", sentence("1", "x", 1), NULL), SB_OK);
    for (uint64_t i = 0; i < BIG_SENTENCES; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", (int)i);
        ck_assert_int_eq(put(store, "big", sentence(id, "x", i), NULL), SB_OK);
    }
    sb_store_close(store);
    change_file("a.db", "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(34 << 20))");
    change_file("a.db", "DROP TABLE ballast");
}

static void first_search(struct sb_store *store)
{
    const float query[DIMENSIONS] = {1};
    struct sb_search search = {.vectors = query, .queries = 1, .top_k = 100, .min_score = -100};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "big", &search, &results, NULL), SB_OK);
    ck_assert_uint_eq(results.ends[0], BIG_SENTENCES);
    sb_search_results_free(&results);
}

static void first_get(struct sb_store *store)
{
    struct sb_sentences out;
    ck_assert_int_eq(sb_store_get(store, "big", "35", &out, NULL), SB_OK);
    ck_assert(memcmp(out.items[0].vector, vector_of(35), DIMENSIONS * sizeof(float)) == 0);
    sb_sentences_free(&out);
}
static void first_scroll(struct sb_store *store)
{
    struct sb_sentences out;
    ck_assert_int_eq(sb_store_scroll(store, "big", "33", 10, &out, NULL), SB_OK);
    ck_assert_uint_eq(out.count, 2);
    ck_assert_str_eq(out.items[1].id, "35");
    sb_sentences_free(&out);
}
static void first_upsert(struct sb_store *store)
{
    struct sb_sentence two[] = {sentence("7", "new", 7), sentence("new", "new", 8)};
    size_t inserted, updated;
    ck_assert_int_eq(sb_store_upsert(store, "big", hash, two, 2, &inserted, &updated, NULL), SB_OK);
    ck_assert_uint_eq(inserted, 1);
    ck_assert_uint_eq(updated, 1);
    ck_assert_int_eq(count_of(store, "big"), BIG_SENTENCES + 1);
}
static void first_delete(struct sb_store *store)
{
    size_t deleted;
    ck_assert_int_eq(sb_store_delete(store, "big", (const char *const[]){"new", "none"}, 2, &deleted, NULL), SB_OK);
    ck_assert_uint_eq(deleted, 1);
    ck_assert_int_eq(count_of(store, "big"), BIG_SENTENCES);
}
START_TEST(a_large_file_is_read_when_it_is_needed)
{
    static void (*const first[])(struct sb_store *) = {first_search, first_get, first_scroll, first_upsert,
                                                       first_delete};
    make_large_file();
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        struct sb_store *store = open_store("a.db");
        ck_assert_int_eq(count_of(store, "big"), i < 4 ? BIG_SENTENCES : BIG_SENTENCES + 1); /* known
   before */
        first[i](store);
        first_get(store);
        ck_assert_int_eq(count_of(store, "small"), 1);
        sb_store_close(store);
    }
    struct sb_store *store = open_store("a.db");
    ck_assert_int_eq(sb_store_drop(store, "big", NULL), SB_OK); /* unread */
    sb_store_close(store);
}
END_TEST

static void *search_first(void *store)
{
    first_search(store);
    return NULL;
}

START_TEST(several_threads_need_it_first)
{
    make_large_file();
    struct sb_store *store = open_store("a.db");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, search_first, store);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(count_of(store, "big"), BIG_SENTENCES);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    sb_store_close(store);
}
END_TEST

/* Damage in one collection is told to those who need it, each time, and to nobody else. */
START_TEST(damage_in_a_large_file_is_found_when_it_is_needed)
{
    make_large_file();
    change_file("a.db", "UPDATE sentences SET vector = zeroblob(27) WHERE id = '30'");
    struct sb_store *store = open_store("a.db");
    for (int i = 0; i < 2; i++) {
        struct sb_error error = {0};
        struct sb_sentences out;
        ck_assert_int_eq(sb_store_get(store, "big", "1", &out, &error), SB_CORRUPT);
        ck_assert_ptr_nonnull(strstr(error.message, "a.db: sentence 32 of collection 'big' has a vector of 27 bytes"));
        ck_assert_int_eq(put(store, "big", sentence("new", "x", 1), &error), SB_CORRUPT);
        ck_assert_int_eq(count_of(store, "big"), BIG_SENTENCES);
        ck_assert_int_eq(put(store, "small", sentence("2", "x", 1), NULL), SB_OK);
    }
    change_file("a.db", "UPDATE sentences SET vector = zeroblob(28) WHERE id = '30'");
    first_search(store);
    sb_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store files");
    TCase *tests = tcase_create("store files");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_second_process_is_refused);
    tcase_add_test(tests, a_tools_moment_of_locking_is_waited_for);
    tcase_add_test(tests, bad_files_are_refused_by_name);
    tcase_add_test(tests, another_programs_file_is_left_alone);
    tcase_add_test(tests, what_can_not_be_written_is_refused_by_name);
    tcase_add_test(tests, impossible_rows_are_refused_by_name);
    tcase_add_test(tests, an_id_that_stands_twice_in_the_file_is_refused);
    tcase_add_test(tests, a_change_that_fails_halfway_is_taken_back);
    tcase_add_test(tests, a_damaged_page_is_found);
    tcase_add_test(tests, changed_bytes_never_harm);
    tcase_add_test(tests, a_large_file_is_read_when_it_is_needed);
    tcase_add_test(tests, several_threads_need_it_first);
    tcase_add_test(tests, damage_in_a_large_file_is_found_when_it_is_needed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
