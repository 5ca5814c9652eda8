/*
 * The sorted table of a TensorFlow ".index" file, in the layout of LevelDB:
 *
 *     | block, kind, crc | block, kind, crc | ... | index block, kind, crc | footer, 48 bytes |
 *
 *     footer:  handle of the metaindex | handle of the index | zeros up to byte 40 | magic, 8 bytes
 *     handle:  varint offset, varint size (of the block alone)
 *     kind:    1 byte, 0 plain, 1 snappy; crc: 4 bytes, masked CRC-32C of block and kind
 *     block:   entries | u32 offset of every 16th entry ... | u32 number of those offsets
 *     entry:   varint shared | varint unshared | varint value size | key, unshared bytes | value
 *
 * An entry's key is the first `shared` bytes of the key before it and the bytes that follow. The index block maps a key
 * behind the last of each block to the block's handle.
 */
#ifndef SB_WEIGHTS_TF_TABLE_IMPL_H
#define SB_WEIGHTS_TF_TABLE_IMPL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SB_TABLE_MAX_KEY = 4096, SB_TABLE_FOOTER_SIZE = 48 };
#define SB_TABLE_MAGIC UINT64_C(0xdb4775248b80fb57)

/* Called for every entry, keys rising; key and value live until it returns. Anything but SB_OK ends the walk. */
typedef enum sb_status (*sb_table_visitor)(void *context, const char *key, size_t key_size, const void *value,
                                           size_t value_size, struct sb_error *error);

SB_MUST_CHECK enum sb_status sb_table_walk(const char *file, const void *data, size_t size, sb_table_visitor visit,
                                           void *context, struct sb_error *error);

/* Reads a base-128 number, low bits first, at *at < size and moves *at behind it. False when it is cut or has more than
 * 64 bits. */
bool sb_varint(uint64_t *value, const uint8_t *data, size_t size, size_t *at);

#endif
