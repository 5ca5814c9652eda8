#include "server/multipart.h"

#include "base/buffer.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BOUNDARY_MAX = 70 /* RFC 2046 */ };

enum state {
    PREAMBLE, /* before the first boundary: dropped */
    LINE_END, /* behind a boundary: "--" or spaces and CRLF */
    HEAD,
    DATA,
    EPILOGUE, /* behind the last boundary: dropped */
};

struct sb_multipart {
    struct sb_multipart_calls calls;
    void *context;
    enum state state;
    char delimiter[BOUNDARY_MAX + 5]; /* CRLF "--" boundary */
    size_t delimiter_size;
    size_t matched; /* bytes of the delimiter that have come, in PREAMBLE and DATA */
    struct sb_buffer head; /* in HEAD the head so far, in LINE_END the end of the line so far */
};

/* ---- parameters of a header: ; name=token or "quoted" ---- */

/* Copies the parameter's value; false when it is not there, too long, or not ended. */
static bool parameter(const char *text, const char *name, char *value, size_t size)
{
    size_t length = strlen(name), n = 0;
    while ((text = strchr(text, ';'))) {
        text += 1 + strspn(text + 1, " \t");
        bool wanted = strncasecmp(text, name, length) == 0 && text[length] == '=';
        const char *at = text + strcspn(text, "=;");
        if (*at != '=')
            continue;
        bool quoted = *++at == '"';
        at += quoted;
        for (n = 0; *at && (quoted ? *at != '"' : !strchr("; \t\r\n", *at)); at++) {
            if (quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\'))
                at++;
            if (wanted && n + 1 < size)
                value[n] = *at;
            n++;
        }
        if (wanted && n + 1 <= size && (!quoted || *at == '"')) {
            value[n] = '\0';
            return true;
        }
        if (wanted)
            return false;
        text = at;
    }
    return false;
}

/* ---- life ---- */

enum sb_status sb_multipart_new(struct sb_multipart **form, const char *content_type,
                                const struct sb_multipart_calls *calls, void *context, struct sb_error *error)
{
    static const char type[] = "multipart/form-data";
    char boundary[BOUNDARY_MAX + 1];
    *form = NULL;
    if (!content_type || strncasecmp(content_type, type, sizeof type - 1) != 0 ||
        !strchr("; \t", content_type[sizeof type - 1]) || !parameter(content_type, "boundary", boundary, sizeof boundary) ||
        !boundary[0] || strpbrk(boundary, "\r\n"))
        return sb_fail(error, SB_INVALID, "content-type must be multipart/form-data with a boundary of 1 to %d characters",
                       BOUNDARY_MAX);
    struct sb_multipart *f = calloc(1, sizeof *f);
    if (!f)
        return sb_fail(error, SB_NO_MEMORY, "no memory to read a form");
    f->calls = *calls;
    f->context = context;
    f->delimiter_size = 4 + strlen(boundary);
    memcpy(f->delimiter, "\r\n--", 4);
    memcpy(f->delimiter + 4, boundary, f->delimiter_size - 4);
    f->matched = 2; /* the first delimiter needs no CRLF before it when it opens the body */
    *form = f;
    return SB_OK;
}

void sb_multipart_free(struct sb_multipart *form)
{
    if (!form)
        return;
    sb_buffer_free(&form->head);
    free(form);
}

/* ---- a part's head ---- */

/* The value of a header line in head, or NULL. */
static const char *header(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = head, *end; (end = strstr(line, "\r\n")); line = end + 2)
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1;
    return NULL;
}

static enum sb_status begin_part(struct sb_multipart *form, struct sb_error *error)
{
    char name[SB_MULTIPART_NAME_MAX + 1], filename[SB_MULTIPART_NAME_MAX + 1], *line_end;
    const char *head = form->head.data;
    if (strlen(head) != form->head.length || !sb_utf8_valid(head, form->head.length, NULL))
        return sb_fail(error, SB_INVALID, "the head of a part of the form is not UTF-8, or holds a NUL");
    const char *disposition = header(head, "content-disposition");
    char *line = disposition ? strdup(disposition) : NULL;
    if (line && (line_end = strstr(line, "\r\n")))
        *line_end = '\0';
    bool named = line && parameter(line, "name", name, sizeof name);
    bool has_file = line && parameter(line, "filename", filename, sizeof filename);
    free(line);
    if (!named)
        return sb_fail(error, SB_INVALID, "a part of the form has no name of at most %d bytes", SB_MULTIPART_NAME_MAX);
    form->state = DATA;
    form->matched = 0;
    return form->calls.begin(form->context, name, has_file ? filename : NULL, error);
}

/* Takes the head's bytes up to its empty line; returns how many were taken. */
static enum sb_status take_head(struct sb_multipart *form, const char *data, size_t size, size_t *taken,
                                struct sb_error *error)
{
    for (*taken = 0; *taken < size;) {
        struct sb_buffer *head = &form->head;
        if (head->length == SB_MULTIPART_HEAD_MAX)
            return sb_fail(error, SB_INVALID, "the head of a part of the form is longer than %d bytes",
                           SB_MULTIPART_HEAD_MAX);
        sb_buffer_bytes(head, data + (*taken)++, 1);
        if (head->failed)
            return sb_fail(error, SB_NO_MEMORY, "no memory for the head of a part of the form");
        bool ends = head->length >= 4 && memcmp(head->data + head->length - 4, "\r\n\r\n", 4) == 0;
        if (ends || (head->length == 2 && memcmp(head->data, "\r\n", 2) == 0))
            return begin_part(form, error);
    }
    return SB_OK;
}

/* Behind a boundary: "--" ends the form, spaces and CRLF begin a part. */
static enum sb_status take_line_end(struct sb_multipart *form, char c, struct sb_error *error)
{
    struct sb_buffer *line = &form->head;
    sb_buffer_bytes(line, &c, 1);
    if (line->failed)
        return sb_fail(error, SB_NO_MEMORY, "no memory to read a form");
    if (line->length == 2 && memcmp(line->data, "--", 2) == 0) {
        form->state = EPILOGUE;
        return SB_OK;
    }
    if (c == '\n' && line->length >= 2 && line->data[line->length - 2] == '\r') {
        form->state = HEAD;
        sb_buffer_reset(line);
        return SB_OK;
    }
    bool fits = line->length <= 64 && (strchr(" \t\r", c) != NULL || (c == '-' && line->length == 1)) && c != '\0';
    return fits ? SB_OK : sb_fail(error, SB_INVALID, "a boundary of the form is followed by something else");
}

/* ---- data ---- */

static enum sb_status give(struct sb_multipart *form, const char *data, size_t size, struct sb_error *error)
{
    return form->state == DATA && size > 0 ? form->calls.data(form->context, data, size, error) : SB_OK;
}

/*
 * Takes data up to the delimiter. What matches the delimiter's beginning is held back in `matched`: its bytes are those
 * of the delimiter itself, so nothing is kept. CR begins a delimiter and stands nowhere else in it (a boundary holds
 * none), so after a mismatch only the byte at hand can begin another one.
 */
static enum sb_status take_data(struct sb_multipart *form, const char *data, size_t size, size_t *taken,
                                struct sb_error *error)
{
    enum sb_status status = SB_OK;
    size_t start = 0, i = 0;
    while (i < size && status == SB_OK) {
        if (data[i] == form->delimiter[form->matched]) {
            if (form->matched == 0) {
                status = give(form, data + start, i - start, error);
                start = i;
            }
            i++;
            if (++form->matched < form->delimiter_size)
                continue;
            if (form->state == DATA && status == SB_OK)
                status = form->calls.end(form->context, error);
            form->state = LINE_END;
            sb_buffer_reset(&form->head);
            *taken = i;
            return status;
        }
        if (form->matched > 0) { /* it was data after all */
            status = give(form, form->delimiter, form->matched, error);
            form->matched = 0;
            start = i;
            continue; /* looks at this byte again */
        }
        const char *next = memchr(data + i, '\r', size - i);
        i = next ? (size_t)(next - data) : size;
    }
    if (status == SB_OK && form->matched == 0)
        status = give(form, data + start, size - start, error);
    *taken = size;
    return status;
}

enum sb_status sb_multipart_feed(struct sb_multipart *form, const char *data, size_t size, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    while (size > 0 && status == SB_OK && form->state != EPILOGUE) {
        size_t taken = 1;
        if (form->state == LINE_END)
            status = take_line_end(form, *data, error);
        else if (form->state == HEAD)
            status = take_head(form, data, size, &taken, error);
        else
            status = take_data(form, data, size, &taken, error);
        data += taken;
        size -= taken;
    }
    return status;
}

enum sb_status sb_multipart_finish(const struct sb_multipart *form, struct sb_error *error)
{
    return form->state == EPILOGUE ? SB_OK
                                   : sb_fail(error, SB_INVALID, "the form ends before its closing boundary");
}
