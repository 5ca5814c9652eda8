/* Recipes laid over each other: the examples of RFC 7396's appendix that objects can show, and every study's own. */
#include "base/json.h"
#include "study/merge.h"
#include "study/results.h"
#include "tests/unit/support.h"
#include "training/recipe.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *target, *patch, *result;
} cases[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\",\"c\":null}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    {"{\"A\":1}", "{\"a\":2}", "{\"A\":1,\"a\":2}"},
    {"{\"a\":{\"b\":{\"c\":1,\"d\":2}},\"e\":3}", "{\"a\":{\"b\":{\"d\":4,\"f\":5}}}",
     "{\"a\":{\"b\":{\"c\":1,\"d\":4,\"f\":5}},\"e\":3}"},
};

START_TEST(test_overlay)
{
    cJSON *json = cJSON_Parse(cases[_i].target), *wanted = cJSON_Parse(cases[_i].result);
    ck_assert_int_eq(sb_study_overlay(&json, cases[_i].patch, NULL), SB_OK);
    char *text = cJSON_PrintUnformatted(json);
    ck_assert_msg(cJSON_Compare(json, wanted, true), "%s with %s gave %s", cases[_i].target, cases[_i].patch, text);
    free(text);
    cJSON_Delete(json);
    cJSON_Delete(wanted);
}
END_TEST

START_TEST(test_nothing)
{
    cJSON *json = NULL;
    struct sb_error error;
    ck_assert_int_eq(sb_study_overlay(&json, NULL, NULL), SB_OK);
    ck_assert_ptr_null(json);
    ck_assert_int_eq(sb_study_overlay(&json, "{\"a\":", &error), SB_INVALID);
    ck_assert_ptr_null(json);
    ck_assert_int_eq(sb_study_overlay(&json, "{\"a\":1}", NULL), SB_OK);
    ck_assert(cJSON_IsObject(json));
    cJSON_Delete(json);
}
END_TEST

/* Every run of every study has a recipe that can be read. */
START_TEST(test_studies)
{
    for (size_t s = 0; sb_studies[s]; s++) {
        const struct sb_study *study = sb_studies[s], *found;
        ck_assert_int_eq(sb_study_find(&found, study->name, NULL), SB_OK);
        ck_assert_ptr_eq(found, study);
        ck_assert_uint_gt(sb_study_run_count(study), 1);
        ck_assert_uint_gt(sb_study_column_count(study), 0);
        ck_assert(study->steps > 0 && study->checks <= SB_STUDY_CHECKS && !study->curve == !study->checks);
        for (size_t r = 0; r < sb_study_run_count(study); r++) {
            cJSON *json = NULL;
            struct sb_error error;
            struct sb_recipe *recipe;
            ck_assert_int_eq(sb_study_overlay(&json, study->recipe, NULL), SB_OK);
            ck_assert_int_eq(sb_study_overlay(&json, study->runs[r].recipe, NULL), SB_OK);
            char *text = cJSON_PrintUnformatted(json);
            enum sb_status status = sb_recipe_read(&recipe, text, strlen(text), &error);
            ck_assert_msg(status == SB_OK, "%s, %s: %s", study->name, study->runs[r].label, error.message);
            sb_recipe_free(recipe);
            free(text);
            cJSON_Delete(json);
        }
    }
}
END_TEST

START_TEST(test_no_such_study)
{
    const struct sb_study *study;
    struct sb_error error;
    ck_assert_int_eq(sb_study_find(&study, "optimiser", &error), SB_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "optimizers"));
    ck_assert_int_eq(sb_study_find(&study, "zzz", &error), SB_NOT_FOUND);
    ck_assert_ptr_null(study);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("study/merge");
    TCase *tests = tcase_create("merge");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, test_overlay, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, test_nothing);
    tcase_add_test(tests, test_studies);
    tcase_add_test(tests, test_no_such_study);
    return run_suite(suite);
}
