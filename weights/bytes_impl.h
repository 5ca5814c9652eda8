/* Little-endian numbers at any alignment. */
#ifndef SB_WEIGHTS_BYTES_IMPL_H
#define SB_WEIGHTS_BYTES_IMPL_H

#include <stdint.h>
#include <string.h>

/* The stored formats are little-endian and tensors are read in place. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weights are read in place: a little-endian machine is needed");

static inline uint16_t sb_load_u16(const void *p)
{
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint32_t sb_load_u32(const void *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint64_t sb_load_u64(const void *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

#endif
