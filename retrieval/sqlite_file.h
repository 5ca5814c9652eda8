/*
 * A SQLite file of ours: recognised by its application id, its schema made in steps, durable. The store's, and the server's
 * own records.
 *
 *     static const char *const steps[] = {"CREATE TABLE ..."};
 *     sb_sqlite_file_open(&db, path, 0x53424D54, steps, 1, &error);
 *
 * Thread rule: a connection belongs to one thread at a time.
 */
#ifndef SB_RETRIEVAL_SQLITE_FILE_H
#define SB_RETRIEVAL_SQLITE_FILE_H

#include "base/status.h"

#include <sqlite3.h>

/* Our status for SQLite's code. */
enum sb_status sb_sqlite_status(int code);

/* steps[i] makes schema version i + 1 of the one before; those that are missing are taken in one transaction. A commit returns
   when it is on disk. *db is NULL on failure: SB_INVALID: another program's file, which stays as it is; SB_UNSUPPORTED: a
   newer schema. */
SB_MUST_CHECK enum sb_status sb_sqlite_file_open(sqlite3 **db, const char *path, int application_id,
                                                 const char *const *steps, int count, struct sb_error *error);

#endif
