#include "server/router.h"

#include "tests/unit/support.h"

#include <string.h>

static const struct {
    const char *method, *path;
    enum sb_route_result result;
    const char *name; /* of the route, or the Allow list */
    const char *params[2];
} finds[] = {
    {"POST", "/v1/embeddings", SB_ROUTE_FOUND, "POST /v1/embeddings", {0}},
    {"POST", "/embeddings", SB_ROUTE_FOUND, "POST /embeddings", {0}},
    {"GET", "/", SB_ROUTE_FOUND, "GET /", {0}},
    {"HEAD", "/health", SB_ROUTE_FOUND, "GET /health", {0}},
    {"GET", "/v1/models/a:b", SB_ROUTE_FOUND, "GET /v1/models/{model}", {"a:b"}},
    {"PUT", "/v1/collections/faq", SB_ROUTE_FOUND, "PUT /v1/collections/{collection}", {"faq"}},
    {"GET",
     "/v1/collections/faq/sentences/a%2Fb",
     SB_ROUTE_FOUND,
     "GET /v1/collections/{collection}/sentences/{id}",
     {"faq", "a%2Fb"}},
    {"GET", "/v1/collections/faq/sentences", SB_ROUTE_FOUND, "GET /v1/collections/{collection}/sentences", {"faq"}},
    {"GET", "/v1/collections/count/count", SB_ROUTE_FOUND, "GET /v1/collections/{collection}/count", {"count"}},
    {"PATCH", "/v1/collections/faq", SB_ROUTE_WRONG_METHOD, "PUT, GET, DELETE", {0}},
    {"GET", "/v1/embeddings", SB_ROUTE_WRONG_METHOD, "POST", {0}},
    {"DELETE", "/", SB_ROUTE_WRONG_METHOD, "POST, GET", {0}},
    {"post", "/embed", SB_ROUTE_WRONG_METHOD, "POST", {0}},
    {"GET", "/v1/models/", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"GET", "/v1/models/a/b", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"GET", "/v1/collections//count", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"GET", "/v1/collections/faq/sentences/", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"POST", "/embed/", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"POST", "/embe", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"GET", "", SB_ROUTE_UNKNOWN, NULL, {0}},
    {"GET", "//", SB_ROUTE_UNKNOWN, NULL, {0}},
};

START_TEST(finds_routes)
{
    struct sb_route_match match;
    char name[96];
    ck_assert_int_eq(sb_route_find(finds[_i].method, finds[_i].path, &match), finds[_i].result);
    if (finds[_i].result == SB_ROUTE_FOUND) {
        sb_route_name(sb_route_index(match.route), name, sizeof name);
        ck_assert_str_eq(name, finds[_i].name);
        ck_assert_int_eq(match.style, match.route->style);
        for (size_t i = 0; i < 2; i++) {
            const char *wanted = finds[_i].params[i];
            ck_assert(!wanted || strlen(wanted) == match.params[i].size);
            ck_assert(!wanted || memcmp(wanted, match.params[i].text, match.params[i].size) == 0);
        }
    } else {
        ck_assert_ptr_null(match.route);
    }
    if (finds[_i].result == SB_ROUTE_WRONG_METHOD)
        ck_assert_str_eq(match.allow, finds[_i].name);
}
END_TEST

START_TEST(unknown_paths_have_the_style_of_their_place)
{
    struct sb_route_match match;
    sb_route_find("GET", "/v1/nothing", &match);
    ck_assert_int_eq(match.style, SB_STYLE_OPENAI);
    sb_route_find("GET", "/nothing", &match);
    ck_assert_int_eq(match.style, SB_STYLE_TEI);
    sb_route_find("POST", "/gen_synonyms", &match);
    ck_assert_int_eq(match.style, SB_STYLE_SERVING);
}
END_TEST

/* No two rows of the table are the same, and only what tells nothing needs no key. */
START_TEST(the_table_is_sound)
{
    for (size_t i = 0; i < sb_route_count(); i++) {
        const struct sb_route *route = sb_route_at(i);
        ck_assert_uint_eq(sb_route_index(route), i);
        ck_assert_ptr_nonnull(route->handle);
        for (size_t j = 0; j < i; j++)
            ck_assert(strcmp(route->method, sb_route_at(j)->method) != 0 ||
                      strcmp(route->pattern, sb_route_at(j)->pattern) != 0);
        ck_assert(!route->is_public || strncmp(route->pattern, "/v1/", 4) != 0);
        ck_assert(!route->is_public || strcmp(route->method, "GET") == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/router");
    TCase *tests = tcase_create("router");
    tcase_add_loop_test(tests, finds_routes, 0, sizeof finds / sizeof *finds);
    tcase_add_test(tests, unknown_paths_have_the_style_of_their_place);
    tcase_add_test(tests, the_table_is_sound);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
