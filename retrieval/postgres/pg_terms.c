/*
 * | i32 1 axis | i32 0 no nulls | i32 20 bigint | i32 count | i32 1 first subscript | i32 8 | i64 term | i32 8 | ...
 *
 * big-endian, as PostgreSQL's array_recv has it. Without terms there is no axis, and nothing behind the type.
 */
#include "base/buffer.h"
#include "retrieval/postgres/postgres.h"
#include "retrieval/terms.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

enum { BIGINT_TYPE = 20, COUNT_AT = 12, EMPTY = 12 };

static void put_int(struct sb_buffer *bytes, uint32_t value)
{
    value = htonl(value);
    sb_buffer_bytes(bytes, &value, sizeof value);
}

static uint32_t put_all(struct sb_buffer *bytes, const char *text, size_t size)
{
    struct sb_terms terms = sb_terms_of(text, size);
    sb_term term;
    uint32_t count = 0;
    for (; sb_terms_next(&terms, &term); count++) {
        uint64_t item = htobe64(term);
        put_int(bytes, sizeof item);
        sb_buffer_bytes(bytes, &item, sizeof item);
    }
    return count;
}

void sb_pg_terms_put(struct sb_buffer *bytes, const char *text, size_t size)
{
    size_t start = bytes->length;
    const uint32_t header[] = {1, 0, BIGINT_TYPE, 0, 1};
    for (size_t i = 0; i < sizeof header / sizeof *header; i++)
        put_int(bytes, header[i]);
    uint32_t count = put_all(bytes, text, size), axes = htonl(0);
    if (bytes->failed)
        return;
    if (count == 0) {
        memcpy(bytes->data + start, &axes, sizeof axes);
        bytes->length = start + EMPTY;
        return;
    }
    count = htonl(count);
    memcpy(bytes->data + start + COUNT_AT, &count, sizeof count);
}
