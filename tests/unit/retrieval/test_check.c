/*
 * Checking and repairing a database: what is intact stays, what is not is told, the damaged file stays beside.
 */
#include "tests/unit/retrieval/fixture.h"

#include <sqlite3.h>
#include <unistd.h>

enum { SENTENCES = 600, PAGE = 4096 };

static void make(const char *name)
{
    struct sb_store *store = open_with(name, "faq");
    char ids[SENTENCES][16];
    struct sb_sentence all[SENTENCES];
    for (int i = 0; i < SENTENCES; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", i);
        all[i] = sentence(ids[i], ids[i], (uint64_t)i);
        all[i].metadata = "{\"some\":\"metadata, so that there are several pages of sentences\"}";
    }
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, all, SENTENCES, NULL, NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_store_alias_set(store, "live", "faq", NULL), SB_OK);
    sb_store_close(store);
}

struct told {
    int lines;
    char last[512];
};

static void note(void *context, const char *line)
{
    struct told *told = context;
    told->lines++;
    snprintf(told->last, sizeof told->last, "%s", line);
}

/* The sentences that are there are those that were stored; how many. */
static int count_sound(const char *name)
{
    struct sb_store *store = open_store(name);
    int found = 0;
    for (int i = 0; i < SENTENCES; i++) {
        struct sb_sentences out;
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        if (sb_store_get(store, "faq", id, &out, NULL) != SB_OK)
            continue;
        found++;
        ck_assert_str_eq(out.items[0].text, id);
        ck_assert(memcmp(out.items[0].vector, vector_of((uint64_t)i), DIMENSIONS * sizeof(float)) == 0);
        sb_sentences_free(&out);
    }
    ck_assert_int_eq(count_of(store, "faq"), found);
    ck_assert_int_eq(put(store, "faq", sentence("new", "new", 1), NULL), SB_OK);
    sb_store_close(store);
    return found;
}

START_TEST(a_sound_file_is_left_alone)
{
    struct sb_check check;
    struct told told = {0};
    make("a.db");
    for (int repair = 0; repair < 2; repair++) {
        ck_assert_int_eq(sb_store_check(scratch("a.db"), repair, note, &told, &check, NULL), SB_OK);
        ck_assert_int_eq(check.collections, 1);
        ck_assert_int_eq(check.sentences, SENTENCES);
        ck_assert_int_eq(check.problems + told.lines, 0);
        ck_assert(!check.was_repaired);
        ck_assert_int_ne(access(scratch("a.db.damaged"), F_OK), 0);
    }
    ck_assert_int_eq(count_sound("a.db"), SENTENCES);
}
END_TEST

/* Any page but the first three, which are the schema and the roots that everything hangs on. */
START_TEST(what_is_intact_survives_a_damaged_page)
{
    make("sound.db");
    size_t size;
    const char *sound = whole_file(scratch("sound.db"), &size);
    char *damaged = malloc(size);
    size_t pages = size / PAGE;
    int repaired = 0, lost = 0;
    for (size_t page = 6; page < pages; page += pages / 12) {
        struct sb_check check;
        struct told told = {0};
        struct sb_error error = {0};
        memcpy(damaged, sound, size);
        for (size_t i = 0; i < PAGE; i++) {
            uint32_t words[4];
            sb_random_words(words, 17, page, i);
            damaged[page * PAGE + i] = (char)words[0];
        }
        scratch_write("a.db", damaged, size);
        ck_assert_int_eq(sb_store_check(scratch("a.db"), false, note, &told, &check, &error), SB_CORRUPT);
        ck_assert_ptr_nonnull(strstr(error.message, "a.db"));
        ck_assert_int_gt(told.lines, 0);
        ck_assert_int_eq(told.lines, check.problems);
        ck_assert_int_eq(sb_store_check(scratch("a.db"), true, NULL, NULL, &check, &error), SB_OK);
        ck_assert(check.was_repaired);
        ck_assert(memcmp(whole_file(scratch("a.db.damaged"), NULL), damaged, 100) == 0);
        int found = count_sound("a.db");
        ck_assert_int_eq(found, (int)check.sentences);
        ck_assert_int_ge(found, SENTENCES - 60); /* what a page or two hold */
        lost += SENTENCES - found;
        repaired++;
        ck_assert_int_eq(sb_store_check(scratch("a.db"), false, NULL, NULL, &check, NULL), SB_OK);
    }
    ck_assert_int_ge(repaired, 8);
    ck_assert_int_gt(lost, 0);
    free(damaged);
}
END_TEST

START_TEST(impossible_rows_are_left_out)
{
    sqlite3 *db;
    struct sb_check check;
    struct told told = {0};
    make("a.db");
    ck_assert_int_eq(sqlite3_open(scratch("a.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "UPDATE sentences SET vector = zeroblob(27) WHERE id = '7';"
                                  "UPDATE sentences SET metadata = '[' WHERE id = '9'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    ck_assert_int_eq(sb_store_check(scratch("a.db"), false, note, &told, &check, NULL), SB_CORRUPT);
    ck_assert_int_eq(check.problems, 2);
    ck_assert_ptr_nonnull(strstr(told.last, "sentence 10"));
    ck_assert_int_eq(sb_store_check(scratch("a.db"), true, note, &told, &check, NULL), SB_OK);
    ck_assert_int_eq(check.sentences, SENTENCES - 2);
    ck_assert_int_eq(count_sound("a.db"), SENTENCES - 2);
}
END_TEST

START_TEST(what_can_not_be_checked_is_refused)
{
    struct sb_check check;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_store_check(scratch("none.db"), true, NULL, NULL, &check, &error), SB_NOT_FOUND);
    ck_assert_int_ne(access(scratch("none.db"), F_OK), 0);
    struct sb_store *store = open_with("a.db", "faq");
    ck_assert_int_eq(sb_store_check(scratch("a.db"), true, NULL, NULL, &check, &error), SB_CONFLICT);
    sb_store_close(store);
    scratch_text("text.db", "this is no database, but it is long enough to be looked at as one by anybody who opens it."
                            "........................");
    ck_assert_int_eq(sb_store_check(scratch("text.db"), true, NULL, NULL, &check, &error), SB_CORRUPT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tests = tcase_create("check");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_sound_file_is_left_alone);
    tcase_add_test(tests, what_is_intact_survives_a_damaged_page);
    tcase_add_test(tests, impossible_rows_are_left_out);
    tcase_add_test(tests, what_can_not_be_checked_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
