#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/pool.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int captured, old_stderr;
static char text[200000];

/* stderr goes to a file of this test. */
static void setup(void)
{
    const char *path = keep(sb_path_join(temporary_folder(), "log"));
    captured = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
    old_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(captured, STDERR_FILENO), 0);
}

/* What was logged, with the time of each line ("2026-01-31T12:00:00.123Z") checked and cut off the first. */
static const char *logged(void)
{
    ssize_t n = pread(captured, text, sizeof text - 1, 0);
    dup2(old_stderr, STDERR_FILENO);
    text[n > 0 ? n : 0] = '\0';
    for (const char *line = text; *line && *line != '{'; line = strchr(line, '\n') + 1) {
        static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
        for (size_t i = 0; shape[i]; i++)
            ck_assert(shape[i] == 'd' ? line[i] >= '0' && line[i] <= '9' : line[i] == shape[i]);
    }
    return n > 0 && *text != '{' ? text + 25 : text;
}

START_TEST(one_line_an_event)
{
    errno = ENOSPC;
    sb_log(SB_LOG_INFO, "server", "listening on %s:%d", "127.0.0.1", 8080);
    int after = errno;
    ck_assert_str_eq(logged(), "info server: listening on 127.0.0.1:8080\n");
    ck_assert_int_eq(after, ENOSPC);
}
END_TEST

START_TEST(nobody_reads)
{
    close(STDERR_FILENO);
    errno = ENOSPC;
    sb_log(SB_LOG_INFO, "server", "lost");
    int after = errno;
    ck_assert_str_eq(logged(), "");
    ck_assert_int_eq(after, ENOSPC);
}
END_TEST

START_TEST(lines_below_the_level_are_dropped)
{
    sb_log(SB_LOG_DEBUG, "a", "dropped");
    sb_log_set_level(SB_LOG_ERROR);
    sb_log(SB_LOG_WARN, "a", "dropped");
    sb_log(SB_LOG_ERROR, "a", "kept");
    sb_log_set_level(SB_LOG_NONE);
    sb_log(SB_LOG_ERROR, "a", "dropped");
    sb_log(SB_LOG_NONE, "a", "not a level of a line");
    ck_assert_str_eq(logged(), "error a: kept\n");
}
END_TEST

static const struct {
    const char *message, *shown;
} hostile[] = {
    {"a\nb", "a\\u000ab"},
    {"a\r\n2026-01-31T12:00:00.000Z error server: forged",
     "a\\u000d\\u000a2026-01-31T12:00:00.000Z error server: forged"},
    {"\x1B[2Jx\x7F", "\\u001b[2Jx\\u007f"},
    {"\xC2\x9B"
     "31m",
     "\\u009b31m"}, /* C1: another way to say escape */
    {"a\xE2\x80\xA8z\xE2\x80\xA9", "a\\u2028z\\u2029"},
    {"\xFFmal\xC3", "\xEF\xBF\xBDmal\xEF\xBF\xBD"},
    {"%s%n 中文 \\n", "%s%n 中文 \\n"},
    {"", ""},
};

START_TEST(requests_can_not_forge_lines)
{
    char expected[300];
    sb_log(SB_LOG_WARN, "server", "%s", hostile[_i].message);
    snprintf(expected, sizeof expected, "warn server: %s\n", hostile[_i].shown);
    ck_assert_str_eq(logged(), expected);
}
END_TEST

START_TEST(json_lines)
{
    sb_log_json(true);
    sb_log(SB_LOG_WARN, "server", "bad \"text\" \\ 中 \n\xFF");
    const char *line = logged();
    ck_assert_int_eq(line[strlen(line) - 1], '\n');
    cJSON *json;
    struct sb_error error;
    ck_assert_msg(sb_json_parse(&json, line, strlen(line), &error) == SB_OK, "%s: %s", error.message, line);
    const char *level = NULL, *room = NULL, *message = NULL, *when = NULL;
    ck_assert_int_eq(sb_json_get_string(&level, json, "level", NULL), SB_OK);
    ck_assert_int_eq(sb_json_get_string(&room, json, "room", NULL), SB_OK);
    ck_assert_int_eq(sb_json_get_string(&message, json, "message", NULL), SB_OK);
    ck_assert_int_eq(sb_json_get_string(&when, json, "time", NULL), SB_OK);
    ck_assert_str_eq(level, "warn");
    ck_assert_str_eq(room, "server");
    ck_assert_str_eq(message, "bad \"text\" \\ 中 \\u000a\xEF\xBF\xBD");
    ck_assert_uint_eq(strlen(when), 24);
    cJSON_Delete(json);
}
END_TEST

static void log_one(void *context, size_t index, int worker)
{
    (void)worker;
    sb_log(SB_LOG_INFO, "pool", "%zu %s", index, (const char *)context);
}

START_TEST(threads_do_not_mix_their_lines)
{
    char filler[201];
    memset(filler, 'x', 200);
    filler[200] = '\0';
    struct sb_pool *pool = sb_pool_new(4);
    sb_pool_run(pool, 500, log_one, filler);
    sb_pool_free(pool);
    logged();
    bool seen[500] = {false};
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        size_t index = strtoul(line + 25 + strlen("info pool: "), NULL, 10);
        ck_assert_uint_lt(index, 500);
        ck_assert(!seen[index]);
        seen[index] = true;
        ck_assert_int_eq(strncmp(strchr(line + 25 + 11, ' ') + 1, filler, 200), 0);
        ck_assert_int_eq(strchr(line + 25 + 11, ' ')[201], '\n');
    }
    for (int i = 0; i < 500; i++)
        ck_assert(seen[i]);
}
END_TEST

START_TEST(level_names)
{
    enum sb_log_level level = SB_LOG_WARN;
    ck_assert(sb_log_level_parse("debug", &level) && level == SB_LOG_DEBUG);
    ck_assert(sb_log_level_parse("none", &level) && level == SB_LOG_NONE);
    ck_assert(!sb_log_level_parse("INFO", &level) && !sb_log_level_parse("", &level));
    ck_assert_int_eq(level, SB_LOG_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, one_line_an_event);
    tcase_add_test(tests, nobody_reads);
    tcase_add_test(tests, lines_below_the_level_are_dropped);
    tcase_add_loop_test(tests, requests_can_not_forge_lines, 0, sizeof hostile / sizeof *hostile);
    tcase_add_test(tests, json_lines);
    tcase_add_test(tests, threads_do_not_mix_their_lines);
    tcase_add_test(tests, level_names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
