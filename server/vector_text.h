/*
 * Vectors as text, appended to a reply.
 *
 *     sb_put_vector(&body, vector, n);      // [0.1,-0.25]
 *     sb_put_base64(&body, vector, n);      // "zczMPQAAgL4=": the bytes of little-endian float32
 */
#ifndef SB_SERVER_VECTOR_TEXT_H
#define SB_SERVER_VECTOR_TEXT_H

#include "base/buffer.h"

#include <stddef.h>

void sb_put_vector(struct sb_buffer *out, const float *vector, size_t n);
void sb_put_base64(struct sb_buffer *out, const float *vector, size_t n);
/* A double as the shortest text that a client reads back as the same float; scores need no more. */
void sb_put_score(struct sb_buffer *out, double score);
/* A C string as JSON. */
void sb_put_text(struct sb_buffer *out, const char *text);

#endif
