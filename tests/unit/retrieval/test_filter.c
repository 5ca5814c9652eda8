/* Filters: what each operator keeps, what is refused with which words, and the bounds. */
#include "retrieval/filter.h"
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_filter *parse(const char *text)
{
    cJSON *json;
    struct sb_filter *filter;
    struct sb_error error = {0};
    ck_assert_msg(sb_json_parse(&json, text, strlen(text), &error) == SB_OK, "%s: %s", text, error.message);
    enum sb_status status = sb_filter_parse(&filter, json, &error);
    cJSON_Delete(json);
    ck_assert_msg(status == SB_OK, "%s: %s", text, error.message);
    return filter;
}

static bool keeps(const char *text, const char *metadata)
{
    struct sb_filter *filter = parse(text);
    bool kept = sb_filter_keeps(filter, metadata, strlen(metadata));
    sb_filter_free(filter);
    return kept;
}

static void refuse(const char *text, const char *says)
{
    cJSON *json;
    struct sb_filter *filter;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_json_parse(&json, text, strlen(text), &error), SB_OK);
    enum sb_status status = sb_filter_parse(&filter, json, &error);
    cJSON_Delete(json);
    ck_assert_msg(status == SB_INVALID, "%s was taken", text);
    ck_assert_ptr_null(filter);
    ck_assert_msg(strstr(error.message, says) != NULL, "%s: '%s' does not say '%s'", text, error.message, says);
}

static const struct {
    const char *filter, *metadata;
    bool kept;
} cases[] = {
    {"{}", "{}", true},
    {"{}", "{\"a\":1}", true},
    /* equals */
    {"{\"a\":1}", "{\"a\":1}", true},
    {"{\"a\":1}", "{\"a\":1.0}", true},
    {"{\"a\":1}", "{\"a\":1e0}", true},
    {"{\"a\":1}", "{\"a\":2}", false},
    {"{\"a\":1}", "{\"a\":\"1\"}", false},
    {"{\"a\":1}", "{}", false},
    {"{\"a\":1}", "{\"b\":1}", false},
    {"{\"a\":-1.5}", "{\"a\":-1.5}", true},
    {"{\"a\":1234567890123456}", "{\"a\":1234567890123456}", true},
    {"{\"a\":1234567890123456}", "{\"a\":1234567890123457}", false},
    {"{\"a\":true}", "{\"a\":true}", true},
    {"{\"a\":true}", "{\"a\":false}", false},
    {"{\"a\":false}", "{\"a\":false}", true},
    {"{\"a\":null}", "{\"a\":null}", true},
    {"{\"a\":null}", "{}", false},
    {"{\"a\":\"\"}", "{\"a\":\"\"}", true},
    {"{\"a\":\"退货\"}", "{\"b\":[{\"a\":\"x\"}],\"a\":\"退货\"}", true},
    {"{\"a\":\"退货\"}", "{\"a\":\"\\u9000\\u8d27\"}", true},
    {"{\"a\":\"x\\\"y\\n\\\\\"}", "{\"a\":\"x\\\"y\\n\\\\\"}", true},
    {"{\"a\":\"x\"}", "{\"a\":\"x\\n\"}", false},
    {"{\"a\":\"x\\n\"}", "{\"a\":\"x\"}", false},
    {"{\"a\":\"\xF0\x9F\x98\x80\"}", "{\"a\":\"\\ud83d\\ude00\"}", true},
    {"{\"a\":\"/\"}", "{\"a\":\"\\/\"}", true},
    {"{\"a\":{\"eq\":1}}", "{\"a\":1}", true},
    {"{\"a\":{\"ne\":1}}", "{\"a\":1}", false},
    {"{\"a\":{\"ne\":1}}", "{\"a\":2}", true},
    {"{\"a\":{\"ne\":1}}", "{}", true},
    /* white space, names that resemble */
    {"{\"ab\":1}", " { \"a\" : 1 , \"ab\" : [ 2 , 1 ] } ", true},
    {"{\"a\":1}", "{\"ab\":1,\"\":1}", false},
    {"{\"a\":1}", "{\"\\u0061\":1}", true},
    /* the first of equal names counts */
    {"{\"a\":1}", "{\"a\":2,\"a\":1}", false},
    {"{\"a.b\":1}", "{\"a\":{\"b\":2},\"a\":{\"b\":1}}", false},
    /* in */
    {"{\"a\":{\"in\":[]}}", "{\"a\":1}", false},
    {"{\"a\":{\"in\":[3,1,2]}}", "{\"a\":2}", true},
    {"{\"a\":{\"in\":[3,1,2]}}", "{\"a\":4}", false},
    {"{\"a\":{\"in\":[\"z\",\"b\",\"bb\",7,null]}}", "{\"a\":\"bb\"}", true},
    {"{\"a\":{\"in\":[\"z\",\"b\",\"bb\",7,null]}}", "{\"a\":\"a\"}", false},
    {"{\"a\":{\"in\":[\"z\",\"b\",\"bb\",7,null]}}", "{\"a\":null}", true},
    {"{\"a\":{\"in\":[\"z\",\"b\",\"bb\",7,null]}}", "{\"a\":7}", true},
    /* ranges */
    {"{\"a\":{\"gt\":1,\"lt\":3}}", "{\"a\":2}", true},
    {"{\"a\":{\"gt\":1,\"lt\":3}}", "{\"a\":1}", false},
    {"{\"a\":{\"gt\":1,\"lt\":3}}", "{\"a\":3}", false},
    {"{\"a\":{\"gte\":1,\"lte\":3}}", "{\"a\":1}", true},
    {"{\"a\":{\"gte\":1,\"lte\":3}}", "{\"a\":3}", true},
    {"{\"a\":{\"gte\":1,\"lte\":3}}", "{\"a\":3.0001}", false},
    {"{\"a\":{\"lt\":3}}", "{\"a\":\"1\"}", false},
    {"{\"a\":{\"lt\":3}}", "{\"a\":null}", false},
    {"{\"a\":{\"gte\":\"2026-01-01\",\"lt\":\"2026-02-01\"}}", "{\"a\":\"2026-01-31T23:59\"}", true},
    {"{\"a\":{\"gte\":\"2026-01-01\",\"lt\":\"2026-02-01\"}}", "{\"a\":\"2026-02-01\"}", false},
    {"{\"a\":{\"gte\":\"2026-01-01\",\"lt\":\"2026-02-01\"}}", "{\"a\":5}", false},
    {"{\"a\":{\"gt\":\"a\"}}", "{\"a\":\"a\\u0000\"}", true},
    /* exists */
    {"{\"a\":{\"exists\":true}}", "{\"a\":null}", true},
    {"{\"a\":{\"exists\":true}}", "{\"a\":{\"b\":1}}", true},
    {"{\"a\":{\"exists\":true}}", "{\"a\":[]}", true},
    {"{\"a\":{\"exists\":true}}", "{\"b\":{\"a\":1}}", false},
    {"{\"a\":{\"exists\":false}}", "{\"b\":1}", true},
    {"{\"a\":{\"exists\":false}}", "{\"a\":1}", false},
    /* lists */
    {"{\"a\":2}", "{\"a\":[1,2,3]}", true},
    {"{\"a\":4}", "{\"a\":[1,2,3]}", false},
    {"{\"a\":2}", "{\"a\":[[2],{\"a\":2}]}", false},
    {"{\"a\":{\"gt\":2}}", "{\"a\":[1,[9],3]}", true},
    {"{\"a\":{\"ne\":2}}", "{\"a\":[1,2]}", false},
    {"{\"a\":2}", "{\"a\":[]}", false},
    /* paths */
    {"{\"a.b\":1}", "{\"a\":{\"b\":1}}", true},
    {"{\"a.b\":1,\"a.c\":{\"lt\":5},\"a\":{\"exists\":true}}", "{\"x\":{\"b\":2},\"a\":{\"c\":4,\"b\":1}}", true},
    {"{\"a.b\":1}", "{\"a.b\":1}", false},
    {"{\"a\\\\.b\":1}", "{\"a.b\":1}", true},
    {"{\"a.b\":1}", "{\"a\":1}", false},
    {"{\"a\":1}", "{\"a\":{\"a\":1}}", false},
    {"{\"a.b\":1}", "{\"a\":[{\"b\":1}]}", false},
    {"{\"\\\\and\":1}", "{\"and\":1}", true},
    {"{\"\\\\$x\":1}", "{\"$x\":1}", true},
    /* and, or, not */
    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
    {"{\"a\":1,\"b\":2}", "{\"a\":1}", false},
    {"{\"and\":[]}", "{}", true},
    {"{\"or\":[]}", "{}", false},
    {"{\"or\":[{\"a\":1},{\"b\":2}]}", "{\"b\":2}", true},
    {"{\"or\":[{\"a\":1},{\"b\":2}]}", "{\"b\":1,\"a\":2}", false},
    {"{\"not\":{\"a\":1}}", "{\"a\":1}", false},
    {"{\"not\":{\"a\":1}}", "{}", true},
    {"{\"not\":{\"a\":1,\"b\":1}}", "{\"a\":1}", true},
    {"{\"and\":[{\"or\":[{\"a\":1},{\"a\":2}]},{\"not\":{\"b\":3}}],\"c\":{\"exists\":true}}",
     "{\"a\":2,\"b\":4,\"c\":0}", true},
    {"{\"and\":[{\"or\":[{\"a\":1},{\"a\":2}]},{\"not\":{\"b\":3}}],\"c\":{\"exists\":true}}",
     "{\"a\":2,\"b\":3,\"c\":0}", false},
    /* what is no object has no fields */
    {"{\"a\":{\"exists\":false}}", "[1]", true},
    {"{\"a\":\"x\"}", "{\"a\":\"x", false},
    {"{\"a\":1,\"b\":{\"exists\":false}}", "{\"a\":1,\"c\":", false},
};

START_TEST(each_operator)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(keeps(cases[i].filter, cases[i].metadata) == cases[i].kept, "%s %s %s", cases[i].filter,
                      cases[i].kept ? "does not keep" : "keeps", cases[i].metadata);
}
END_TEST

START_TEST(refusals_name_the_place)
{
    refuse("[]", "filter: an object is expected");
    refuse("{\"and\":[{\"a\":1},{\"price\":{\"below\":1}}]}", "filter.and[1].price: unknown operator \"below\"");
    refuse("{\"a\":{\"b\":1}}", "a field within a field is \"outer.inner\"");
    refuse("{\"$and\":[]}", "filter.$and: unknown operator");
    refuse("{\"and\":{}}", "filter.and: a list of filters");
    refuse("{\"or\":[1]}", "filter.or[0]: an object");
    refuse("{\"not\":1}", "filter.not: an object");
    refuse("{\"a\":[1]}", "filter.a: a list is no value");
    refuse("{\"a\":{}}", "filter.a: no operator");
    refuse("{\"a\":{\"in\":1}}", "filter.a.in: a list");
    refuse("{\"a\":{\"in\":[[1]]}}", "filter.a.in: each value");
    refuse("{\"a\":{\"eq\":{}}}", "filter.a.eq: the value");
    refuse("{\"a\":{\"gt\":true}}", "filter.a.gt: a number or a text");
    refuse("{\"a\":{\"exists\":1}}", "filter.a.exists: true or false");
    refuse("{\"\":1}", "is empty");
    refuse("{\"a..b\":1}", "is empty");
    refuse("{\"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\":1}", "more than 16 steps");
}
END_TEST

/* text repeated count times between head and tail */
static const char *repeat(const char *head, const char *text, size_t count, const char *tail)
{
    char *all = malloc(strlen(head) + strlen(text) * count + strlen(tail) + 1), *at = all;
    at += sprintf(at, "%s", head);
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s", text);
    sprintf(at, "%s", tail);
    return keep(all);
}

START_TEST(sizes_are_bounded)
{
    refuse(repeat("{\"or\":[", "{\"a\":1},", 128, "{\"a\":1}]}"), "more than 128 operators");
    refuse(repeat("{\"a\":{\"in\":[", "1,", 10000, "1]}}"), "more than 10000 values");
    refuse(repeat("{\"or\":[", "{},", 2000, "{}]}"), "parts");
    refuse(repeat("", "{\"not\":", 16, "{}}}}}}}}}}}}}}}}}"), "nested more than 16 deep");
    refuse(repeat("{\"", "x", 512, "\":1}"), "512 bytes");
    ck_assert(keeps(repeat("{\"or\":[", "{\"a\":1},", 127, "{\"a\":1}]}"), "{\"a\":1}"));
    ck_assert(keeps(repeat("{\"a\":{\"in\":[", "1,", 9999, "2]}}"), "{\"a\":2}"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter");
    TCase *tests = tcase_create("filter");
    tcase_add_test(tests, each_operator);
    tcase_add_test(tests, refusals_name_the_place);
    tcase_add_test(tests, sizes_are_bounded);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
