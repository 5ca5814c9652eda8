/* Schedules: bert4keras' piecewise_linear, and the formulas of the others at their corners. */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/schedule.h"

#include <cjson/cJSON.h>
#include <math.h>

static void expect(const struct sb_schedule *schedule, uint64_t step, double want)
{
    struct sb_error error;
    ck_assert_msg(sb_schedule_check(schedule, &error) == SB_OK, "%s", error.message);
    double got = sb_schedule_rate(schedule, step);
    ck_assert_msg(fabs(got - want) <= 1e-12, "step %ju: %.17g, not %.17g", (uintmax_t)step, got, want);
}

START_TEST(piecewise_golden)
{
    cJSON *cases = cJSON_Parse(whole_file(golden("optim/schedule.json"), NULL)), *item;
    ck_assert_int_ge(cJSON_GetArraySize(cases), 5);
    cJSON_ArrayForEach(item, cases)
    {
        struct sb_schedule schedule = {.kind = SB_SCHEDULE_PIECEWISE, .peak = 2};
        cJSON *point, *t = cJSON_GetObjectItem(item, "t"), *want = cJSON_GetObjectItem(item, "multiplier");
        cJSON_ArrayForEach(point, cJSON_GetObjectItem(item, "schedule"))
        {
            schedule.points[schedule.point_count].step = (uint64_t)cJSON_GetArrayItem(point, 0)->valuedouble;
            schedule.points[schedule.point_count++].factor = cJSON_GetArrayItem(point, 1)->valuedouble;
        }
        ck_assert_int_eq(sb_schedule_check(&schedule, NULL), SB_OK);
        ck_assert_int_ge(cJSON_GetArraySize(t), 8);
        for (int i = 0; i < cJSON_GetArraySize(t); i++) {
            double got = sb_schedule_rate(&schedule, (uint64_t)cJSON_GetArrayItem(t, i)->valuedouble);
            ck_assert_double_eq_tol(got / 2, cJSON_GetArrayItem(want, i)->valuedouble, 1e-6); /* theirs is float */
        }
    }
    cJSON_Delete(cases);
}
END_TEST

START_TEST(warm_up)
{
    for (int kind = SB_SCHEDULE_CONSTANT; kind < SB_SCHEDULE_PIECEWISE; kind++) {
        struct sb_schedule schedule = {.kind = (enum sb_schedule_kind)kind, .peak = 3, .warmup = 4, .steps = 12};
        expect(&schedule, 0, 0);
        expect(&schedule, 1, 0.75);
        expect(&schedule, 3, 2.25);
        expect(&schedule, 4, 3);
        schedule.warmup = 0;
        expect(&schedule, 0, 3);
    }
}
END_TEST

START_TEST(decay)
{
    struct sb_schedule schedule = {.kind = SB_SCHEDULE_LINEAR, .peak = 2, .warmup = 4, .steps = 12, .floor = 0.25};
    expect(&schedule, 6, 2 * (1 - 0.75 / 4));
    expect(&schedule, 12, 0.5);
    expect(&schedule, 1000, 0.5);
    schedule.kind = SB_SCHEDULE_COSINE;
    expect(&schedule, 6, 2 * (0.25 + 0.375 * (1 + sqrt(0.5))));
    expect(&schedule, 8, 2 * 0.625);
    expect(&schedule, 12, 0.5);
    expect(&schedule, 1000, 0.5);
    schedule.kind = SB_SCHEDULE_INVERSE_ROOT;
    expect(&schedule, 16, 1);
    expect(&schedule, 1000, 0.5); /* the floor: sqrt(4 / 1000) is below it */
    schedule.warmup = 0;
    expect(&schedule, 1, 2);
    expect(&schedule, 4, 1);
    schedule.kind = SB_SCHEDULE_CONSTANT;
    expect(&schedule, 1000, 2);
}
END_TEST

START_TEST(refuses)
{
    const struct sb_schedule bad[] = {
        {.kind = SB_SCHEDULE_CONSTANT, .peak = -1},
        {.kind = SB_SCHEDULE_CONSTANT, .peak = (double)NAN},
        {.kind = SB_SCHEDULE_CONSTANT, .peak = 1, .floor = 1.5},
        {.kind = SB_SCHEDULE_LINEAR, .peak = 1, .warmup = 10, .steps = 10},
        {.kind = SB_SCHEDULE_COSINE, .peak = 1},
        {.kind = SB_SCHEDULE_PIECEWISE, .peak = 1},
        {.kind = SB_SCHEDULE_PIECEWISE, .peak = 1, .points = {{5, 1}, {5, 0}}, .point_count = 2},
        {.kind = SB_SCHEDULE_PIECEWISE, .peak = 1, .points = {{5, -1}}, .point_count = 1},
        {.kind = SB_SCHEDULE_PIECEWISE, .peak = 1, .point_count = SB_SCHEDULE_MAX_POINTS + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(sb_schedule_check(&bad[i], NULL), SB_INVALID);
    enum sb_schedule_kind kind;
    ck_assert_int_eq(sb_schedule_named(&kind, "inverse_root", NULL), SB_OK);
    ck_assert_int_eq(kind, SB_SCHEDULE_INVERSE_ROOT);
    ck_assert_int_eq(sb_schedule_named(&kind, "step", NULL), SB_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/schedule");
    TCase *tests = tcase_create("schedule");
    tcase_add_test(tests, piecewise_golden);
    tcase_add_test(tests, warm_up);
    tcase_add_test(tests, decay);
    tcase_add_test(tests, refuses);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
