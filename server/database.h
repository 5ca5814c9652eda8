/*
 * A small layer over SQLite for the server's own records (files, jobs, aliases): opening with a schema that can grow,
 * statements with their values in one call. What a call has acknowledged is on disk.
 *
 *     struct sb_database *db;
 *     sb_database_open(&db, "data/jobs.db", steps, 1, &error);
 *     sb_database_run(db, &error, "INSERT INTO files (id, bytes) VALUES (?, ?)", "ti", id, bytes);
 *     sqlite3_stmt *rows;
 *     bool row;
 *     status = sb_database_query(db, &rows, &error, "SELECT id FROM files WHERE bytes > ?", "i", low);
 *     while (status == SB_OK && (status = sb_database_step(db, rows, &row, &error)) == SB_OK && row)
 *         use(sqlite3_column_text(rows, 0));
 *     sqlite3_finalize(rows);
 *     sb_database_close(db);
 *
 * Values by letter: t const char * (NULL is NULL), i int64_t, d double.
 *
 * Thread rule: one thread at a time.
 */
#ifndef SB_SERVER_DATABASE_H
#define SB_SERVER_DATABASE_H

#include "base/status.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_database;

/* steps[i] makes schema version i + 1 of the one before. SB_INVALID: another program's file, which stays as it is;
   SB_UNSUPPORTED: a newer schema. */
SB_MUST_CHECK enum sb_status sb_database_open(struct sb_database **db, const char *path, const char *const *steps,
                                              int count, struct sb_error *error);
void sb_database_close(struct sb_database *db); /* NULL is fine */

/* A statement without rows. */
SB_MUST_CHECK enum sb_status sb_database_run(struct sb_database *db, struct sb_error *error, const char *sql,
                                             const char *types, ...);
/* Rows that the last run changed. */
int64_t sb_database_changes(const struct sb_database *db);
int64_t sb_database_last_key(const struct sb_database *db);

/* A statement with rows, for step; *statement is NULL on failure, and the caller finalizes it. */
SB_MUST_CHECK enum sb_status sb_database_query(struct sb_database *db, sqlite3_stmt **statement, struct sb_error *error,
                                               const char *sql, const char *types, ...);
SB_MUST_CHECK enum sb_status sb_database_step(struct sb_database *db, sqlite3_stmt *statement, bool *row,
                                              struct sb_error *error);
/* The one number that a query answers with; 0 without a row. */
SB_MUST_CHECK enum sb_status sb_database_number(struct sb_database *db, int64_t *value, struct sb_error *error,
                                                const char *sql, const char *types, ...);

#endif
