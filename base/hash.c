#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 8 * SB_HASH_LANES };

/* Odd, with bits all over: fractional parts of the square roots of the first primes. */
static const uint64_t multipliers[SB_HASH_LANES] = {
    UINT64_C(0x6a09e667f3bcc909), UINT64_C(0xbb67ae8584caa73b), UINT64_C(0x3c6ef372fe94f82b),
    UINT64_C(0xa54ff53a5f1d36f1), UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
    UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179),
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t load_word(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Every step (xor, odd product, rotation) can be undone, so a lane forgets nothing of its words; the rotation brings
   the high bits, where products mix, back to where the next product takes them up. Lanes do not wait for each other. */
static void absorb(struct sb_hash *hash, const unsigned char *block)
{
    for (int i = 0; i < SB_HASH_LANES; i++)
        hash->lanes[i] = rotate((hash->lanes[i] ^ load_word(block + 8 * i)) * multipliers[i], 29);
}

/* Spreads each bit over the whole word. */
static uint64_t finish(uint64_t x)
{
    x = (x ^ x >> 32) * multipliers[0];
    x = (x ^ x >> 29) * multipliers[3];
    return x ^ x >> 32;
}

void sb_hash_begin(struct sb_hash *hash)
{
    memcpy(hash->lanes, multipliers, sizeof hash->lanes);
}

void sb_hash_bytes(struct sb_hash *hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    unsigned char last[BLOCK] = {0};
    size_t left = size;
    for (; left >= BLOCK; left -= BLOCK, bytes += BLOCK)
        absorb(hash, bytes);
    if (left)
        memcpy(last, bytes, left);
    absorb(hash, last);
    /* The length ends a piece: zeros at the end and the border between two pieces count. */
    const uint64_t length[SB_HASH_LANES] = {[0] = size, [5] = size};
    absorb(hash, (const unsigned char *)length);
}

void sb_hash_end(const struct sb_hash *hash, char digits[SB_HASH_DIGITS + 1])
{
    uint64_t high = 0, low = 0;
    for (int i = 0; i < SB_HASH_LANES; i++) {
        uint64_t lane = finish(hash->lanes[i] + (uint64_t)i);
        high = (rotate(high, 23) ^ lane) * multipliers[1];
        low = (rotate(low, 41) + lane) * multipliers[6];
    }
    snprintf(digits, SB_HASH_DIGITS + 1, "%016" PRIx64 "%016" PRIx64, finish(high), finish(low));
}
