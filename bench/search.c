/*
 * The collections of simbert for bench/search.py: stores vectors, then searches them with one query at a time and with all
 * at once. Times are processor time of the searching thread, in seconds; built by bench/search.py.
 *
 *     search FOLDER ROWS.f32 QUERIES.f32 DIMENSIONS FORM auto|exact FOUND.i32
 *
 * A collection that is in FOLDER from an earlier run is searched as it is. Prints a line of JSON; writes the 10 row numbers that each query found, -1 where there were fewer.
 */
#include "base/cpu.h"
#include "base/file.h"
#include "retrieval/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TOP_K = 10, AT_ONCE = 2000, REPEATS = 3 };
static const char text[] = "这一句话一共有二十个汉字，不多也不少一个。";
static const char model[] = "00112233445566778899aabbccddeeff";

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void must(enum sb_status status, const struct sb_error *error)
{
    if (status == SB_OK)
        return;
    fprintf(stderr, "search: %s\n", error->message);
    exit(1);
}

static void store_rows(struct sb_store *store, const float *rows, size_t n, size_t dimensions)
{
    static char ids[AT_ONCE][24];
    static struct sb_sentence all[AT_ONCE];
    struct sb_error error;
    for (size_t first = 0; first < n; first += AT_ONCE) {
        size_t count = n - first < AT_ONCE ? n - first : AT_ONCE;
        for (size_t i = 0; i < count; i++) {
            snprintf(ids[i], sizeof ids[i], "%zu", first + i);
            all[i] = (struct sb_sentence){
                .id = ids[i], .text = text, .text_size = 60, .vector = rows + (first + i) * dimensions};
        }
        must(sb_store_upsert(store, "c", model, all, count, NULL, NULL, &error), &error);
    }
}

/* Stores all, in so many seconds; 0 if they are there from an earlier run. */
static void fill(struct sb_store *store, const char *form, const struct sb_mapping *rows, size_t n, size_t dimensions,
                 double *stored)
{
    struct sb_collection_info info = {.name = "c", .dimensions = (int)dimensions}, there;
    struct sb_error error;
    *stored = 0;
    if (sb_store_describe(store, "c", &there, NULL) == SB_OK && (size_t)there.count == n)
        return;
    snprintf(info.model_hash, sizeof info.model_hash, "%s", model);
    if (!sb_vectors_parse(form, &info.vectors))
        exit(2);
    must(sb_store_create(store, &info, NULL, &error), &error);
    double begin = seconds(CLOCK_THREAD_CPUTIME_ID);
    store_rows(store, rows->data, n, dimensions);
    *stored = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static double wait_for_index(struct sb_store *store)
{
    struct sb_collection_info info = {.is_indexed = false};
    struct sb_error error;
    double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (!info.is_indexed) {
        usleep(100000);
        must(sb_store_describe(store, "c", &info, &error), &error);
    }
    return seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
}

static void note(int32_t *found, const struct sb_search_results *results)
{
    for (size_t q = 0; q < results->queries; q++) {
        size_t first = q ? results->ends[q - 1] : 0;
        for (size_t i = 0; i < TOP_K; i++)
            found[q * TOP_K + i] =
                first + i < results->ends[q] ? (int32_t)atol(results->matches[first + i].sentence.id) : -1;
    }
}

/* Seconds of one search. */
static double search(struct sb_store *store, const float *queries, size_t n, bool exact, int32_t *found)
{
    struct sb_search s = {.vectors = queries, .queries = n, .top_k = TOP_K, .min_score = -1, .exact = exact};
    struct sb_search_results results;
    struct sb_error error;
    double begin = seconds(CLOCK_THREAD_CPUTIME_ID);
    must(sb_store_search(store, "c", &s, &results, &error), &error);
    double took = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    note(found, &results);
    sb_search_results_free(&results);
    return took;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct sb_mapping rows, queries;
    struct sb_error error;
    if (argc != 8)
        return 2;
    size_t dimensions = strtoul(argv[4], NULL, 10);
    bool exact = strcmp(argv[6], "exact") == 0;
    must(sb_map_file(&rows, argv[2], &error), &error);
    must(sb_map_file(&queries, argv[3], &error), &error);
    size_t n = rows.size / sizeof(float) / dimensions, q = queries.size / sizeof(float) / dimensions;
    char *path = sb_path_join(argv[1], "search.db");
    struct sb_store *store;
    must(sb_store_open(&store, path, NULL, &error), &error);
    sb_store_set_approximate_from(store, exact ? SIZE_MAX : 1);
    size_t before = sb_memory_resident();
    sb_mapping_forget_pages(&rows);
    double stored, built = 0;
    fill(store, argv[5], &rows, n, dimensions, &stored);
    sb_mapping_forget_pages(&rows);
    search(store, queries.data, 1, true, (int32_t[TOP_K]){0}); /* reads a collection that is only on disk */
    if (!exact)
        built = wait_for_index(store);
    double bytes = (double)(sb_memory_resident() - before) / (double)n;

    double *times = malloc(q * REPEATS * sizeof *times), batch = 1e9;
    int32_t *found = malloc(q * TOP_K * sizeof *found);
    for (size_t i = 0; i < q * REPEATS; i++)
        times[i] = search(store, (const float *)queries.data + i % q * dimensions, 1, exact, found + i % q * TOP_K);
    qsort(times, q * REPEATS, sizeof *times, by_value);
    int32_t *again = malloc(q * TOP_K * sizeof *again);
    for (int i = 0; i < REPEATS; i++) {
        double took = search(store, queries.data, q, exact, again);
        batch = took < batch ? took : batch;
    }
    FILE *out = fopen(argv[7], "wb");
    if (!out || fwrite(found, sizeof *found, q * TOP_K, out) != q * TOP_K || fclose(out) != 0)
        return 1;
    printf("{\"store\":%g,\"build\":%g,\"bytes\":%.0f,\"median\":%g,\"p99\":%g,\"batch\":%g}\n", stored, built, bytes,
           times[q * REPEATS / 2], times[q * REPEATS * 99 / 100], batch / (double)q);
    sb_store_close(store);
    free(path);
    return 0;
}
