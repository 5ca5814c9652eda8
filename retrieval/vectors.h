/*
 * A collection's vectors in memory, in the form that is stored. Only retrieval/ includes this.
 *
 * Stored vectors, little-endian (d: dimensions):
 *
 *     f32    | d floats                       |
 *     f16    | d halves                       |
 *     int16  | scale: float | d upper bytes | d lower bytes |   element = scale * (256 (upper - 128) + (lower - 128))
 *     int8   | scale: float | d bytes         |                 element = scale * (byte - 128)
 *
 * The scale maps the element of largest magnitude to 32639 (int16) or 127 (int8); a scale of 0 is a vector of zeros. In
 * memory each part is a matrix of its own, so that a search of an int16 collection reads the upper bytes only: they are
 * the int8 form of the vector, with a scale 256 times as large.
 */
#ifndef SB_RETRIEVAL_VECTORS_H
#define SB_RETRIEVAL_VECTORS_H

#include "kernels/scores.h"
#include "retrieval/region.h"
#include "retrieval/store.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sb_matrix {
    enum sb_vectors form;
    size_t dimensions;
    struct sb_region main;   /* [rows, dimensions] floats, halves, or (upper) bytes */
    struct sb_region low;    /* [rows, dimensions] lower bytes, int16 only */
    struct sb_region scales; /* [rows] floats, int16 and int8 only: of one step of the main matrix */
};

bool sb_matrix_reserve(struct sb_matrix *matrix, size_t rows); /* false when out of memory */
void sb_matrix_free(struct sb_matrix *matrix);                 /* keeps form and dimensions */

size_t sb_vector_stored_size(enum sb_vectors form, size_t dimensions);
/* stored[sb_vector_stored_size()] = vector[dimensions], finite. False if an element is too large for f16. */
bool sb_vector_encode(void *stored, enum sb_vectors form, const float *vector, size_t dimensions);

void sb_matrix_put(struct sb_matrix *matrix, size_t row, const void *stored);
void sb_matrix_move(struct sb_matrix *matrix, size_t to, size_t from);
void sb_matrix_get(const struct sb_matrix *matrix, size_t row, float *vector);

/* Of a stored vector and a query; of two stored vectors, from their main parts. */
float sb_matrix_dot(const struct sb_matrix *matrix, const struct sb_score_kernels *kernels, size_t row,
                    const float *query);
float sb_matrix_pair(const struct sb_matrix *matrix, const struct sb_score_kernels *kernels, size_t a, size_t b);

/* Queries as the scan of the matrix's form takes them. */
struct sb_queries {
    const float *vectors; /* [count, dimensions], borrowed */
    int8_t *bytes;        /* [count, dimensions], int16 and int8 only */
    float *scales;        /* [count] */
    size_t count;
};
bool sb_queries_init(struct sb_queries *queries, const struct sb_matrix *matrix, const float *vectors, size_t count);
void sb_queries_free(struct sb_queries *queries);

/* scores[q * ld + r] = about the dot product of row `first + r` and query `q_first + q`: to within rounding in f32 and f16,
   with both of them rounded to 8 bits in int16 and int8. ld at least rows. */
void sb_matrix_scan(float *scores, size_t ld, const struct sb_matrix *matrix, const struct sb_score_kernels *kernels,
                    size_t first, size_t rows, const struct sb_queries *queries, size_t q_first, size_t q_count);
/* The same for the rows which[count] and one query. */
void sb_matrix_gather(float *scores, const struct sb_matrix *matrix, const struct sb_score_kernels *kernels,
                      const uint32_t *which, size_t count, const struct sb_queries *queries, size_t q);

#ifdef __cplusplus
}
#endif
#endif
