/* A whole file, plain or compressed by the first byte: what opening accepts can be read, in any order. */
#include "training/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ends[] = {"", ".gz", ".xz"};
    const char *folder = getenv("TMPDIR");
    char path[4096];
    if (size == 0)
        return 0;
    snprintf(path, sizeof path, "%s/simbert-fuzz-data-%ld%s", folder ? folder : "/tmp", (long)getpid(), ends[data[0] % 3]);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 0;
    bool written = size == 1 || fwrite(data + 1, 1, size - 1, file) == size - 1;
    if (fclose(file) != 0 || !written)
        abort();
    struct sb_data_options options = sb_data_defaults();
    struct sb_data_file one = {.path = path};
    struct sb_data *opened;
    struct sb_error error;
    options.bytes_max = 1 << 20;
    options.line_max = 1 << 12;
    options.bad_share_max = 1;
    options.positives_only = data[0] & 128;
    if (sb_data_open(&opened, &one, 1, &options, &error) == SB_OK) {
        struct sb_example example = {0};
        for (size_t i = 0; i < sb_data_count(opened); i++)
            if (sb_data_read(opened, i, &example, &error) != SB_OK || example.count == 0)
                abort();
        sb_example_free(&example);
        sb_data_close(opened);
    }
    remove(path);
    return 0;
}
