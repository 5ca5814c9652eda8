#include "weights/crc32c.h"

#include "weights/bytes_impl.h"

#include <pthread.h>

/* table[0][b] is the CRC of byte b; table[k][b] that of b followed by k zero bytes. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
        table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t b = 0; b < 256; b++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xFF];
}

uint32_t sb_crc32c_generic(uint32_t crc, const void *data, size_t size)
{
    pthread_once(&table_once, make_table);
    const unsigned char *p = data;
    uint32_t sum = ~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word = sb_load_u64(p) ^ sum;
        sum = table[7][word & 0xFF] ^ table[6][word >> 8 & 0xFF] ^ table[5][word >> 16 & 0xFF] ^
              table[4][word >> 24 & 0xFF] ^ table[3][word >> 32 & 0xFF] ^ table[2][word >> 40 & 0xFF] ^
              table[1][word >> 48 & 0xFF] ^ table[0][word >> 56];
    }
    for (; size > 0; size--, p++)
        sum = sum >> 8 ^ table[0][(sum ^ *p) & 0xFF];
    return ~sum;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t sum = ~crc;
    for (; size >= 8; size -= 8, p += 8)
        sum = _mm_crc32_u64(sum, sb_load_u64(p));
    for (; size > 0; size--, p++)
        sum = _mm_crc32_u8((uint32_t)sum, *p);
    return ~(uint32_t)sum;
}

uint32_t sb_crc32c(uint32_t crc, const void *data, size_t size)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, size) : sb_crc32c_generic(crc, data, size);
}
#else
uint32_t sb_crc32c(uint32_t crc, const void *data, size_t size)
{
    return sb_crc32c_generic(crc, data, size);
}
#endif
