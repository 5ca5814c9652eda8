#include "training/checkpoints.h"

#include "base/file.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[8] = {'S', 'B', 'C', 'K', 'P', 'T', '0', '1'};
static const char state_name[] = "state";

enum { MAX_STATE = 16 << 20, MAX_NAME = 255, MAX_FILES = 4096 };

void sb_checkpoints_path(char *path, size_t size, const char *dir, uint64_t step)
{
    snprintf(path, size, "%s/step-%012" PRIu64 ".ckpt", dir, step);
}

/* ---- Writing ---- */

struct writing {
    struct sb_file_writer *file;
    struct sb_hash hash;
    enum sb_status status;
    struct sb_error *error;
};

static void put(struct writing *w, const void *data, size_t size)
{
    if (w->status != SB_OK || size == 0)
        return;
    sb_hash_bytes(&w->hash, data, size);
    w->status = sb_file_writer_write(w->file, data, size, w->error);
}

static void put_part(struct writing *w, const char *name, const void *data, size_t size)
{
    uint32_t length = (uint32_t)strlen(name);
    uint64_t bytes = size;
    put(w, &length, sizeof length);
    put(w, name, length);
    put(w, &bytes, sizeof bytes);
    put(w, data, size);
}

/* Steps of the checkpoints in a folder, the newest first; count 0 when there are none or no folder. */
static size_t list_steps(const char *dir, uint64_t steps[MAX_FILES])
{
    DIR *folder = opendir(dir);
    size_t count = 0;
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        uint64_t step;
        int end = 0;
        if (count == MAX_FILES || sscanf(entry->d_name, "step-%12" SCNu64 ".ckpt%n", &step, &end) != 1 ||
            end != (int)strlen(entry->d_name) || end == 0)
            continue;
        size_t i = count++;
        for (; i > 0 && steps[i - 1] < step; i--)
            steps[i] = steps[i - 1];
        steps[i] = step;
    }
    if (folder)
        closedir(folder);
    return count;
}

static void remove_old(const char *dir, size_t keep)
{
    uint64_t *steps = malloc(MAX_FILES * sizeof *steps);
    size_t count = steps ? list_steps(dir, steps) : 0;
    for (size_t i = keep; i < count; i++) {
        char path[PATH_MAX];
        sb_checkpoints_path(path, sizeof path, dir, steps[i]);
        unlink(path);
    }
    free(steps);
}

enum sb_status sb_checkpoints_save(const char *dir, uint64_t step, const struct sb_checkpoint_part *parts, size_t count,
                                   const char *state, size_t keep, struct sb_error *error)
{
    char path[PATH_MAX], digits[SB_HASH_DIGITS + 1];
    sb_checkpoints_path(path, sizeof path, dir, step);
    struct writing w = {.error = error, .status = sb_make_folders(dir, error)};
    if (w.status == SB_OK)
        w.status = sb_file_writer_begin(&w.file, path, error);
    sb_hash_begin(&w.hash);
    put(&w, magic, sizeof magic);
    for (size_t i = 0; i < count; i++)
        put_part(&w, parts[i].name, parts[i].data, parts[i].bytes);
    put_part(&w, state_name, state, strlen(state));
    sb_hash_end(&w.hash, digits);
    put(&w, digits, SB_HASH_DIGITS);
    if (w.status != SB_OK) {
        sb_file_writer_abandon(w.file);
        return w.status;
    }
    w.status = sb_file_writer_commit(w.file, error);
    if (w.status == SB_OK)
        remove_old(dir, keep);
    return w.status;
}

/* ---- Reading ---- */

struct reading {
    FILE *file;
    struct sb_hash hash;
    bool whole; /* false: the file ended too early, or can not be read */
};

static void take(struct reading *r, void *data, size_t size)
{
    if (!r->whole || size == 0)
        return;
    r->whole = fread(data, 1, size, r->file) == size;
    if (r->whole)
        sb_hash_bytes(&r->hash, data, size);
}

/* The head of a part; its name in name[MAX_NAME + 1]. */
static uint64_t take_head(struct reading *r, char *name)
{
    uint32_t length = 0;
    uint64_t bytes = 0;
    take(r, &length, sizeof length);
    if (length < 1 || length > MAX_NAME)
        r->whole = false;
    take(r, name, r->whole ? length : 0);
    name[r->whole ? length : 0] = '\0';
    take(r, &bytes, sizeof bytes);
    return bytes;
}

static enum sb_status read_parts(struct reading *r, const struct sb_checkpoint_part *parts, size_t count, char **state,
                                 const char *path, struct sb_error *error)
{
    char name[MAX_NAME + 1], stored[SB_HASH_DIGITS], digits[SB_HASH_DIGITS + 1], start[sizeof magic] = {0};
    take(r, start, sizeof start);
    if (memcmp(start, magic, sizeof magic) != 0)
        return sb_fail(error, SB_CORRUPT, "%s: not a checkpoint", path);
    for (size_t i = 0; i <= count; i++) {
        uint64_t bytes = take_head(r, name);
        const char *expected = i < count ? parts[i].name : state_name;
        if (!r->whole)
            break;
        if (strcmp(name, expected) != 0 || (i < count ? bytes != parts[i].bytes : bytes > MAX_STATE))
            return sb_fail(error, SB_INVALID,
                           "%s: holds '%s' of %" PRIu64 " bytes where this run has '%s': it is of another recipe or model; "
                           "remove it, or use another output folder",
                           path, name, bytes, expected);
        if (i == count)
            *state = calloc(1, bytes + 1);
        if (i == count && !*state)
            return sb_fail(error, SB_NO_MEMORY, "%s: no memory to read it", path);
        take(r, i < count ? parts[i].data : *state, bytes);
    }
    sb_hash_end(&r->hash, digits);
    take(r, stored, sizeof stored);
    if (!r->whole || memcmp(stored, digits, sizeof stored) != 0)
        return sb_fail(error, SB_CORRUPT, "%s: damaged: cut off, or its bytes have changed", path);
    return SB_OK;
}

static enum sb_status load_file(const char *path, const struct sb_checkpoint_part *parts, size_t count, char **state,
                                struct sb_error *error)
{
    struct reading r = {.file = fopen(path, "rb"), .whole = true};
    *state = NULL;
    if (!r.file)
        return sb_fail(error, SB_CORRUPT, "%s: can not be read: %s", path, strerror(errno));
    sb_hash_begin(&r.hash);
    enum sb_status status = read_parts(&r, parts, count, state, path, error);
    fclose(r.file);
    if (status != SB_OK) {
        free(*state);
        *state = NULL;
    }
    return status;
}

enum sb_status sb_checkpoints_load(const char *dir, const struct sb_checkpoint_part *parts, size_t count, uint64_t *step,
                                   char **state, struct sb_error *error)
{
    uint64_t *steps = malloc(MAX_FILES * sizeof *steps);
    if (!steps)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to look for checkpoints", dir);
    size_t files = list_steps(dir, steps);
    enum sb_status status = SB_NOT_FOUND;
    if (files == 0)
        sb_fail(error, SB_NOT_FOUND, "%s: holds no checkpoint", dir);
    for (size_t i = 0; i < files; i++) {
        char path[PATH_MAX];
        sb_checkpoints_path(path, sizeof path, dir, steps[i]);
        *step = steps[i];
        status = load_file(path, parts, count, state, error);
        if (status != SB_CORRUPT)
            break;
    }
    free(steps);
    return status;
}
