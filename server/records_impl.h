/* What the parts of the records share: records.c (files, aliases), records_jobs.c, records_events.c. */
#ifndef SB_SERVER_RECORDS_IMPL_H
#define SB_SERVER_RECORDS_IMPL_H

#include "server/database.h"
#include "server/records.h"

#include <pthread.h>

struct sb_records {
    pthread_mutex_t lock; /* guards db */
    struct sb_database *db;
};

/* Copies a column's text into a field, cut to its size. NULL becomes "". */
void sb_records_column(char *field, size_t size, sqlite3_stmt *row, int column);

/* Begins or ends a change of several statements, with the lock held. End commits when status is SB_OK, else rolls back;
   returns what the change has come to. */
SB_MUST_CHECK enum sb_status sb_records_begin(struct sb_records *records, struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_records_end(struct sb_records *records, enum sb_status status, struct sb_error *error);

/* As sb_records_add_event, with the lock held. */
SB_MUST_CHECK enum sb_status sb_records_insert_event(struct sb_records *records, int64_t job,
                                                     const struct sb_event_record *event, struct sb_error *error);

#endif
