#include "base/random.h"
#include "training/data.h"

enum { ROUNDS = 6 };

/* Names the epoch among the streams of random numbers that a seed has. */
static const uint64_t STREAM_ORDER = (uint64_t)0x6f72646572 << 24; /* "order" */

/* Bits of half of the next power of four. */
static int half_bits(size_t count)
{
    int bits = 1;
    while (bits < 32 && count > (size_t)1 << (2 * bits))
        bits++;
    return bits;
}

/* A bijection of [0, 4^bits): the halves are crossed over, one mixed with a random function of the other. */
static uint64_t feistel(uint64_t value, int bits, uint64_t seed, uint64_t epoch)
{
    uint64_t mask = ((uint64_t)1 << bits) - 1, left = value >> bits, right = value & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t words[4];
        sb_random_words(words, seed, STREAM_ORDER + epoch, round << 32 | right);
        uint64_t mixed = left ^ (words[0] & mask);
        left = right;
        right = mixed;
    }
    return left << bits | right;
}

size_t sb_permute(size_t count, uint64_t seed, uint64_t epoch, size_t index)
{
    int bits = half_bits(count);
    uint64_t value = index;
    do
        value = feistel(value, bits, seed, epoch);
    while (value >= count); /* ends: the cycle that starts below count comes back below it */
    return (size_t)value;
}
