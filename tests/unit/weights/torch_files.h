/* Opening pytorch_model.bin in tests. Static: each test links alone. */
#ifndef SB_TESTS_WEIGHTS_TORCH_FILES_H
#define SB_TESTS_WEIGHTS_TORCH_FILES_H

#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "weights/checkpoint.h"

#include <string.h>

static inline struct sb_checkpoint *open_ok(const char *dir)
{
    struct sb_checkpoint *checkpoint;
    struct sb_error error;
    ck_assert_msg(sb_checkpoint_open(&checkpoint, dir, &error) == SB_OK, "%s: %s", dir, error.message);
    return checkpoint;
}

static inline void expect_error(enum sb_status status, const char *words)
{
    struct sb_checkpoint *checkpoint;
    struct sb_error error = {0};
    enum sb_status got = sb_checkpoint_open(&checkpoint, scratch("m"), &error);
    ck_assert_msg(got == status && strstr(error.message, words), "expected %s \"%s\", got %s: %s",
                  sb_status_name(status), words, sb_status_name(got), error.message);
    ck_assert_ptr_null(checkpoint);
}

#endif
