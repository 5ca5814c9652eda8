/*
 * Reading multipart/form-data (RFC 7578) as it arrives, in pieces of any size.
 *
 *     struct sb_multipart *form;
 *     sb_multipart_new(&form, "multipart/form-data; boundary=x", &(struct sb_multipart_calls){begin, data, end}, context,
 *                      &error);
 *     sb_multipart_feed(form, bytes, size, &error);      // calls begin, data any number of times, end: for each part
 *     sb_multipart_finish(form, &error);                 // SB_INVALID unless the closing boundary has come
 *     sb_multipart_free(form);
 *
 *     --x CRLF  header lines CRLF CRLF  bytes  CRLF --x CRLF  header lines CRLF CRLF  bytes  CRLF --x-- CRLF
 *
 * Memory: the boundary, one part's head (at most SB_MULTIPART_HEAD_MAX), nothing of the data. Thread rule: one thread at
 * a time.
 */
#ifndef SB_SERVER_MULTIPART_H
#define SB_SERVER_MULTIPART_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_multipart;

enum { SB_MULTIPART_HEAD_MAX = 8192, SB_MULTIPART_NAME_MAX = 255 };

/* What a call returns other than SB_OK ends the feed with it. name and filename are UTF-8; filename NULL: none. */
struct sb_multipart_calls {
    enum sb_status (*begin)(void *context, const char *name, const char *filename, struct sb_error *error);
    enum sb_status (*data)(void *context, const char *data, size_t size, struct sb_error *error);
    enum sb_status (*end)(void *context, struct sb_error *error);
};

/* SB_INVALID: content_type (may be NULL) is not multipart/form-data with a boundary of 1 to 70 characters. */
SB_MUST_CHECK enum sb_status sb_multipart_new(struct sb_multipart **form, const char *content_type,
                                              const struct sb_multipart_calls *calls, void *context,
                                              struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_multipart_feed(struct sb_multipart *form, const char *data, size_t size,
                                               struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_multipart_finish(const struct sb_multipart *form, struct sb_error *error);
void sb_multipart_free(struct sb_multipart *form); /* NULL is fine */

#endif
