/*
 * The main() of a fuzz target in a build without libFuzzer: gives it every file of the folders named on the command line,
 * so that what fuzzing once found stays fixed.
 */
#include "base/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 << 20 };

/* Runs one file from memory of exactly its size: reading past the end is then seen by AddressSanitizer. */
static bool replay_file(const char *path)
{
    struct sb_error error;
    char *text;
    size_t size;
    if (sb_read_file(&text, &size, path, INPUT_MAX, &error) != SB_OK) {
        fprintf(stderr, "%s\n", error.message);
        return false;
    }
    uint8_t *exact = malloc(size ? size : 1);
    if (exact) {
        memcpy(exact, text, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(text);
    return exact != NULL;
}

/* Returns the number of files replayed, -1 if one could not be read. */
static int replay_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), replayed = 0;
    for (int i = 0; i < count; i++) {
        char *path = entries[i]->d_name[0] == '.' ? NULL : sb_path_join(folder, entries[i]->d_name);
        if (path && replayed >= 0)
            replayed = replay_file(path) ? replayed + 1 : -1;
        free(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return count < 0 ? -1 : replayed;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int replayed = replay_folder(argv[i]);
        if (replayed < 0) {
            fprintf(stderr, "%s: can not be replayed\n", argv[i]);
            return 1;
        }
        total += replayed;
    }
    printf("%d inputs replayed\n", total);
    return total == 0;
}
