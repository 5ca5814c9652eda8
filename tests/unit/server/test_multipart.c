/* Forms in pieces of every size, and what is no form. */
#include "server/multipart.h"

#include "tests/unit/support.h"

#include <stdio.h>
#include <string.h>

/* What the calls were, as text: "name(filename)=data;" */
struct log {
    char text[1024];
    size_t length;
};

static void append(struct log *log, const char *text, size_t size)
{
    ck_assert_uint_lt(log->length + size, sizeof log->text);
    memcpy(log->text + log->length, text, size);
    log->length += size;
    log->text[log->length] = '\0';
}

static enum sb_status begin(void *context, const char *name, const char *filename, struct sb_error *error)
{
    (void)error;
    append(context, name, strlen(name));
    append(context, "(", 1);
    append(context, filename ? filename : "-", strlen(filename ? filename : "-"));
    append(context, ")=", 2);
    return SB_OK;
}

static enum sb_status data(void *context, const char *bytes, size_t size, struct sb_error *error)
{
    (void)error;
    ck_assert_uint_gt(size, 0);
    append(context, bytes, size);
    return SB_OK;
}

static enum sb_status end(void *context, struct sb_error *error)
{
    (void)error;
    append(context, ";", 1);
    return SB_OK;
}

static const struct sb_multipart_calls calls = {begin, data, end};

static const struct {
    const char *boundary, *body, *log; /* NULL: not a form */
} forms[] = {
    {"b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n", "a(-)=1;"},
    {"b", "--b--", ""},
    {"b", "before\r\n--b--after", ""},
    {"b", "--b \t\r\ncontent-disposition:form-data;name=a\r\nX: y\r\n\r\n\r\n--b--", "a(-)=;"},
    {"b", "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x;y \\\"z\\\".tsv\"\r\n\r\n1\r\n--b--", "a(x;y \"z\".tsv)=1;"},
    {"b", "--b\r\nContent-Disposition: form-data; filename=\"f\"; name=\"a\"\r\n\r\n1\r\n--b--", "a(f)=1;"},
    {"b",
     "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--\r\r\n-\r\n--\r\n\r\n--b\r\n"
     "Content-Disposition: form-data; name=\"c\"\r\n\r\n2\r\n--b--",
     "a(-)=\r\n--\r\r\n-\r\n--\r\n;c(-)=2;"},
    {"--b", "----b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--b\r\n--\r\n----b--", "a(-)=--b\r\n--;"},
    {"\"b c\"", "--b c\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b c--", "a(-)=1;"},
    {"b", "", NULL},
    {"b", "--b", NULL},
    {"b", "--b\r\n", NULL},
    {"b", "--bx--", NULL},
    {"b", "--b-x", NULL},
    {"b", "--b\r\n\r\n1\r\n--b--", NULL},
    {"b", "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", NULL},
    {"b", "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--b--", NULL},
    {"b", "--b\r\nContent-Disposition: form-data; name=\"a\xff\"\r\n\r\n1\r\n--b--", NULL},
    {"b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n-b--", NULL},
};

static enum sb_status read_form(const char *boundary, const char *body, size_t piece, struct log *log)
{
    char type[128];
    struct sb_multipart *form;
    struct sb_error error;
    snprintf(type, sizeof type, "Multipart/Form-Data; charset=x; boundary=%s", boundary);
    ck_assert_int_eq(sb_multipart_new(&form, type, &calls, log, &error), SB_OK);
    enum sb_status status = SB_OK;
    for (size_t at = 0, size = strlen(body); at < size && status == SB_OK; at += piece)
        status = sb_multipart_feed(form, body + at, size - at < piece ? size - at : piece, &error);
    if (status == SB_OK)
        status = sb_multipart_finish(form, &error);
    sb_multipart_free(form);
    return status;
}

START_TEST(forms_in_pieces_of_every_size)
{
    for (size_t piece = 1; piece <= strlen(forms[_i].body) + 1; piece++) {
        struct log log = {0};
        enum sb_status status = read_form(forms[_i].boundary, forms[_i].body, piece, &log);
        ck_assert_int_eq(status, forms[_i].log ? SB_OK : SB_INVALID);
        if (forms[_i].log)
            ck_assert_str_eq(log.text, forms[_i].log);
    }
}
END_TEST

START_TEST(a_long_head_is_refused)
{
    static char body[SB_MULTIPART_HEAD_MAX + 64];
    struct log log = {0};
    memset(body, 'x', sizeof body - 1);
    memcpy(body, "--b\r\n", 5);
    ck_assert_int_eq(read_form("b", body, 1000, &log), SB_INVALID);
    ck_assert_uint_eq(log.length, 0);
}
END_TEST

static const char *const bad_types[] = {
    NULL,
    "",
    "multipart/form-data",
    "multipart/form-data;boundary=",
    "multipart/form-data; boundary=\"b",
    "multipart/form-datax; boundary=b",
    "application/json; boundary=b",
    "multipart/form-data; xboundary=b",
    "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x",
};

START_TEST(other_types_are_refused)
{
    struct sb_multipart *form;
    struct log log = {0};
    struct sb_error error;
    ck_assert_int_eq(sb_multipart_new(&form, bad_types[_i], &calls, &log, &error), SB_INVALID);
    ck_assert_ptr_null(form);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/multipart");
    TCase *tests = tcase_create("multipart");
    tcase_add_loop_test(tests, forms_in_pieces_of_every_size, 0, sizeof forms / sizeof *forms);
    tcase_add_test(tests, a_long_head_is_refused);
    tcase_add_loop_test(tests, other_types_are_refused, 0, sizeof bad_types / sizeof *bad_types);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
