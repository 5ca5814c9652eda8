/*
 * Second names of collections, and files of the first schema.
 */
#include "tests/unit/retrieval/fixture.h"

#include <sqlite3.h>

static const char *names_of(struct sb_store *store)
{
    struct sb_alias *aliases;
    size_t count, size;
    char *text = NULL;
    FILE *to = open_memstream(&text, &size);
    ck_assert_int_eq(sb_store_alias_list(store, &aliases, &count, NULL), SB_OK);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "%s>%s ", aliases[i].name, aliases[i].collection);
    free(aliases);
    fclose(to);
    return keep(text);
}

START_TEST(an_alias_names_what_it_was_last_set_to)
{
    struct sb_store *store = open_with("a.db", "old");
    create(store, "new");
    ck_assert_int_eq(sb_store_alias_set(store, "live", "old", NULL), SB_OK);
    ck_assert_int_eq(put(store, "live", sentence("1", "x", 1), NULL), SB_OK);
    ck_assert_int_eq(count_of(store, "old"), 1);
    ck_assert_int_eq(sb_store_alias_set(store, "live", "new", NULL), SB_OK);
    ck_assert_int_eq(sb_store_alias_set(store, "also", "live", NULL), SB_OK); /* of what it names now */
    ck_assert_int_eq(count_of(store, "live"), 0);
    ck_assert_str_eq(names_of(store), "also>new live>new ");
    sb_store_close(store);
    store = open_store("a.db");
    ck_assert_str_eq(names_of(store), "also>new live>new ");
    ck_assert_int_eq(sb_store_alias_delete(store, "also", NULL), SB_OK);
    ck_assert_int_eq(sb_store_alias_delete(store, "also", NULL), SB_NOT_FOUND);
    ck_assert_str_eq(names_of(store), "live>new ");
    ck_assert_int_eq(sb_store_drop(store, "live", NULL), SB_CONFLICT); /* too easily meant otherwise */
    ck_assert_int_eq(sb_store_drop(store, "new", NULL), SB_OK);
    ck_assert_str_eq(names_of(store), "");
    sb_store_close(store);
    store = open_store("a.db");
    ck_assert_str_eq(names_of(store), "");
    sb_store_close(store);
}
END_TEST

START_TEST(a_name_is_a_collections_or_an_aliass)
{
    struct sb_store *store = open_with("a.db", "faq");
    struct sb_collection_info info = info_of("live", DIMENSIONS);
    struct sb_error error = {0};
    ck_assert_int_eq(sb_store_alias_set(store, "faq", "faq", &error), SB_CONFLICT);
    ck_assert_int_eq(sb_store_alias_set(store, "live", "none", &error), SB_NOT_FOUND);
    ck_assert_int_eq(sb_store_alias_set(store, "a/b", "faq", &error), SB_INVALID);
    ck_assert_int_eq(sb_store_alias_set(store, "", "faq", &error), SB_INVALID);
    ck_assert_int_eq(sb_store_alias_set(store, "live", "faq", &error), SB_OK);
    ck_assert_int_eq(sb_store_create(store, &info, NULL, &error), SB_CONFLICT);
    ck_assert_str_eq(error.message, "'live' is an alias of collection 'faq'");
    sb_store_close(store);
}
END_TEST

/* A database as the first version of this program left it. */
static void make_first_version(const char *name)
{
    static const char sql[] =
        "CREATE TABLE collections ("
        " id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model_name TEXT NOT NULL, model_hash TEXT NOT NULL,"
        " dimensions INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;"
        "CREATE TABLE sentences ("
        " sequence INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE "
        "CASCADE,"
        " id TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL, vector BLOB NOT NULL, UNIQUE (collection, id)) "
        "STRICT;"
        "INSERT INTO collections VALUES (1, 'faq', 'tiny', '00112233445566778899aabbccddeeff', 7, 1700000000);"
        "INSERT INTO sentences (collection, id, text, metadata, vector) VALUES"
        " (1, 'a', 'x', '{\"k\":1}', x'0000803f000000400000404000008040000000000000000000000000');"
        "PRAGMA application_id = 1396854100; PRAGMA user_version = 1;";
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(scratch(name), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(a_file_of_the_first_version_is_brought_up_to_date)
{
    static const float expected[DIMENSIONS] = {1, 2, 3, 4};
    make_first_version("old.db");
    for (int opening = 0; opening < 2; opening++) {
        struct sb_store *store = open_store("old.db");
        struct sb_collection_info info;
        struct sb_sentences out;
        ck_assert_int_eq(sb_store_describe(store, "faq", &info, NULL), SB_OK);
        ck_assert_int_eq(info.vectors, SB_VECTORS_F32);
        ck_assert_int_eq(info.created_at, 1700000000);
        ck_assert_int_eq(sb_store_get(store, "faq", "a", &out, NULL), SB_OK);
        ck_assert_str_eq(out.items[0].metadata, "{\"k\":1}");
        ck_assert(memcmp(out.items[0].vector, expected, sizeof expected) == 0);
        sb_sentences_free(&out);
        ck_assert_int_eq(put(store, "faq", sentence("b", "y", 1), NULL), SB_OK);
        ck_assert_int_eq(count_of(store, "faq"), 2);
        sb_store_close(store);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aliases");
    TCase *tests = tcase_create("aliases");
    tcase_add_test(tests, an_alias_names_what_it_was_last_set_to);
    tcase_add_test(tests, a_name_is_a_collections_or_an_aliass);
    tcase_add_test(tests, a_file_of_the_first_version_is_brought_up_to_date);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
