#include "server/vector_text.h"

#include <stdint.h>
#include <string.h>

void sb_put_vector(struct sb_buffer *out, const float *vector, size_t n)
{
    sb_buffer_bytes(out, "[", 1);
    for (size_t i = 0; i < n; i++) {
        if (i)
            sb_buffer_bytes(out, ",", 1);
        sb_buffer_float(out, vector[i]);
    }
    sb_buffer_bytes(out, "]", 1);
}

/* Byte i of the vector as little-endian float32, whatever this machine's order; 0 behind its end. */
static uint32_t byte_at(const float *vector, size_t bytes, size_t i)
{
    uint32_t bits;
    if (i >= bytes)
        return 0;
    memcpy(&bits, vector + i / 4, sizeof bits);
    return bits >> 8 * (i % 4) & 0xFF;
}

void sb_put_base64(struct sb_buffer *out, const float *vector, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = 4 * n;
    sb_buffer_bytes(out, "\"", 1);
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t group =
            byte_at(vector, bytes, i) << 16 | byte_at(vector, bytes, i + 1) << 8 | byte_at(vector, bytes, i + 2);
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63], digits[group & 63]};
        if (i + 1 >= bytes)
            text[2] = '=';
        if (i + 2 >= bytes)
            text[3] = '=';
        sb_buffer_bytes(out, text, 4);
    }
    sb_buffer_bytes(out, "\"", 1);
}

void sb_put_score(struct sb_buffer *out, double score)
{
    sb_buffer_float(out, (float)score);
}

void sb_put_text(struct sb_buffer *out, const char *text)
{
    sb_buffer_json_string(out, text, strlen(text));
}
