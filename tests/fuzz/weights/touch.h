/* What a reader returns can be read in full: every byte of every tensor, under AddressSanitizer. */
#ifndef SB_TESTS_FUZZ_WEIGHTS_TOUCH_H
#define SB_TESTS_FUZZ_WEIGHTS_TOUCH_H

#include "weights/checkpoint_impl.h"

#include <stdlib.h>

static inline void touch(struct sb_checkpoint *checkpoint)
{
    if (sb_checkpoint_finish(checkpoint, NULL) != SB_OK)
        return;
    for (size_t i = 0; i < sb_checkpoint_count(checkpoint); i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(checkpoint, i);
        const volatile unsigned char *bytes = tensor->data;
        if (sb_checkpoint_find(checkpoint, tensor->name) != tensor)
            abort();
        if (!bytes)
            continue;
        for (size_t k = 0; k < tensor->count * sb_dtype_size(tensor->dtype); k++)
            (void)bytes[k];
        (void)!sb_checkpoint_verify(checkpoint, tensor, NULL);
    }
}

#endif
