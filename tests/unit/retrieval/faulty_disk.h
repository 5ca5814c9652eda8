/*
 * A disk that fails when told to: stands between SQLite and the file system, counts what changes files, and lets the
 * n-th such call fail. Also says whether the write-ahead log has been synced since it was last written.
 */
#ifndef SB_TESTS_RETRIEVAL_FAULTY_DISK_H
#define SB_TESTS_RETRIEVAL_FAULTY_DISK_H

#include <check.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

static struct {
    sqlite3_vfs *real;
    int calls;      /* since faulty_disk_arm */
    int fails_at;   /* the number of the call that fails, -1: none */
    bool stays_bad; /* all calls behind it fail too */
    bool has_failed;
    bool failed_in_sync; /* the first failure was in a sync of the log */
    int log_syncs;
    bool log_is_synced;
} disk = {.fails_at = -1, .log_is_synced = true};

struct faulty_file {
    sqlite3_file base;
    bool is_log;
    sqlite3_file *real; /* behind this struct */
};

static inline void faulty_disk_arm(int fails_at, bool stays_bad)
{
    disk.calls = 0;
    disk.fails_at = fails_at;
    disk.stays_bad = stays_bad;
    disk.has_failed = disk.failed_in_sync = false;
}

static inline bool disk_fails(void)
{
    int call = disk.calls++;
    bool fails = disk.fails_at >= 0 && (call == disk.fails_at || (disk.stays_bad && call > disk.fails_at));
    disk.has_failed = disk.has_failed || fails;
    return fails;
}

static inline sqlite3_file *real_file(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

#define REAL(file) real_file(file)->pMethods

static int disk_close(sqlite3_file *f)
{
    return REAL(f)->xClose(real_file(f));
}
static int disk_read(sqlite3_file *f, void *to, int size, sqlite3_int64 offset)
{
    return REAL(f)->xRead(real_file(f), to, size, offset);
}
static int disk_write(sqlite3_file *f, const void *from, int size, sqlite3_int64 offset)
{
    if (disk_fails())
        return SQLITE_FULL;
    if (((struct faulty_file *)f)->is_log)
        disk.log_is_synced = false;
    return REAL(f)->xWrite(real_file(f), from, size, offset);
}
static int disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return disk_fails() ? SQLITE_IOERR_TRUNCATE : REAL(f)->xTruncate(real_file(f), size);
}
static int disk_sync(sqlite3_file *f, int flags)
{
    bool is_first = !disk.has_failed;
    if (disk_fails()) {
        disk.failed_in_sync = disk.failed_in_sync || (is_first && ((struct faulty_file *)f)->is_log);
        return SQLITE_IOERR_FSYNC;
    }
    int code = REAL(f)->xSync(real_file(f), flags);
    if (code == SQLITE_OK && ((struct faulty_file *)f)->is_log) {
        disk.log_is_synced = true;
        disk.log_syncs++;
    }
    return code;
}
static int disk_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return REAL(f)->xFileSize(real_file(f), size);
}
static int disk_lock(sqlite3_file *f, int level)
{
    return REAL(f)->xLock(real_file(f), level);
}
static int disk_unlock(sqlite3_file *f, int level)
{
    return REAL(f)->xUnlock(real_file(f), level);
}
static int disk_check_lock(sqlite3_file *f, int *held)
{
    return REAL(f)->xCheckReservedLock(real_file(f), held);
}
static int disk_control(sqlite3_file *f, int op, void *argument)
{
    return REAL(f)->xFileControl(real_file(f), op, argument);
}
static int disk_sector_size(sqlite3_file *f)
{
    return REAL(f)->xSectorSize(real_file(f));
}
static int disk_properties(sqlite3_file *f)
{
    return REAL(f)->xDeviceCharacteristics(real_file(f));
}
static int disk_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **memory)
{
    return REAL(f)->xShmMap(real_file(f), page, size, extend, memory);
}
static int disk_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return REAL(f)->xShmLock(real_file(f), offset, n, flags);
}
static void disk_shm_barrier(sqlite3_file *f)
{
    REAL(f)->xShmBarrier(real_file(f));
}
static int disk_shm_unmap(sqlite3_file *f, int remove)
{
    return REAL(f)->xShmUnmap(real_file(f), remove);
}
#undef REAL

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    static const sqlite3_io_methods methods = {2,
                                               disk_close,
                                               disk_read,
                                               disk_write,
                                               disk_truncate,
                                               disk_sync,
                                               disk_size,
                                               disk_lock,
                                               disk_unlock,
                                               disk_check_lock,
                                               disk_control,
                                               disk_sector_size,
                                               disk_properties,
                                               disk_shm_map,
                                               disk_shm_lock,
                                               disk_shm_barrier,
                                               disk_shm_unmap,
                                               NULL,
                                               NULL};
    struct faulty_file *f = (struct faulty_file *)file;
    f->is_log = flags & SQLITE_OPEN_WAL;
    f->real = (sqlite3_file *)(f + 1);
    f->real->pMethods = NULL;
    int code = disk.real->xOpen(disk.real, name, f->real, flags, out);
    f->base.pMethods = f->real->pMethods ? &methods : NULL;
    return code;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    return disk_fails() ? SQLITE_IOERR_DELETE : disk.real->xDelete(disk.real, name, sync_folder);
}

/* From now on all databases of this process lie on it. */
static inline void faulty_disk_install(void)
{
    static sqlite3_vfs faulty;
    disk.real = sqlite3_vfs_find(NULL);
    faulty = *disk.real;
    faulty.zName = "faulty";
    faulty.szOsFile = (int)sizeof(struct faulty_file) + disk.real->szOsFile;
    faulty.xOpen = disk_open;
    faulty.xDelete = disk_delete;
    ck_assert_int_eq(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
}

#endif
