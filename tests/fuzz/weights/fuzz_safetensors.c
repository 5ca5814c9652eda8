/* Any bytes as a safetensors file. */
#include "tests/fuzz/weights/touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_checkpoint *checkpoint = sb_checkpoint_new();
    struct sb_error error;
    if (checkpoint && sb_safetensors_read(checkpoint, "fuzz", data, size, &error) == SB_OK)
        touch(checkpoint);
    sb_checkpoint_close(checkpoint);
    return 0;
}
