#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_FOLDERS = 8 };

static int sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return -1;
    int failed = fsync(fd) != 0 && errno != EINVAL; /* EINVAL: a file system that need not sync this */
    close(fd);
    return failed ? -1 : 0;
}

static int sync_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)place;
    return type == FTW_F ? sync_path(path, 0) : type == FTW_DP ? sync_path(path, O_DIRECTORY) : 0;
}

static int sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = !slash ? strdup(".") : strndup(path, (size_t)(slash == path ? 1 : slash - path));
    int failed = parent ? sync_path(parent, O_DIRECTORY) : -1;
    free(parent);
    return failed;
}

enum sb_status sb_folder_move(const char *from, const char *to, struct sb_error *error)
{
    /* renaming onto an empty folder would succeed, onto a link too */
    if (access(to, F_OK) == 0)
        return sb_fail(error, SB_CONFLICT, "%s exists already", to);
    if (nftw(from, sync_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0)
        return sb_fail(error, SB_IO, "cannot sync %s: %s", from, strerror(errno));
    if (rename(from, to) != 0)
        return sb_fail(error, SB_IO, "cannot move %s to %s: %s", from, to, strerror(errno));
    if (sync_parent(to) != 0 || sync_parent(from) != 0)
        return sb_fail(error, SB_IO, "cannot sync the folders of %s and %s: %s", from, to, strerror(errno));
    return SB_OK;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    return remove(path);
}

enum sb_status sb_folder_remove(const char *path, struct sb_error *error)
{
    if (nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return SB_OK;
    return sb_fail(error, SB_IO, "cannot remove %s: %s", path, strerror(errno));
}
