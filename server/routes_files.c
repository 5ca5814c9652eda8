/* OpenAI's files: upload, list, describe, download, delete. Disk work: on background threads. */
#include "server/jobs.h"
#include "server/parse.h"
#include "server/routes.h"
#include "server/server_impl.h"
#include "server/uploads.h"
#include "server/vector_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 10000 };

static void put_file(struct sb_buffer *out, const struct sb_file_record *file)
{
    sb_buffer_format(out, "{\"id\":\"%s\",\"object\":\"file\",\"bytes\":%lld,\"created_at\":%lld,\"filename\":", file->id,
                     (long long)file->bytes, (long long)file->created_at);
    sb_put_text(out, file->filename);
    sb_buffer_text(out, ",\"purpose\":");
    sb_put_text(out, file->purpose);
    sb_buffer_text(out, ",\"status\":\"processed\",\"status_details\":null}");
}

/* The file that the path names; false: the request has been answered. */
static bool find_file(struct sb_request *request, struct sb_file_record *file)
{
    struct sb_error error;
    enum sb_status status = sb_records_file(request->server->records, request->params[0], file, &error);
    if (status != SB_OK)
        sb_request_fail(request, status, status == SB_NOT_FOUND ? "file_id" : NULL, &error);
    return status == SB_OK;
}

/* ---- upload ---- */

static void upload(struct sb_request *request)
{
    struct sb_server *server = request->server;
    struct sb_file_record file;
    struct sb_error error;
    const char *param = NULL;
    enum sb_status status = sb_upload_feed(request->upload, request->body.data, request->body.length, &error);
    if (status == SB_OK)
        status = sb_upload_finish(request->upload, &file, &param, &error);
    if (status == SB_OK) {
        status = sb_records_add_file(server->records, &file, &error);
        char *path = status != SB_OK ? sb_stored_file_path(server->options.data, &file) : NULL;
        if (path)
            (void)unlink(path); /* else the next start removes it: no record names it */
        free(path);
    }
    if (status != SB_OK) {
        sb_request_fail(request, status, param, &error);
        return;
    }
    put_file(&request->reply.body, &file);
    sb_request_send(request, 200);
}

void sb_handle_file_upload(struct sb_request *request)
{
    if (request->upload)
        sb_request_later(request, upload);
    else
        sb_request_problem(request, SB_PROBLEM_INVALID, NULL, "the request has no form");
}

/* ---- list ---- */

static enum sb_status read_page(struct sb_request *request, struct sb_file_page *page, const char **param,
                                struct sb_error *error)
{
    const char *order = NULL;
    *page = (struct sb_file_page){.limit = FILES_MAX};
    *param = "limit";
    enum sb_status status = sb_request_query_int(request, "limit", 1, FILES_MAX, &page->limit, error);
    if (status == SB_OK)
        status = sb_request_query(request, *param = "after", &page->after, error);
    if (status == SB_OK)
        status = sb_request_query(request, *param = "purpose", &page->purpose, error);
    if (status == SB_OK)
        status = sb_request_query(request, *param = "order", &order, error);
    if (status == SB_OK && order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
        status = sb_fail(error, SB_INVALID, "order is \"%.64s\"; \"asc\" and \"desc\" are possible", order);
    page->oldest_first = order && strcmp(order, "asc") == 0;
    return status;
}

static void list(struct sb_request *request)
{
    struct sb_file_page page;
    struct sb_file_record *files = NULL;
    struct sb_error error;
    const char *param;
    size_t count = 0;
    bool has_more = false;
    enum sb_status status = read_page(request, &page, &param, &error);
    if (status == SB_OK)
        status = sb_records_files(request->server->records, &page, &files, &count, &has_more, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, status == SB_NOT_FOUND ? "after" : param, &error);
        return;
    }
    struct sb_buffer *out = &request->reply.body;
    sb_buffer_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        sb_buffer_text(out, i ? "," : "");
        put_file(out, &files[i]);
    }
    sb_buffer_text(out, "],\"first_id\":");
    if (count)
        sb_buffer_format(out, "\"%s\",\"last_id\":\"%s\"", files[0].id, files[count - 1].id);
    else
        sb_buffer_text(out, "null,\"last_id\":null");
    sb_buffer_format(out, ",\"has_more\":%s}", has_more ? "true" : "false");
    free(files);
    sb_request_send(request, 200);
}

void sb_handle_files(struct sb_request *request)
{
    sb_request_later(request, list);
}

/* ---- describe, download, delete ---- */

static void describe(struct sb_request *request)
{
    struct sb_file_record file;
    if (!find_file(request, &file))
        return;
    put_file(&request->reply.body, &file);
    sb_request_send(request, 200);
}

void sb_handle_file(struct sb_request *request)
{
    sb_request_later(request, describe);
}

static enum sb_status open_content(struct sb_request *request, const struct sb_file_record *file,
                                   struct sb_error *error)
{
    struct sb_reply *reply = &request->reply;
    struct stat about;
    char *path = sb_stored_file_path(request->server->options.data, file);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    enum sb_status status = SB_OK;
    if (fd < 0 || fstat(fd, &about) != 0)
        status = sb_fail(error, SB_IO, "the content of file %s can not be read: %s", file->id, strerror(errno));
    else if (about.st_size != file->bytes)
        status = sb_fail(error, SB_CORRUPT, "the content of file %s has %lld bytes; %lld were uploaded", file->id,
                         (long long)about.st_size, (long long)file->bytes);
    free(path);
    if (status == SB_OK) {
        reply->has_file = true;
        reply->file = fd;
        reply->file_size = (uint64_t)file->bytes;
        reply->content_type = "application/octet-stream";
    } else if (fd >= 0) {
        close(fd);
    }
    return status;
}

static void content(struct sb_request *request)
{
    struct sb_file_record file;
    struct sb_error error;
    if (!find_file(request, &file))
        return;
    enum sb_status status = open_content(request, &file, &error);
    if (status == SB_OK)
        sb_request_send(request, 200);
    else
        sb_request_fail(request, status, NULL, &error);
}

void sb_handle_file_content(struct sb_request *request)
{
    sb_request_later(request, content);
}

static void delete(struct sb_request *request)
{
    struct sb_server *server = request->server;
    struct sb_file_record file;
    struct sb_error error;
    if (!find_file(request, &file))
        return;
    enum sb_status status = sb_records_remove_file(server->records, file.id, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    char *path = sb_stored_file_path(server->options.data, &file);
    if (path)
        (void)unlink(path); /* what stays is removed by the next start: no record names it */
    free(path);
    sb_buffer_format(&request->reply.body, "{\"id\":\"%s\",\"object\":\"file\",\"deleted\":true}", file.id);
    sb_request_send(request, 200);
}

void sb_handle_file_delete(struct sb_request *request)
{
    sb_request_later(request, delete);
}
