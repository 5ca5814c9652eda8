/* Events and checkpoints of jobs in the records. */
#include "server/records_impl.h"

#include <stdio.h>

enum sb_status sb_records_insert_event(struct sb_records *records, int64_t job, const struct sb_event_record *event,
                                       struct sb_error *error)
{
    return sb_database_run(records->db, error,
                           "INSERT INTO events (job, created_at, level, type, message, data) VALUES (?, ?, ?, ?, ?, ?)",
                           "iitttt", job, event->created_at, event->level, event->type, event->message, event->data);
}

enum sb_status sb_records_add_event(struct sb_records *records, int64_t job, const struct sb_event_record *event,
                                    struct sb_error *error)
{
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_records_insert_event(records, job, event, error);
    pthread_mutex_unlock(&records->lock);
    return status;
}

enum sb_status sb_records_add_checkpoint(struct sb_records *records, int64_t job,
                                         const struct sb_checkpoint_record *checkpoint, struct sb_error *error)
{
    pthread_mutex_lock(&records->lock);
    enum sb_status status = sb_database_run(
        records->db, error, "INSERT INTO checkpoints (job, created_at, step, path, metrics) VALUES (?, ?, ?, ?, ?)",
        "iiitt", job, checkpoint->created_at, checkpoint->step, checkpoint->path, checkpoint->metrics);
    pthread_mutex_unlock(&records->lock);
    return status;
}

/* ---- pages ---- */

/* One more row than the page has, which tells whether there are more. With the lock held. */
static enum sb_status query_page(struct sb_records *records, sqlite3_stmt **rows, const char *columns,
                                 const char *table, const struct sb_record_page *page, struct sb_error *error)
{
    char sql[256];
    int64_t after = page->after || page->oldest_first ? page->after : INT64_MAX;
    snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE job = ? AND key %s ? ORDER BY key %s LIMIT ?", columns, table,
             page->oldest_first ? ">" : "<", page->oldest_first ? "ASC" : "DESC");
    return sb_database_query(records->db, rows, error, sql, "iii", page->job, after, page->limit + 1);
}

enum sb_status sb_records_events(struct sb_records *records, const struct sb_record_page *page,
                                 void (*each)(void *context, const struct sb_event_record *event), void *context,
                                 bool *has_more, struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row;
    int64_t count = 0;
    pthread_mutex_lock(&records->lock);
    enum sb_status status =
        query_page(records, &rows, "key, created_at, level, type, message, data", "events", page, error);
    while (status == SB_OK && (status = sb_database_step(records->db, rows, &row, error)) == SB_OK && row) {
        if (++count > page->limit)
            break;
        each(context, &(struct sb_event_record){.key = sqlite3_column_int64(rows, 0),
                                                .created_at = sqlite3_column_int64(rows, 1),
                                                .level = (const char *)sqlite3_column_text(rows, 2),
                                                .type = (const char *)sqlite3_column_text(rows, 3),
                                                .message = (const char *)sqlite3_column_text(rows, 4),
                                                .data = (const char *)sqlite3_column_text(rows, 5)});
    }
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&records->lock);
    *has_more = count > page->limit;
    return status;
}

enum sb_status sb_records_checkpoints(struct sb_records *records, const struct sb_record_page *page,
                                      void (*each)(void *context, const struct sb_checkpoint_record *checkpoint),
                                      void *context, bool *has_more, struct sb_error *error)
{
    sqlite3_stmt *rows;
    bool row;
    int64_t count = 0;
    pthread_mutex_lock(&records->lock);
    enum sb_status status = query_page(records, &rows, "key, created_at, step, path, metrics", "checkpoints", page, error);
    while (status == SB_OK && (status = sb_database_step(records->db, rows, &row, error)) == SB_OK && row) {
        if (++count > page->limit)
            break;
        each(context, &(struct sb_checkpoint_record){.key = sqlite3_column_int64(rows, 0),
                                                     .created_at = sqlite3_column_int64(rows, 1),
                                                     .step = sqlite3_column_int64(rows, 2),
                                                     .path = (const char *)sqlite3_column_text(rows, 3),
                                                     .metrics = (const char *)sqlite3_column_text(rows, 4)});
    }
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&records->lock);
    *has_more = count > page->limit;
    return status;
}
