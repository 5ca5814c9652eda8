/*
 * CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected 0x82F63B78), the checksum of TensorFlow's files.
 *
 *     uint32_t crc = sb_crc32c(0, "123456789", 9);      // 0xE3069283
 *
 * Continue a sum by passing the previous result. Uses the processor's instruction where there is one, else tables of
 * eight bytes a step; both give the same. Thread-safe.
 */
#ifndef SB_WEIGHTS_CRC32C_H
#define SB_WEIGHTS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t sb_crc32c(uint32_t crc, const void *data, size_t size);

/* The table variant by name, so that a test can compare the two. */
uint32_t sb_crc32c_generic(uint32_t crc, const void *data, size_t size);

/* TensorFlow and LevelDB store checksums rotated and shifted: a checksum over data that holds checksums is weak. */
static inline uint32_t sb_crc32c_unmask(uint32_t masked)
{
    uint32_t rotated = masked - 0xA282EAD8u;
    return rotated >> 17 | rotated << 15;
}

static inline uint32_t sb_crc32c_mask(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

#endif
