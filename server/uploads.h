/*
 * A file that a client uploads as a form: parts "file" and "purpose". It is written to <data>/files under a temporary
 * name while it arrives; finish checks the form, syncs, and gives it its name.
 *
 *     struct sb_upload *upload;
 *     sb_upload_new(&upload, "data", "multipart/form-data; boundary=x", &error);
 *     sb_upload_feed(upload, bytes, size, &error);            // any number
 *     sb_upload_finish(upload, &file, &error);                // the file is on disk; its record is the caller's to add
 *     sb_upload_free(upload);                                 // without finish, what was written is removed
 *
 * Thread rule: one thread at a time. Feed and finish use the disk.
 */
#ifndef SB_SERVER_UPLOADS_H
#define SB_SERVER_UPLOADS_H

#include "server/records.h"

struct sb_upload;

/* SB_INVALID: content_type (may be NULL) is not that of a form. */
SB_MUST_CHECK enum sb_status sb_upload_new(struct sb_upload **upload, const char *data, const char *content_type,
                                           struct sb_error *error);
/* SB_INVALID: not a form, or not the right one; SB_IO: the disk refused. Nothing may be fed after a failure. */
SB_MUST_CHECK enum sb_status sb_upload_feed(struct sb_upload *upload, const char *bytes, size_t size,
                                            struct sb_error *error);
/* param: the wrong part's name, or NULL. */
SB_MUST_CHECK enum sb_status sb_upload_finish(struct sb_upload *upload, struct sb_file_record *file,
                                              const char **param, struct sb_error *error);
void sb_upload_free(struct sb_upload *upload); /* NULL is fine */

/* <data>/files/<stored>, malloc'd; NULL: no memory. */
char *sb_stored_file_path(const char *data, const struct sb_file_record *file);

#endif
