/*
 * Collections: every call and its limits.
 */
#include "tests/unit/retrieval/fixture.h"

#include <math.h>

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
    refuse(store, sentence("a\x7f", "x", 1), "control character");
    refuse(store, sentence("a\xc2\x85", "x", 1), "control character"); /* U+0085, of C1 */
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
    s.text = NULL;
    refuse(store, s, "no text");
    struct sb_error error;
    s = sentence("a", "x", 1);
    ck_assert_int_eq(sb_store_upsert(store, "faq", "another", &s, 1, NULL, NULL, &error), SB_CONFLICT);
    ck_assert_int_eq(put(store, "faq", sentence("q/'\"?%_ 问😀", "x", 1), &error), SB_OK);
    ck_assert_int_eq(count_of(store, "faq"), 1);
    sb_store_close(store);
}
END_TEST

/* What lies exactly on a limit is stored, and is the same after reopening. */
START_TEST(sentences_at_the_limits_are_kept)
{
    static char id[SB_SENTENCE_ID_MAX + 1], text[SB_SENTENCE_TEXT_MAX], metadata[SB_SENTENCE_METADATA_MAX + 1];
    memset(id, 'i', sizeof id - 1);
    memset(text, 't', sizeof text);
    text[7] = '\0'; /* U+0000 is text too */
    memset(metadata, ' ', sizeof metadata - 1);
    metadata[0] = '{';
    metadata[sizeof metadata - 2] = '}';
    struct sb_store *store = open_with("a.db", "faq");
    struct sb_sentence s = {id, text, sizeof text, metadata, vector_of(1)};
    ck_assert_int_eq(put(store, "faq", s, NULL), SB_OK);
    for (int opening = 0; opening < 2; opening++) {
        struct sb_sentences out;
        ck_assert_int_eq(sb_store_get(store, "faq", id, &out, NULL), SB_OK);
        ck_assert_uint_eq(out.items[0].text_size, sizeof text);
        ck_assert(memcmp(out.items[0].text, text, sizeof text) == 0);
        ck_assert_str_eq(out.items[0].metadata, metadata);
        sb_sentences_free(&out);
        sb_store_close(store);
        store = open_store("a.db");
    }
    sb_store_close(store);
}
END_TEST

/* Ids that are beginnings of each other, of every length. */
START_TEST(ids_of_every_length_are_told_apart)
{
    static char letters[SB_SENTENCE_ID_MAX + 1];
    static struct sb_sentence all[SB_SENTENCE_ID_MAX];
    memset(letters, 'x', sizeof letters - 1);
    for (size_t i = 0; i < SB_SENTENCE_ID_MAX; i++)
        all[i] = sentence(letters + i, letters + i, i);
    struct sb_store *store = open_with("a.db", "faq");
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, all, SB_SENTENCE_ID_MAX, NULL, NULL, NULL), SB_OK);
    for (size_t i = 0; i < SB_SENTENCE_ID_MAX; i++) {
        struct sb_sentences out;
        ck_assert_int_eq(sb_store_get(store, "faq", all[i].id, &out, NULL), SB_OK);
        ck_assert_str_eq(out.items[0].text, all[i].id);
        sb_sentences_free(&out);
    }
    sb_store_close(store);
}
END_TEST

static void expect_unknown(enum sb_status status, const struct sb_error *error)
{
    ck_assert_int_eq(status, SB_NOT_FOUND);
    ck_assert_str_eq(error->message, "collection 'none' does not exist");
}

START_TEST(every_call_names_an_unknown_collection)
{
    struct sb_store *store = open_with("a.db", "faq");
    struct sb_error error = {0};
    struct sb_collection_info info;
    struct sb_sentences out;
    struct sb_search_results results;
    struct sb_search search = {.vectors = vector_of(1), .queries = 1, .top_k = 1, .min_score = -1};
    expect_unknown(sb_store_describe(store, "none", &info, &error), &error);
    expect_unknown(sb_store_drop(store, "none", &error), &error);
    expect_unknown(put(store, "none", sentence("a", "x", 1), &error), &error);
    expect_unknown(sb_store_get(store, "none", "a", &out, &error), &error);
    expect_unknown(sb_store_scroll(store, "none", NULL, 1, &out, &error), &error);
    expect_unknown(sb_store_delete(store, "none", (const char *const[]){"a"}, 1, NULL, &error), &error);
    expect_unknown(sb_store_search(store, "none", &search, &results, &error), &error);
    sb_sentences_free(&out); /* of failed calls: empty */
    sb_search_results_free(&results);
    sb_store_close(store);
}
END_TEST

START_TEST(nothing_to_do_is_no_error)
{
    struct sb_store *store = open_with("a.db", "faq");
    struct sb_sentences out;
    size_t inserted = 9, updated = 9, deleted = 9;
    ck_assert_int_eq(sb_store_upsert(store, "faq", hash, NULL, 0, &inserted, &updated, NULL), SB_OK);
    ck_assert_int_eq(sb_store_delete(store, "faq", NULL, 0, &deleted, NULL), SB_OK);
    ck_assert_uint_eq(inserted + updated + deleted, 0);
    ck_assert_int_eq(sb_store_scroll(store, "faq", NULL, 10, &out, NULL), SB_OK);
    ck_assert_uint_eq(out.count, 0);
    sb_sentences_free(&out);
    ck_assert_int_eq(put(store, "faq", sentence("a", "x", 1), NULL), SB_OK);
    ck_assert_int_eq(sb_store_scroll(store, "faq", NULL, 0, &out, NULL), SB_OK);
    ck_assert_uint_eq(out.count, 0);
    sb_sentences_free(&out);
    ck_assert_int_eq(sb_store_scroll(store, "faq", "gone", 10, &out, NULL), SB_NOT_FOUND);
    ck_assert_int_eq(sb_store_delete(store, "faq", (const char *const[]){"a", "a"}, 2, &deleted, NULL), SB_OK);
    ck_assert_uint_eq(deleted, 1);
    sb_store_close(store);
    sb_store_close(NULL);
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

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_was_stored_is_there_after_reopening);
    tcase_add_test(tests, collections_are_created_listed_and_dropped);
    tcase_add_test(tests, bad_sentences_are_refused_whole);
    tcase_add_test(tests, sentences_at_the_limits_are_kept);
    tcase_add_test(tests, ids_of_every_length_are_told_apart);
    tcase_add_test(tests, every_call_names_an_unknown_collection);
    tcase_add_test(tests, nothing_to_do_is_no_error);
    tcase_add_test(tests, deleted_sentences_leave_no_trace);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
