/*
 * A TensorFlow checkpoint ("bundle"): PREFIX.index, a sorted table, and PREFIX.data-00000-of-0000N with the numbers.
 *
 *     key ""         BundleHeaderProto {1: num_shards, 2: endianness (0 little), 3: version {1: producer}}
 *     key NAME       BundleEntryProto  {1: dtype, 2: shape {2: dim {1: size}, 3: unknown_rank}, 3: shard_id, 4: offset,
 *                                       5: size, 6: masked CRC-32C, fixed32, 7: slices}
 *
 * Messages are protocol buffers: varint tag = field * 8 + wire type, then the field; fields that are zero are left out.
 */
#ifndef SB_WEIGHTS_TF_BUNDLE_IMPL_H
#define SB_WEIGHTS_TF_BUNDLE_IMPL_H

#include "base/dtype.h"

#define SB_TF_INDEX ".index"
#define SB_TF_ONLY_SHARD ".data-00000-of-00001"

enum sb_proto_wire {
    SB_PROTO_VARINT = 0,
    SB_PROTO_FIXED64 = 1,
    SB_PROTO_BYTES = 2,
    SB_PROTO_FIXED32 = 5
}; /* 3 and 4 are long dead */

enum sb_tf_header_field { SB_TF_HEADER_SHARDS = 1, SB_TF_HEADER_ENDIANNESS = 2, SB_TF_HEADER_VERSION = 3 };

enum sb_tf_entry_field {
    SB_TF_ENTRY_DTYPE = 1,
    SB_TF_ENTRY_SHAPE = 2,
    SB_TF_ENTRY_SHARD = 3,
    SB_TF_ENTRY_OFFSET = 4,
    SB_TF_ENTRY_SIZE = 5,
    SB_TF_ENTRY_CRC = 6,
    SB_TF_ENTRY_SLICES = 7
};

enum sb_tf_shape_field { SB_TF_SHAPE_DIM = 2, SB_TF_SHAPE_UNKNOWN = 3, SB_TF_DIM_SIZE = 1 };

/* TensorFlow's number for a format, DT_FLOAT = 1 and so on; 0 if it has none. */
int sb_tf_dtype_number(enum sb_dtype dtype);

#endif
