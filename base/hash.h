/*
 * A fast 128-bit hash that tells files apart. Not cryptographic: it identifies what was loaded, it proves nothing
 * about who made it.
 *
 *     struct sb_hash hash;
 *     sb_hash_begin(&hash);
 *     sb_hash_bytes(&hash, data, size);       // any number of times; each call is a piece of its own
 *     sb_hash_end(&hash, digits);
 */
#ifndef SB_BASE_HASH_H
#define SB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { SB_HASH_LANES = 8, SB_HASH_DIGITS = 32 };

struct sb_hash {
    uint64_t lanes[SB_HASH_LANES];
};

void sb_hash_begin(struct sb_hash *hash);
void sb_hash_bytes(struct sb_hash *hash, const void *data, size_t size);
void sb_hash_end(const struct sb_hash *hash, char digits[SB_HASH_DIGITS + 1]);

#endif
