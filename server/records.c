#include "server/records_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE files ("
    " key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, stored TEXT NOT NULL, filename TEXT NOT NULL,"
    " purpose TEXT NOT NULL, bytes INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE jobs ("
    " key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, status INTEGER NOT NULL, model TEXT NOT NULL,"
    " name TEXT NOT NULL, training_file TEXT NOT NULL, validation_file TEXT NOT NULL, result_file TEXT NOT NULL,"
    " created_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, trained_tokens INTEGER NOT NULL,"
    " seed INTEGER NOT NULL, method TEXT NOT NULL, hyperparameters TEXT NOT NULL, metadata TEXT, recipe TEXT NOT NULL,"
    " error_code TEXT, error_message TEXT, error_param TEXT) STRICT;"
    "CREATE INDEX jobs_by_status ON jobs (status, key);"
    "CREATE TABLE events ("
    " key INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES jobs(key), created_at INTEGER NOT NULL,"
    " level TEXT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL, data TEXT) STRICT;"
    "CREATE INDEX events_by_job ON events (job, key);"
    "CREATE TABLE checkpoints ("
    " key INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES jobs(key), created_at INTEGER NOT NULL,"
    " step INTEGER NOT NULL, path TEXT NOT NULL, metrics TEXT NOT NULL, UNIQUE (job, step) ON CONFLICT REPLACE) STRICT;"
    "CREATE TABLE aliases (name TEXT PRIMARY KEY, model TEXT NOT NULL) STRICT;",
};

enum sb_status sb_records_open(struct sb_records **records, const char *path, struct sb_error *error)
{
    struct sb_records *r = calloc(1, sizeof *r);
    *records = NULL;
    if (!r)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the database", path);
    pthread_mutex_init(&r->lock, NULL);
    enum sb_status status = sb_database_open(&r->db, path, steps, sizeof steps / sizeof *steps, error);
    if (status != SB_OK) {
        sb_records_close(r);
        return status;
    }
    *records = r;
    return SB_OK;
}

void sb_records_close(struct sb_records *records)
{
    if (!records)
        return;
    sb_database_close(records->db);
    pthread_mutex_destroy(&records->lock);
    free(records);
}

/* ---- shared ---- */

void sb_records_column(char *field, size_t size, sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    snprintf(field, size, "%s", text ? text : "");
}

int64_t sb_records_now(void)
{
    return time(NULL);
}

enum sb_status sb_records_begin(struct sb_records *records, struct sb_error *error)
{
    return sb_database_run(records->db, error, "BEGIN IMMEDIATE", "");
}

enum sb_status sb_records_end(struct sb_records *records, enum sb_status status, struct sb_error *error)
{
    if (status == SB_OK)
        status = sb_database_run(records->db, error, "COMMIT", "");
    if (status != SB_OK) {
        enum sb_status undone = sb_database_run(records->db, NULL, "ROLLBACK", "");
        (void)undone; /* fails when SQLite has ended the transaction by itself, as it does for some errors */
    }
    return status;
}

void sb_records_new_id(char id[SB_ID_SIZE], const char *prefix)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[24] = {0};
    size_t length = (size_t)snprintf(id, SB_ID_SIZE, "%s", prefix);
    while (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random && errno == EINTR)
        continue;
    for (size_t i = 0; i < sizeof random; i++)
        id[length++] = letters[random[i] % (sizeof letters - 1)];
    id[length] = '\0';
}

void sb_records_key_id(char id[SB_ID_SIZE], const char *prefix, int64_t key)
{
    snprintf(id, SB_ID_SIZE, "%s%016llx", prefix, (unsigned long long)key);
}

int64_t sb_records_key_of(const char *id, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(id, prefix, length) != 0 || strlen(id + length) != 16 || strspn(id + length, "0123456789abcdef") != 16)
        return 0;
    return (int64_t)(strtoull(id + length, NULL, 16) & INT64_MAX);
}

/* ---- files ---- */

#define FILE_COLUMNS "id, stored, filename, purpose, bytes, created_at"

static void read_file(struct sb_file_record *file, sqlite3_stmt *row)
{
    sb_records_column(file->id, sizeof file->id, row, 0);
    sb_records_column(file->stored, sizeof file->stored, row, 1);
    sb_records_column(file->filename, sizeof file->filename, row, 2);
    sb_records_column(file->purpose, sizeof file->purpose, row, 3);
    file->bytes = sqlite3_column_int64(row, 4);
    file->created_at = sqlite3_column_int64(row, 5);
}

enum sb_status sb_records_add_file(struct sb_records *records, const struct sb_file_record *file,
                                   struct sb_error *error)
{
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        sb_database_run(records->db, error, "INSERT INTO files (" FILE_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?)", "ttttii",
                        file->id, file->stored, file->filename, file->purpose, file->bytes, file->created_at);
    pthread_mutex_unlock(&records->lock);
    return status;
}

static enum sb_status no_file(const char *id, struct sb_error *error)
{
    return sb_fail(error, SB_NOT_FOUND, "there is no file \"%.64s\"", id);
}

enum sb_status sb_records_file(struct sb_records *records, const char *id, struct sb_file_record *file,
                               struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row = false;
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        sb_database_query(records->db, &rows, error, "SELECT " FILE_COLUMNS " FROM files WHERE id = ?", "t", id);
    if (status == SB_OK)
        status = sb_database_step(records->db, rows, &row, error);
    if (row)
        read_file(file, rows);
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&records->lock);
    return status == SB_OK && !row ? no_file(id, error) : status;
}

enum sb_status sb_records_remove_file(struct sb_records *records, const char *id, struct sb_error *error)
{
    int64_t users = 0;
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        sb_database_number(records->db, &users, error,
                           "SELECT count(*) FROM jobs WHERE status < ? AND ? IN (training_file, validation_file)", "it",
                           (int64_t)SB_JOB_SUCCEEDED, id);
    if (status == SB_OK && users)
        status = sb_fail(error, SB_CONFLICT, "file \"%.64s\" is in use by %lld fine-tuning %s", id, (long long)users,
                         users == 1 ? "job" : "jobs");
    if (status == SB_OK)
        status = sb_database_run(records->db, error, "DELETE FROM files WHERE id = ?", "t", id);
    if (status == SB_OK && sb_database_changes(records->db) == 0)
        status = no_file(id, error);
    pthread_mutex_unlock(&records->lock);
    return status;
}

/* With the lock held. */
static enum sb_status query_files(struct sb_records *records, sqlite3_stmt **rows, const struct sb_file_page *page,
                                  struct sb_error *error)
{
    int64_t key = page->oldest_first ? 0 : INT64_MAX;
    enum sb_status status = SB_OK;
    *rows = NULL;
    if (page->after)
        status = sb_database_number(records->db, &key, error, "SELECT key FROM files WHERE id = ?", "t", page->after);
    if (status == SB_OK && page->after && key == 0)
        status = no_file(page->after, error);
    if (status != SB_OK)
        return status;
    const char *sql = page->oldest_first
                          ? "SELECT " FILE_COLUMNS " FROM files WHERE key > ? AND purpose = ifnull(?, purpose)"
                            " ORDER BY key LIMIT ?"
                          : "SELECT " FILE_COLUMNS " FROM files WHERE key < ? AND purpose = ifnull(?, purpose)"
                            " ORDER BY key DESC LIMIT ?";
    return sb_database_query(records->db, rows, error, sql, "iti", key, page->purpose, page->limit + 1);
}

enum sb_status sb_records_files(struct sb_records *records, const struct sb_file_page *page,
                                struct sb_file_record **files, size_t *count, bool *has_more, struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row;
    size_t capacity = 0;
    *files = NULL;
    *count = 0;
    pthread_mutex_lock(&records->lock);
    enum sb_status status = query_files(records, &rows, page, error);
    while (status == SB_OK && (status = sb_database_step(records->db, rows, &row, error)) == SB_OK && row) {
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct sb_file_record *grown = realloc(*files, capacity * sizeof *grown);
            if (!grown) {
                status = sb_fail(error, SB_NO_MEMORY, "no memory for %zu files", capacity);
                break;
            }
            *files = grown;
        }
        read_file(&(*files)[(*count)++], rows);
    }
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&records->lock);
    *has_more = *count > (size_t)page->limit;
    *count -= *has_more;
    if (status != SB_OK) {
        free(*files);
        *files = NULL;
    }
    return status;
}

/* ---- aliases ---- */

enum sb_status sb_records_set_alias(struct sb_records *records, const char *name, const char *model,
                                    struct sb_error *error)
{
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_database_run(
        records->db, error, "INSERT OR REPLACE INTO aliases (name, model) VALUES (?, ?)", "tt", name, model);
    pthread_mutex_unlock(&records->lock);
    return status;
}

enum sb_status sb_records_remove_alias(struct sb_records *records, const char *name, struct sb_error *error)
{
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_database_run(records->db, error, "DELETE FROM aliases WHERE name = ?", "t", name);
    pthread_mutex_unlock(&records->lock);
    return status;
}

enum sb_status sb_records_aliases(struct sb_records *records, struct sb_model_alias aliases[SB_ALIASES_MAX],
                                  size_t *count, struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row;
    *count = 0;
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_database_query(records->db, &rows, error,
                                              "SELECT name, model FROM aliases ORDER BY name LIMIT ?", "i",
                                              (int64_t)SB_ALIASES_MAX);
    while (status == SB_OK && (status = sb_database_step(records->db, rows, &row, error)) == SB_OK && row) {
        struct sb_model_alias *alias = &aliases[(*count)++];
        sb_records_column(alias->name, sizeof alias->name, rows, 0);
        sb_records_column(alias->model, sizeof alias->model, rows, 1);
    }
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&records->lock);
    return status;
}
