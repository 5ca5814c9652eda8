#include "server/errors.h"

#include "tests/unit/support.h"

static const struct {
    enum sb_style style;
    enum sb_problem problem;
    const char *param, *message;
    int status;
    const char *body;
} errors[] = {
    {SB_STYLE_OPENAI, SB_PROBLEM_INVALID, "input", "wrong", 400,
     "{\"error\":{\"message\":\"wrong\",\"type\":\"invalid_request_error\",\"param\":\"input\",\"code\":\"validation\"}"
     "}"},
    {SB_STYLE_OPENAI, SB_PROBLEM_OVERLOADED, NULL, "full", 429,
     "{\"error\":{\"message\":\"full\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"overloaded\"}}"},
    {SB_STYLE_OPENAI, SB_PROBLEM_DEADLINE, NULL, "late", 504,
     "{\"error\":{\"message\":\"late\",\"type\":\"server_error\",\"param\":null,\"code\":\"deadline\"}}"},
    {SB_STYLE_TEI, SB_PROBLEM_INVALID, "inputs", "a \"b\"", 422,
     "{\"error\":\"a \\\"b\\\"\",\"error_type\":\"Validation\"}"},
    {SB_STYLE_TEI, SB_PROBLEM_EMPTY, NULL, "e", 400, "{\"error\":\"e\",\"error_type\":\"Empty\"}"},
    {SB_STYLE_TEI, SB_PROBLEM_TOKENIZER, NULL, "t", 422, "{\"error\":\"t\",\"error_type\":\"Tokenizer\"}"},
    {SB_STYLE_TEI, SB_PROBLEM_OVERLOADED, NULL, "o", 429, "{\"error\":\"o\",\"error_type\":\"Overloaded\"}"},
    {SB_STYLE_TEI, SB_PROBLEM_STOPPING, NULL, "u", 503, "{\"error\":\"u\",\"error_type\":\"Unhealthy\"}"},
    {SB_STYLE_TEI, SB_PROBLEM_UNSUPPORTED, NULL, "b", 424, "{\"error\":\"b\",\"error_type\":\"Backend\"}"},
    {SB_STYLE_SERVING, SB_PROBLEM_INVALID, NULL, "lack", 400, "{\"code\":1,\"desc\":\"lack\",\"data\":[]}"},
    {SB_STYLE_SERVING, SB_PROBLEM_DEADLINE, NULL, "late", 504, "{\"code\":2,\"desc\":\"late\",\"data\":[]}"},
};

START_TEST(bodies_and_statuses)
{
    struct sb_buffer body = {0};
    sb_error_body(&body, errors[_i].style, errors[_i].problem, errors[_i].param, errors[_i].message);
    ck_assert_str_eq(body.data, errors[_i].body);
    ck_assert_int_eq(sb_problem_http_status(errors[_i].problem, errors[_i].style), errors[_i].status);
    sb_buffer_free(&body);
}
END_TEST

/* OpenAI's status of each library status. */
static const struct {
    enum sb_status status;
    int http;
} statuses[] = {
    {SB_INVALID, 400},  {SB_NOT_FOUND, 404},   {SB_CONFLICT, 409}, {SB_IO, 507},
    {SB_CORRUPT, 500},  {SB_UNSUPPORTED, 400}, {SB_LIMIT, 400},    {SB_NO_MEMORY, 503},
    {SB_DEADLINE, 504}, {SB_CANCELLED, 503},   {SB_INTERNAL, 500}, {SB_OVERLOADED, 429},
    {SB_UNAVAILABLE, 503},
};

START_TEST(every_status_has_a_problem)
{
    ck_assert_int_eq(sb_problem_http_status(sb_problem_of(statuses[_i].status), SB_STYLE_OPENAI), statuses[_i].http);
}
END_TEST

START_TEST(every_problem_has_a_name)
{
    for (int i = 0; i < SB_PROBLEM_COUNT; i++) {
        ck_assert_ptr_nonnull(sb_problem_name((enum sb_problem)i));
        ck_assert_int_ge(sb_problem_http_status((enum sb_problem)i, SB_STYLE_OPENAI), 400);
        ck_assert_int_ge(sb_problem_http_status((enum sb_problem)i, SB_STYLE_TEI), 400);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/errors");
    TCase *tests = tcase_create("errors");
    tcase_add_loop_test(tests, bodies_and_statuses, 0, sizeof errors / sizeof *errors);
    tcase_add_loop_test(tests, every_status_has_a_problem, 0, sizeof statuses / sizeof *statuses);
    tcase_add_test(tests, every_problem_has_a_name);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
