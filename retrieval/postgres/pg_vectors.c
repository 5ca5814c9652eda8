/*
 * | u16 dimensions | u16 0 | f32 element | ...    all big-endian, as pgvector's vector_send and vector_recv have it
 */
#include "retrieval/postgres/postgres.h"

#include <arpa/inet.h>
#include <string.h>

enum { HEADER = 4 };

size_t sb_pg_vector_size(size_t dimensions)
{
    return HEADER + dimensions * sizeof(float);
}

void sb_pg_vector_put(char *bytes, const float *vector, size_t dimensions)
{
    uint16_t header[2] = {htons((uint16_t)dimensions), 0};
    memcpy(bytes, header, HEADER);
    for (size_t i = 0; i < dimensions; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        bits = htonl(bits);
        memcpy(bytes + HEADER + i * sizeof bits, &bits, sizeof bits);
    }
}

bool sb_pg_vector_get(float *vector, size_t dimensions, const PGresult *result, int row, int column)
{
    const char *bytes = PQgetvalue(result, row, column);
    uint16_t count;
    if ((size_t)PQgetlength(result, row, column) != sb_pg_vector_size(dimensions))
        return false;
    memcpy(&count, bytes, sizeof count);
    for (size_t i = 0; i < dimensions; i++) {
        uint32_t bits;
        memcpy(&bits, bytes + HEADER + i * sizeof bits, sizeof bits);
        bits = ntohl(bits);
        memcpy(&vector[i], &bits, sizeof bits);
    }
    return ntohs(count) == dimensions;
}
