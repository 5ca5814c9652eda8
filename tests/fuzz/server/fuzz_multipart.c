/*
 * A form in two pieces must give what it gives in one: the first byte says where it is cut. What is between the
 * boundaries must come out, all of it, and nothing may be read or written beyond the input.
 */
#include "server/multipart.h"

#include "base/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum sb_status begin(void *context, const char *name, const char *filename, struct sb_error *error)
{
    (void)error;
    sb_buffer_format(context, "[%s|%s]", name, filename ? filename : "-");
    return SB_OK;
}

static enum sb_status take(void *context, const char *data, size_t size, struct sb_error *error)
{
    (void)error;
    sb_buffer_bytes(context, data, size);
    return SB_OK;
}

static enum sb_status end(void *context, struct sb_error *error)
{
    (void)error;
    sb_buffer_text(context, ";");
    return SB_OK;
}

static enum sb_status read_form(struct sb_buffer *out, const char *body, size_t size, size_t cut)
{
    static const struct sb_multipart_calls calls = {begin, take, end};
    struct sb_multipart *form;
    enum sb_status status = sb_multipart_new(&form, "multipart/form-data; boundary=b", &calls, out, NULL);
    if (status == SB_OK)
        status = sb_multipart_feed(form, body, cut, NULL);
    if (status == SB_OK)
        status = sb_multipart_feed(form, body + cut, size - cut, NULL);
    if (status == SB_OK)
        status = sb_multipart_finish(form, NULL);
    sb_multipart_free(form);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_buffer whole = {0}, cut = {0};
    if (size < 2)
        return 0;
    const char *body = (const char *)data + 1;
    enum sb_status one = read_form(&whole, body, size - 1, 0), two = read_form(&cut, body, size - 1, data[0] % size);
    if (one != two || whole.length != cut.length || (whole.length && memcmp(whole.data, cut.data, whole.length) != 0))
        abort();
    sb_buffer_free(&whole);
    sb_buffer_free(&cut);
    return 0;
}
