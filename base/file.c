#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* "verb path: reason" with the reason of errno. */
static enum sb_status fail_errno(struct sb_error *error, const char *verb, const char *path)
{
    int reason = errno;
    enum sb_status status = reason == ENOENT || reason == ENOTDIR ? SB_NOT_FOUND : SB_IO;
    return sb_fail(error, status, "cannot %s %s: %s", verb, path, strerror(reason));
}

/* Opens a regular file for reading; *size is its size now. */
static enum sb_status open_regular(int *fd, size_t *size, const char *path, struct sb_error *error)
{
    /* O_NONBLOCK: opening a pipe that nobody writes must not hang; it means nothing for regular files. */
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0)
        return fail_errno(error, "open", path);
    struct stat about;
    enum sb_status status = SB_OK;
    if (fstat(opened, &about) != 0)
        status = fail_errno(error, "look at", path);
    else if (!S_ISREG(about.st_mode))
        status = sb_fail(error, SB_IO, "cannot read %s: it is not a regular file", path);
    else if ((uintmax_t)about.st_size > SIZE_MAX - 1)
        status = sb_fail(error, SB_LIMIT, "cannot read %s: %jd bytes do not fit the address space", path,
                         (intmax_t)about.st_size);
    if (status != SB_OK) {
        close(opened);
        return status;
    }
    *fd = opened;
    *size = (size_t)about.st_size;
    return SB_OK;
}

enum sb_status sb_map_file(struct sb_mapping *mapping, const char *path, struct sb_error *error)
{
    int fd = -1;
    size_t size = 0;
    *mapping = (struct sb_mapping){0};
    enum sb_status status = open_regular(&fd, &size, path, error);
    if (status != SB_OK)
        return status;
    if (size > 0) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = sb_fail(error, SB_IO, "cannot map %s: %s", path, strerror(errno));
        else
            *mapping = (struct sb_mapping){data, size};
    }
    close(fd);
    return status;
}

void sb_unmap(struct sb_mapping *mapping)
{
    if (mapping->data)
        munmap((void *)(uintptr_t)mapping->data, mapping->size);
    *mapping = (struct sb_mapping){0};
}

void sb_mapping_forget_pages(const struct sb_mapping *mapping)
{
    if (mapping->data) /* only advice: nothing is lost when the kernel refuses */
        madvise((void *)(uintptr_t)mapping->data, mapping->size, MADV_DONTNEED);
}

enum sb_status sb_read_file(char **data, size_t *size, const char *path, size_t limit, struct sb_error *error)
{
    int fd = -1;
    size_t expected = 0, used = 0;
    char *bytes = NULL;
    *data = NULL;
    *size = 0;
    enum sb_status status = open_regular(&fd, &expected, path, error);
    if (status != SB_OK)
        return status;
    if (expected > limit) {
        status = sb_fail(error, SB_LIMIT, "%s has %zu bytes, more than the limit of %zu", path, expected, limit);
        goto cleanup;
    }
    bytes = malloc(expected + 1);
    if (!bytes) {
        status = sb_fail(error, SB_NO_MEMORY, "no memory for the %zu bytes of %s", expected, path);
        goto cleanup;
    }
    while (used < expected) {
        ssize_t n = read(fd, bytes + used, expected - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = fail_errno(error, "read", path);
            goto cleanup;
        }
        if (n == 0) /* somebody truncated it since we looked */
            break;
        used += (size_t)n;
    }
    bytes[used] = '\0';
    *data = bytes;
    *size = used;
    bytes = NULL;
cleanup:
    free(bytes);
    close(fd);
    return status;
}

struct sb_file_writer {
    int fd;
    bool failed; /* a write failed: commit must not replace the good file by half a new one */
    char *path, *temporary;
};

static void writer_free(struct sb_file_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    free(writer->path);
    free(writer->temporary);
    free(writer);
}

/* Creates "path.PID.N.tmp" in the folder of path, since rename stays in one file system. -1: see errno. */
static int create_temporary(char **temporary, const char *path)
{
    static atomic_uint counter;
    for (int tries = 0; tries < 100; tries++) {
        char *name;
        if (asprintf(&name, "%s.%ld.%u.tmp", path, (long)getpid(), atomic_fetch_add(&counter, 1)) < 0) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            *temporary = name;
            return fd;
        }
        free(name);
        if (errno != EEXIST) /* left behind by a crashed process with our number: take the next name */
            return -1;
    }
    return -1;
}

enum sb_status sb_file_writer_begin(struct sb_file_writer **writer, const char *path, struct sb_error *error)
{
    *writer = NULL;
    struct sb_file_writer *w = calloc(1, sizeof *w);
    if (!w)
        return sb_fail(error, SB_NO_MEMORY, "no memory to write %s", path);
    w->fd = -1;
    w->path = strdup(path);
    if (!w->path) {
        writer_free(w);
        return sb_fail(error, SB_NO_MEMORY, "no memory to write %s", path);
    }
    w->fd = create_temporary(&w->temporary, path);
    if (w->fd < 0) {
        enum sb_status status = fail_errno(error, "create", path);
        writer_free(w);
        return status;
    }
    *writer = w;
    return SB_OK;
}

enum sb_status sb_file_writer_write(struct sb_file_writer *writer, const void *data, size_t size,
                                    struct sb_error *error)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t n = write(writer->fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            writer->failed = true;
            return sb_fail(error, SB_IO, "cannot write %s: %s", writer->path, strerror(errno));
        }
        bytes += n;
        size -= (size_t)n;
    }
    return SB_OK;
}

/* Without this a crash may forget the rename, though not the content. */
static enum sb_status sync_folder_of(const char *path, struct sb_error *error)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!folder)
        return sb_fail(error, SB_NO_MEMORY, "no memory to sync the folder of %s", path);
    enum sb_status status = SB_OK;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* EINVAL: a file system that can not sync folders and needs none of it */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        status = sb_fail(error, SB_IO, "cannot sync the folder %s: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(folder);
    return status;
}

enum sb_status sb_file_writer_commit(struct sb_file_writer *writer, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    if (writer->failed)
        status = sb_fail(error, SB_IO, "%s is not replaced: writing it failed", writer->path);
    else if (fsync(writer->fd) != 0)
        status = sb_fail(error, SB_IO, "cannot sync %s: %s", writer->path, strerror(errno));
    int closed = close(writer->fd);
    writer->fd = -1;
    if (status == SB_OK && closed != 0)
        status = sb_fail(error, SB_IO, "cannot close %s: %s", writer->path, strerror(errno));
    if (status == SB_OK && rename(writer->temporary, writer->path) != 0)
        status = sb_fail(error, SB_IO, "cannot replace %s: %s", writer->path, strerror(errno));
    if (status == SB_OK)
        status = sync_folder_of(writer->path, error);
    else
        unlink(writer->temporary);
    writer_free(writer);
    return status;
}

void sb_file_writer_abandon(struct sb_file_writer *writer)
{
    if (!writer)
        return;
    unlink(writer->temporary);
    writer_free(writer);
}

enum sb_status sb_write_file(const char *path, const void *data, size_t size, struct sb_error *error)
{
    struct sb_file_writer *writer;
    enum sb_status status = sb_file_writer_begin(&writer, path, error);
    if (status != SB_OK)
        return status;
    status = sb_file_writer_write(writer, data, size, error);
    if (status != SB_OK) {
        sb_file_writer_abandon(writer);
        return status;
    }
    return sb_file_writer_commit(writer, error);
}

bool sb_file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

bool sb_folder_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

enum sb_status sb_make_folders(const char *path, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    char *partial = strdup(path);
    if (!partial)
        return sb_fail(error, SB_NO_MEMORY, "no memory to create %s", path);
    size_t length = strlen(path);
    for (size_t i = 1; i <= length && status == SB_OK; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        partial[i] = '\0';
        if (mkdir(partial, 0755) != 0) {
            int reason = errno; /* an existing folder on a read-only disk answers EROFS, for example */
            if (!sb_folder_exists(partial))
                status = sb_fail(error, SB_IO, "cannot create the folder %s: %s", partial, strerror(reason));
        }
        partial[i] = path[i];
    }
    free(partial);
    return status;
}

char *sb_path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *between = length == 0 || folder[length - 1] == '/' ? "" : "/";
    char *joined;
    return asprintf(&joined, "%s%s%s", folder, between, name) < 0 ? NULL : joined;
}
