#include "server/uploads.h"

#include "base/file.h"
#include "server/multipart.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum part { OTHER, PURPOSE, CONTENT };

enum { EXTENSION_MAX = 8 };

struct sb_upload {
    struct sb_multipart *form;
    char *folder; /* <data>/files */
    struct sb_file_writer *writer;
    struct sb_file_record file;
    enum part part; /* that is arriving */
    bool has_file, has_purpose;
};

char *sb_stored_file_path(const char *data, const struct sb_file_record *file)
{
    char *path;
    return asprintf(&path, "%s/files/%s", data, file->stored) < 0 ? NULL : path;
}

/* ---- parts ---- */

/* The last part of a name that may be a path of any system. */
static const char *base_name(const char *filename)
{
    for (const char *at = filename; *at; at++)
        if (*at == '/' || *at == '\\')
            filename = at + 1;
    return filename;
}

/* ".jsonl": readers of training data go by it. "" for none, or an odd one. */
static const char *extension(const char *filename)
{
    const char *dot = strrchr(filename, '.');
    size_t length = dot ? strlen(dot) : 0;
    if (length < 2 || length > EXTENSION_MAX)
        return "";
    for (const char *at = dot + 1; *at; at++)
        if (!isalnum((unsigned char)*at))
            return "";
    return dot;
}

static enum sb_status begin_file(struct sb_upload *u, const char *filename, struct sb_error *error)
{
    if (u->has_file)
        return sb_fail(error, SB_INVALID, "the form has two parts named \"file\"");
    u->has_file = true;
    filename = filename ? base_name(filename) : "";
    snprintf(u->file.filename, sizeof u->file.filename, "%s", filename[0] ? filename : "file");
    sb_records_new_id(u->file.id, "file-");
    snprintf(u->file.stored, sizeof u->file.stored, "%s%s", u->file.id, extension(u->file.filename));
    enum sb_status status = sb_make_folders(u->folder, error);
    char *path = sb_path_join(u->folder, u->file.stored);
    if (status == SB_OK)
        status = path ? sb_file_writer_begin(&u->writer, path, error)
                      : sb_fail(error, SB_NO_MEMORY, "no memory for an upload");
    free(path);
    return status;
}

static enum sb_status begin_part(void *context, const char *name, const char *filename, struct sb_error *error)
{
    struct sb_upload *u = context;
    u->part = strcmp(name, "file") == 0 ? CONTENT : strcmp(name, "purpose") == 0 ? PURPOSE : OTHER;
    u->has_purpose = u->has_purpose || u->part == PURPOSE;
    return u->part == CONTENT ? begin_file(u, filename, error) : SB_OK;
}

static enum sb_status take_data(void *context, const char *data, size_t size, struct sb_error *error)
{
    struct sb_upload *u = context;
    char *purpose = u->file.purpose;
    size_t length = strlen(purpose), room = sizeof u->file.purpose - 1 - length;
    if (u->part == CONTENT) {
        u->file.bytes += (int64_t)size;
        return sb_file_writer_write(u->writer, data, size, error);
    }
    if (u->part == PURPOSE) { /* a longer one is unknown in any case */
        memcpy(purpose + length, data, size < room ? size : room);
        purpose[length + (size < room ? size : room)] = '\0';
    }
    return SB_OK;
}

static enum sb_status end_part(void *context, struct sb_error *error)
{
    (void)context;
    (void)error;
    return SB_OK;
}

/* ---- the upload ---- */

enum sb_status sb_upload_new(struct sb_upload **upload, const char *data, const char *content_type,
                             struct sb_error *error)
{
    static const struct sb_multipart_calls calls = {begin_part, take_data, end_part};
    struct sb_upload *u = calloc(1, sizeof *u);
    *upload = NULL;
    if (!u || !(u->folder = sb_path_join(data, "files"))) {
        free(u);
        return sb_fail(error, SB_NO_MEMORY, "no memory for an upload");
    }
    enum sb_status status = sb_multipart_new(&u->form, content_type, &calls, u, error);
    if (status != SB_OK) {
        sb_upload_free(u);
        return status;
    }
    *upload = u;
    return SB_OK;
}

enum sb_status sb_upload_feed(struct sb_upload *upload, const char *bytes, size_t size, struct sb_error *error)
{
    return sb_multipart_feed(upload->form, bytes, size, error);
}

static enum sb_status check(const struct sb_upload *u, const char **param, struct sb_error *error)
{
    *param = "file";
    if (!u->has_file)
        return sb_fail(error, SB_INVALID, "the form has no part named \"file\"");
    if (u->file.bytes == 0)
        return sb_fail(error, SB_INVALID, "the file is empty");
    *param = "purpose";
    if (!u->has_purpose)
        return sb_fail(error, SB_INVALID, "the form has no part named \"purpose\"");
    if (strcmp(u->file.purpose, "fine-tune") != 0)
        return sb_fail(error, SB_INVALID, "purpose is \"%s\"; only \"fine-tune\" is possible", u->file.purpose);
    *param = NULL;
    return SB_OK;
}

enum sb_status sb_upload_finish(struct sb_upload *upload, struct sb_file_record *file, const char **param,
                                struct sb_error *error)
{
    struct sb_upload *u = upload;
    *param = NULL;
    enum sb_status status = sb_multipart_finish(u->form, error);
    if (status == SB_OK)
        status = check(u, param, error);
    if (status != SB_OK)
        return status;
    status = sb_file_writer_commit(u->writer, error);
    u->writer = NULL;
    u->file.created_at = sb_records_now();
    *file = u->file;
    return status;
}

void sb_upload_free(struct sb_upload *upload)
{
    if (!upload)
        return;
    sb_file_writer_abandon(upload->writer);
    sb_multipart_free(upload->form);
    free(upload->folder);
    free(upload);
}
