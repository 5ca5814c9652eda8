/*
 * Reading sentences: by id, in pages, all of them.
 */
#include "retrieval/store_impl.h"

#include <stdlib.h>
#include <string.h>

void sb_sentences_free(struct sb_sentences *sentences)
{
    free(sentences->memory);
    *sentences = (struct sb_sentences){0};
}

/* Copies rows of the index, with their vectors when asked for, into one allocation. Under the index's lock. */
static bool copy_rows(struct sb_sentences *out, const struct sb_index *index, const size_t *rows, size_t n,
                      bool with_vectors)
{
    size_t dimensions = index->matrix.dimensions;
    size_t vector_bytes = with_vectors ? dimensions * sizeof(float) : 0, bytes = n * sizeof(struct sb_sentence);
    for (size_t i = 0; i < n; i++) {
        struct sb_sentence sentence = sb_index_sentence(index, rows[i]);
        bytes += vector_bytes + sb_sentence_strings_size(&sentence);
    }
    char *memory = malloc(bytes + 1);
    if (!memory)
        return false;
    struct sb_sentence *items = (struct sb_sentence *)(void *)memory;
    float *vectors = (float *)(void *)(items + n);
    char *at = (char *)vectors + n * vector_bytes;
    for (size_t i = 0; i < n; i++) {
        struct sb_sentence sentence = sb_index_sentence(index, rows[i]);
        at = sb_sentence_copy(&items[i], &sentence, at);
        if (with_vectors) {
            items[i].vector = vectors + i * dimensions;
            sb_matrix_get(&index->matrix, rows[i], vectors + i * dimensions);
        }
    }
    *out = (struct sb_sentences){items, n, with_vectors ? dimensions : 0, memory};
    return true;
}

enum sb_status sb_sqlite_get(struct sb_store *store, const char *collection, const char *id, struct sb_sentences *out,
                             struct sb_error *error)
{
    *out = (struct sb_sentences){0};
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status != SB_OK)
        return status;
    int64_t found = sb_index_find(&c->index, id);
    size_t row = (size_t)found;
    if (found == SB_NO_ROW)
        status = sb_fail(error, SB_NOT_FOUND, "collection '%s' has no sentence '%.100s'", collection, id);
    else if (!copy_rows(out, &c->index, &row, 1, true))
        status = sb_fail(error, SB_NO_MEMORY, "no memory for a sentence");
    sb_collection_end_read(c);
    return status;
}

/* Under the index's lock. */
static enum sb_status scroll(const struct sb_index *index, const char *after, size_t limit, struct sb_sentences *out,
                             struct sb_error *error)
{
    int64_t start = after ? sb_index_find(index, after) : -1;
    if (after && start == SB_NO_ROW)
        return sb_fail(error, SB_NOT_FOUND, "there is no sentence '%.100s' to go on after", after);
    size_t most = limit < index->live ? limit : index->live, n = 0;
    size_t *rows = malloc((most + 1) * sizeof *rows);
    bool good = rows != NULL;
    for (size_t row = (size_t)(start + 1); good && row < index->rows && n < most; row++)
        if (sb_index_is_live(index, row))
            rows[n++] = row;
    good = good && copy_rows(out, index, rows, n, false);
    free(rows);
    return good ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu sentences", most);
}

enum sb_status sb_sqlite_scroll(struct sb_store *store, const char *collection, const char *after, size_t limit,
                                struct sb_sentences *out, struct sb_error *error)
{
    *out = (struct sb_sentences){0};
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status == SB_OK) {
        status = scroll(&c->index, after, limit, out, error);
        sb_collection_end_read(c);
    }
    return status;
}

enum sb_status sb_sqlite_visit(struct sb_store *store, const char *collection,
                               sb_visit visit, void *context,
                               struct sb_error *error)
{
    struct sb_collection *c;
    enum sb_status status = sb_collection_begin_read(store, collection, &c, error);
    if (status != SB_OK)
        return status;
    const struct sb_index *index = &c->index;
    float *vector = malloc(index->matrix.dimensions * sizeof *vector);
    bool goes_on = vector != NULL;
    for (size_t row = 0; goes_on && row < index->rows; row++) {
        if (!sb_index_is_live(index, row))
            continue;
        struct sb_sentence sentence = sb_index_sentence(index, row);
        sb_matrix_get(&index->matrix, row, vector);
        sentence.vector = vector;
        goes_on = visit(context, &sentence, index->matrix.dimensions);
    }
    sb_collection_end_read(c);
    status = vector ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for a vector");
    free(vector);
    return status;
}
