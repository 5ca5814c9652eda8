#include "base/random.h"

#include "base/cpu.h"

#include <math.h>
#include <stdatomic.h>
#include <sys/random.h>

/* One of the ten rounds: two 32x32 -> 64 bit products, whose halves are crossed over and mixed with the key. */
static void philox_round(uint32_t c[4], const uint32_t key[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53 * c[0], p1 = (uint64_t)0xCD9E8D57 * c[2];
    uint32_t x0 = (uint32_t)(p1 >> 32) ^ c[1] ^ key[0], x2 = (uint32_t)(p0 >> 32) ^ c[3] ^ key[1];
    c[0] = x0;
    c[1] = (uint32_t)p1;
    c[2] = x2;
    c[3] = (uint32_t)p0;
}

void sb_random_words(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = (uint32_t)stream;
    out[3] = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        philox_round(out, key);
        key[0] += 0x9E3779B9; /* golden ratio */
        key[1] += 0xBB67AE85; /* sqrt(3) - 1 */
    }
}

/* 53 bits of two words, in [0, 1). */
static double unit(uint32_t low, uint32_t high)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

double sb_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t words[4];
    sb_random_words(words, seed, stream, index);
    return unit(words[0], words[1]);
}

double sb_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t words[4];
    sb_random_words(words, seed, stream, index);
    double radius = sqrt(-2 * log(1 - unit(words[0], words[1]))); /* 1 - u is in (0, 1] */
    return radius * cos(2 * 3.14159265358979323846 * unit(words[2], words[3]));
}

uint64_t sb_random_fresh_seed(void)
{
    static atomic_uint_fast64_t calls;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
        uint32_t words[4];
        sb_random_words(words, (uint64_t)sb_now_ns(), atomic_fetch_add(&calls, 1), 0);
        seed = (uint64_t)words[1] << 32 | words[0];
    }
    return seed >> 11;
}
