/*
 * The store over PostgreSQL, for retrieval/engine.c. Built where there is libpq.
 */
#ifndef SB_RETRIEVAL_POSTGRES_H
#define SB_RETRIEVAL_POSTGRES_H

#include "retrieval/store.h"

#include <stdbool.h>

/* Whether what a store is to be opened on is the URL of a PostgreSQL database. */
bool sb_postgres_is_url(const char *path);

/* url: as libpq takes it, "postgresql://user@host:5432/name"; a password is better given by PGPASSWORD or a password file.
   A database that is away is no error: calls fail with SB_UNAVAILABLE until it is there. SB_INVALID: not a URL that libpq can
   read; SB_UNSUPPORTED: a program without libpq, a server too old or without pgvector, a schema of a newer version. */
SB_MUST_CHECK enum sb_status sb_postgres_open(struct sb_store **store, const char *url, struct sb_error *error);

#endif
