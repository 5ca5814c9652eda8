/*
 * The forms in which vectors are kept: how exact, how large, how well the nearest are found, and the same after reopening.
 */
#include "retrieval/vectors.h"

#include "base/cpu.h"
#include "tests/unit/retrieval/fixture.h"

#include <math.h>

static void normal_vector(float *vector, uint64_t stream, size_t n)
{
    double square = 0;
    for (size_t d = 0; d < n; d++) {
        double value = sb_random_normal(9, stream, d);
        vector[d] = (float)value;
        square += value * value;
    }
    for (size_t d = 0; d < n; d++)
        vector[d] = (float)(vector[d] / sqrt(square));
}

static void store_and_get(enum sb_vectors form, float *got, const float *vector, size_t n)
{
    struct sb_matrix matrix = {.form = form, .dimensions = n};
    char *stored = malloc(sb_vector_stored_size(form, n));
    ck_assert(sb_matrix_reserve(&matrix, 3));
    ck_assert(sb_vector_encode(stored, form, vector, n));
    sb_matrix_put(&matrix, 2, stored);
    sb_matrix_move(&matrix, 1, 2);
    sb_matrix_get(&matrix, 1, got);
    free(stored);
    sb_matrix_free(&matrix);
}

/* Largest error of an element, relative to the largest element. */
START_TEST(forms_keep_what_they_promise)
{
    static const double tolerance[SB_VECTORS_FORMS] = {0, 0.5 / 1024, 0.5 / 32639 * 1.01, 0.5 / 127 * 1.01};
    static const size_t sizes[] = {1, 7, 31, 64, 65, 512};
    for (int form = 0; form < SB_VECTORS_FORMS; form++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            float vector[512], got[512], most = 0;
            normal_vector(vector, s, sizes[s]);
            store_and_get((enum sb_vectors)form, got, vector, sizes[s]);
            for (size_t i = 0; i < sizes[s]; i++)
                most = fmaxf(most, fabsf(vector[i]));
            for (size_t i = 0; i < sizes[s]; i++)
                ck_assert_double_le(fabs((double)got[i] - (double)vector[i]), tolerance[form] * (double)most);
        }
}
END_TEST

START_TEST(sizes_are_as_drawn)
{
    ck_assert_uint_eq(sb_vector_stored_size(SB_VECTORS_F32, 512), 2048);
    ck_assert_uint_eq(sb_vector_stored_size(SB_VECTORS_F16, 512), 1024);
    ck_assert_uint_eq(sb_vector_stored_size(SB_VECTORS_INT16, 512), 1028);
    ck_assert_uint_eq(sb_vector_stored_size(SB_VECTORS_INT8, 512), 516);
}
END_TEST

START_TEST(odd_vectors_are_kept_or_refused)
{
    float got[3];
    const float zeros[3] = {0}, tiny[3] = {1e-44f, 0, -1e-44f}, huge[3] = {3e38f, -3e38f, 1}, large[3] = {70000, 0, 0};
    char stored[16];
    for (int form = 0; form < SB_VECTORS_FORMS; form++) {
        store_and_get((enum sb_vectors)form, got, zeros, 3);
        ck_assert(memcmp(got, zeros, sizeof zeros) == 0);
        store_and_get((enum sb_vectors)form, got, tiny, 3);
        for (int i = 0; i < 3; i++)
            ck_assert(fabsf(got[i]) <= 1e-44f);
        if (form == SB_VECTORS_F16)
            continue;
        store_and_get((enum sb_vectors)form, got, huge, 3);
        ck_assert_float_eq_tol(got[0], 3e38f, 1e33f);
        ck_assert_float_eq_tol(got[1], -3e38f, 1e33f);
    }
    ck_assert(!sb_vector_encode(stored, SB_VECTORS_F16, large, 3));
}
END_TEST

/* ---- through the store ---- */

static struct sb_store *open_form(const char *name, enum sb_vectors form, int dimensions)
{
    struct sb_store *store = open_store(name);
    struct sb_collection_info info = info_of("c", dimensions);
    info.vectors = form;
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    return store;
}

/* n sentences of 20 characters with numbers as ids. */
static void fill(struct sb_store *store, size_t n, size_t dimensions)
{
    enum { AT_ONCE = 1000 };
    static const char text[] = "这一句话一共有二十个汉字，不多也不少一个。";
    char(*ids)[16] = calloc(AT_ONCE, sizeof *ids);
    float *vectors = malloc(AT_ONCE * dimensions * sizeof *vectors);
    struct sb_sentence *all = calloc(AT_ONCE, sizeof *all);
    for (size_t first = 0; first < n; first += AT_ONCE) {
        size_t count = n - first < AT_ONCE ? n - first : AT_ONCE;
        for (size_t i = 0; i < count; i++) {
            snprintf(ids[i], sizeof ids[i], "%zu", first + i);
            normal_vector(vectors + i * dimensions, first + i, dimensions);
            all[i] =
                (struct sb_sentence){.id = ids[i], .text = text, .text_size = 60, .vector = vectors + i * dimensions};
        }
        ck_assert_int_eq(sb_store_upsert(store, "c", hash, all, count, NULL, NULL, NULL), SB_OK);
    }
    free(all);
    free(vectors);
    free(ids);
}

static struct sb_search_results find(struct sb_store *store, const float *queries, size_t count)
{
    struct sb_search search = {.vectors = queries, .queries = count, .top_k = 10, .min_score = -1};
    struct sb_search_results results;
    ck_assert_int_eq(sb_store_search(store, "c", &search, &results, NULL), SB_OK);
    return results;
}

/* How many of the first's matches the second has too, query by query. */
static size_t common(const struct sb_search_results *a, const struct sb_search_results *b)
{
    size_t found = 0;
    for (size_t q = 0; q < a->queries; q++)
        for (size_t i = q ? a->ends[q - 1] : 0; i < a->ends[q]; i++)
            for (size_t j = q ? b->ends[q - 1] : 0; j < b->ends[q]; j++)
                found += strcmp(a->matches[i].sentence.id, b->matches[j].sentence.id) == 0;
    return found;
}

/* Random vectors are the hardest case: their nearest neighbours are hardly nearer than others. */
START_TEST(the_nearest_are_found_in_every_form)
{
    enum { N = 4000, D = 96, QUERIES = 50 };
    static const double least[SB_VECTORS_FORMS] = {1, 0.99, 0.999, 0.93};
    float *queries = malloc(QUERIES * D * sizeof *queries);
    struct sb_search_results exact = {0};
    for (size_t q = 0; q < QUERIES; q++)
        normal_vector(queries + q * D, 1000000 + q, D);
    for (int form = 0; form < SB_VECTORS_FORMS; form++) {
        char name[16];
        snprintf(name, sizeof name, "%d.db", form);
        struct sb_store *store = open_form(name, (enum sb_vectors)form, D);
        fill(store, N, D);
        struct sb_search_results results = find(store, queries, QUERIES), again;
        if (form == SB_VECTORS_F32)
            exact = find(store, queries, QUERIES);
        double recall = (double)common(&exact, &results) / (10 * QUERIES);
        ck_assert_msg(recall >= least[form], "%s: recall %.4f", sb_vectors_name((enum sb_vectors)form), recall);
        sb_store_close(store);
        store = open_store(name);
        again = find(store, queries, QUERIES);
        for (size_t i = 0; i < results.ends[QUERIES - 1]; i++) {
            ck_assert_str_eq(again.matches[i].sentence.id, results.matches[i].sentence.id);
            ck_assert(again.matches[i].score == results.matches[i].score); /* what is stored is what was searched */
        }
        struct sb_search_results alone = find(store, queries + 3 * D, 1);
        for (size_t i = 0; i < 10; i++)
            ck_assert(alone.matches[i].score == results.matches[results.ends[2] + i].score);
        sb_search_results_free(&alone);
        sb_search_results_free(&again);
        sb_search_results_free(&results);
        sb_store_close(store);
    }
    sb_search_results_free(&exact);
    free(queries);
}
END_TEST

START_TEST(a_vector_too_large_for_f16_is_refused)
{
    struct sb_store *store = open_form("a.db", SB_VECTORS_F16, 2);
    const float large[2] = {0, 1e5f};
    struct sb_sentence s = {.id = "1", .text = "x", .text_size = 1, .vector = large};
    struct sb_error error = {0};
    ck_assert_int_eq(put(store, "c", s, &error), SB_INVALID);
    ck_assert_str_eq(error.message, "sentence 0: an element of its vector is too large for f16");
    ck_assert_int_eq(count_of(store, "c"), 0);
    sb_store_close(store);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which take memory of their own */
#define MEASURES_MEMORY
static void check_memory(size_t before, size_t count, size_t stored_size, const char *when)
{
    double each = ((double)sb_memory_resident() - (double)before) / (double)count;
    double most = 1.3 * (double)stored_size + 120;
    ck_assert_msg(each <= most, "%s: %.0f bytes a sentence, at most %.0f", when, each, most);
    ck_assert_msg(each >= (double)stored_size, "%s: %.0f bytes a sentence can not be", when, each);
}

/* At most 1.3 times the vector and 120 bytes a sentence of 20 characters, without an approximate index. */
START_TEST(a_sentence_takes_little_more_than_its_vector)
{
    enum { N = 100000, D = 512, FIRST = 2000 };
    enum sb_vectors form = _i ? SB_VECTORS_INT16 : SB_VECTORS_INT8;
    struct sb_collection_info info = info_of("c", D);
    info.vectors = form;
    info.search = SB_SEARCH_EXACT;
    struct sb_store *store = open_store("a.db");
    ck_assert_int_eq(sb_store_create(store, &info, NULL, NULL), SB_OK);
    fill(store, FIRST, D); /* what SQLite keeps for itself */
    size_t before = sb_memory_resident();
    fill(store, N, D); /* replaces the first ones */
    check_memory(before, N - FIRST, sb_vector_stored_size(form, D), "stored");
    ck_assert_int_eq(count_of(store, "c"), N);
    sb_store_close(store);
    store = open_store("a.db");
    before = sb_memory_resident();
    struct sb_sentences out;
    ck_assert_int_eq(sb_store_get(store, "c", "99999", &out, NULL), SB_OK); /* reads all */
    sb_sentences_free(&out);
    check_memory(before, N, sb_vector_stored_size(form, D), "read");
    sb_store_close(store);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("vectors");
    TCase *tests = tcase_create("vectors");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, forms_keep_what_they_promise);
    tcase_add_test(tests, sizes_are_as_drawn);
    tcase_add_test(tests, odd_vectors_are_kept_or_refused);
    tcase_add_test(tests, the_nearest_are_found_in_every_form);
    tcase_add_test(tests, a_vector_too_large_for_f16_is_refused);
#ifdef MEASURES_MEMORY
    tcase_add_loop_test(tests, a_sentence_takes_little_more_than_its_vector, 0, 2);
#endif
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
