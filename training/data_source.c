/*
 * The bytes of a data file. They are read by position from a descriptor that stays open, not mapped: a file that is
 * deleted stays readable, one that is cut short is an error and no SIGBUS.
 */
#include "training/data_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 1 << 16 };
static const uint64_t XZ_MEMORY = (uint64_t)256 << 20; /* xz -9 needs 65 MiB */

/* ---- Decompression ---- */

enum step { STEP_MORE, STEP_END, STEP_CORRUPT, STEP_NO_MEMORY };

/* in[in_size] is taken from, out[out_size] is filled; both move on. */
struct decoder {
    const uint8_t *in;
    size_t in_size;
    uint8_t *out;
    size_t out_size;
    bool input_ended;
    bool between; /* gzip: behind a member, where the file may end */
    z_stream gz;
    lzma_stream xz;
};

/* gzip files may hold several members, one behind the other. */
static enum step step_gz(struct decoder *d)
{
    if (d->between && d->in_size == 0 && d->input_ended)
        return STEP_END;
    if (d->between && inflateReset(&d->gz) != Z_OK)
        return STEP_CORRUPT;
    d->gz.next_in = (Bytef *)(uintptr_t)d->in;
    d->gz.avail_in = (uInt)d->in_size;
    d->gz.next_out = d->out;
    d->gz.avail_out = (uInt)d->out_size;
    int result = inflate(&d->gz, Z_NO_FLUSH);
    d->in = d->gz.next_in;
    d->in_size = d->gz.avail_in;
    d->out = d->gz.next_out;
    d->out_size = d->gz.avail_out;
    d->between = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR)
        return STEP_NO_MEMORY;
    if (result == Z_BUF_ERROR) /* nothing moved: more input is needed */
        return d->input_ended ? STEP_CORRUPT : STEP_MORE;
    return result == Z_OK || result == Z_STREAM_END ? STEP_MORE : STEP_CORRUPT;
}

static enum step step_xz(struct decoder *d)
{
    d->xz.next_in = d->in;
    d->xz.avail_in = d->in_size;
    d->xz.next_out = d->out;
    d->xz.avail_out = d->out_size;
    lzma_ret result = lzma_code(&d->xz, d->input_ended ? LZMA_FINISH : LZMA_RUN);
    d->in = d->xz.next_in;
    d->in_size = d->xz.avail_in;
    d->out = d->xz.next_out;
    d->out_size = d->xz.avail_out;
    return result == LZMA_OK                                           ? STEP_MORE
           : result == LZMA_STREAM_END                                 ? STEP_END
           : result == LZMA_MEM_ERROR || result == LZMA_MEMLIMIT_ERROR ? STEP_NO_MEMORY
                                                                       : STEP_CORRUPT;
}

static enum sb_status write_all(int fd, const char *path, const uint8_t *bytes, size_t size, struct sb_error *error)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sb_fail(error, SB_IO, "cannot write the decompressed %s into the folder for temporary files: %s",
                           path, strerror(errno));
        bytes += n;
        size -= (size_t)n;
    }
    return SB_OK;
}

/* Everything from `from` through the decoder to `to`. */
static enum sb_status decode(struct decoder *d, enum step step(struct decoder *), int from, int to, const char *path,
                             uint64_t *size, uint64_t bytes_max, bool beginning, struct sb_error *error)
{
    static const char reasons[][32] = {[STEP_CORRUPT] = "it is damaged or cut short", [STEP_NO_MEMORY] = "no memory"};
    uint8_t in[BLOCK], out[BLOCK];
    enum step result = STEP_MORE;
    for (*size = 0; result == STEP_MORE;) {
        if (d->in_size == 0 && !d->input_ended) {
            ssize_t n = read(from, in, sizeof in);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return sb_fail(error, SB_IO, "cannot read %s: %s", path, strerror(errno));
            d->in = in;
            d->in_size = (size_t)n;
            d->input_ended = n == 0;
        }
        d->out = out;
        d->out_size = sizeof out;
        result = step(d);
        size_t made = sizeof out - d->out_size;
        if (made > bytes_max - *size && beginning) {
            made = (size_t)(bytes_max - *size);
            result = STEP_END;
        }
        if (made > bytes_max - *size)
            return sb_fail(error, SB_LIMIT, "%s has more than %ju bytes decompressed, which is the limit", path,
                           (uintmax_t)bytes_max);
        enum sb_status status = write_all(to, path, out, made, error);
        if (status != SB_OK)
            return status;
        *size += made;
    }
    if (result == STEP_END)
        return SB_OK;
    return sb_fail(error, result == STEP_CORRUPT ? SB_CORRUPT : SB_NO_MEMORY, "cannot decompress %s: %s", path,
                   reasons[result]);
}

static enum sb_status decompress(int from, int to, const char *path, bool xz, uint64_t *size, uint64_t bytes_max,
                                 bool beginning, struct sb_error *error)
{
    struct decoder d = {.xz = LZMA_STREAM_INIT};
    bool ready = xz ? lzma_stream_decoder(&d.xz, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK
                    : inflateInit2(&d.gz, 16 + MAX_WBITS) == Z_OK; /* 16: a gzip header, not zlib's */
    if (!ready)
        return sb_fail(error, SB_NO_MEMORY, "no memory to decompress %s", path);
    enum sb_status status = decode(&d, xz ? step_xz : step_gz, from, to, path, size, bytes_max, beginning, error);
    if (xz)
        lzma_end(&d.xz);
    else
        inflateEnd(&d.gz);
    return status;
}

/* A file without a name, gone when it is closed. -1: see errno. */
static int open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    char *name; /* a file system or kernel without O_TMPFILE */
    if (asprintf(&name, "%s/simbert-data-XXXXXX", folder) < 0) {
        errno = ENOMEM;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    free(name);
    return fd;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- The file ---- */

static enum sb_status open_plain(int *fd, uint64_t *size, const char *path, struct sb_error *error)
{
    struct stat about;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: opening a pipe must not hang */
    if (*fd < 0 || fstat(*fd, &about) != 0)
        return sb_fail(error, errno == ENOENT || errno == ENOTDIR ? SB_NOT_FOUND : SB_IO, "cannot open %s: %s", path,
                       strerror(errno));
    if (!S_ISREG(about.st_mode))
        return sb_fail(error, SB_IO, "cannot read %s: it is not a regular file", path);
    *size = (uint64_t)about.st_size;
    return SB_OK;
}

enum sb_status sb_source_open(struct sb_source *source, const char *path, const char *folder, uint64_t bytes_max,
                              bool beginning, struct sb_error *error)
{
    bool xz = ends_with(path, ".xz"), gz = ends_with(path, ".gz");
    int fd = -1, plain = -1;
    uint64_t size = 0;
    *source = (struct sb_source){.fd = -1};
    enum sb_status status = open_plain(&fd, &size, path, error);
    if (status != SB_OK)
        goto cleanup;
    if (xz || gz) {
        if (!folder)
            folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
        plain = open_nameless(folder);
        status = plain < 0 ? sb_fail(error, SB_IO, "cannot make a temporary file in %s to decompress %s: %s", folder,
                                     path, strerror(errno))
                           : decompress(fd, plain, path, xz, &size, bytes_max, beginning, error);
        if (status != SB_OK)
            goto cleanup;
        close(fd);
        fd = plain;
        plain = -1;
    } else if (size > bytes_max && !beginning) {
        status = sb_fail(error, SB_LIMIT, "%s has %ju bytes, more than the limit of %ju", path, (uintmax_t)size,
                         (uintmax_t)bytes_max);
        goto cleanup;
    }
    *source = (struct sb_source){fd, size};
    fd = -1;
cleanup:
    if (fd >= 0)
        close(fd);
    if (plain >= 0)
        close(plain);
    return status;
}

void sb_source_close(struct sb_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

enum sb_status sb_source_read(const struct sb_source *source, const char *path, void *out, size_t size, uint64_t offset,
                              size_t *got, struct sb_error *error)
{
    size_t wanted = offset >= source->size ? 0 : size < source->size - offset ? size : (size_t)(source->size - offset);
    for (*got = 0; *got < wanted;) {
        ssize_t n = pread(source->fd, (char *)out + *got, wanted - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sb_fail(error, SB_IO, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return sb_fail(error, SB_CORRUPT, "%s was cut to %ju bytes while it was in use; it had %ju", path,
                           (uintmax_t)(offset + *got), (uintmax_t)source->size);
        *got += (size_t)n;
    }
    return SB_OK;
}
