#include "training/report.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_report report, again;
static struct sb_buffer out;
static struct sb_error error;

static void setup(void)
{
    report = again = (struct sb_report){0};
    out = (struct sb_buffer){0};
}

static void teardown(void)
{
    sb_report_free(&report);
    sb_report_free(&again);
    sb_buffer_free(&out);
}

static void add_step(struct sb_report *to, uint64_t number, double loss)
{
    struct sb_trainer_step step = {.number = number,
                                   .loss = loss,
                                   .learning_rate = 2e-5 * (double)number,
                                   .gradient_norm = 1 / (double)number,
                                   .rows = 4,
                                   .names = {"seq2seq", "in_batch"},
                                   .values = {loss / 3, number % 2 ? NAN : loss / 7},
                                   .value_count = 2};
    sb_report_step(to, &step, 100);
}

static const char hostile[] = "</p><script>alert(1)</script> & \"quoted\" 'text' 中文 \x01";

static void fill(const char *text)
{
    struct sb_data_report file = {.path = text, .kind = SB_DATA_SYNONYMS, .lines = 9, .blank = 1, .examples = 5, .bad = 3};
    sb_report_set(&report.model, text, &report);
    sb_report_set(&report.output, text, &report);
    sb_report_set(&report.message, text, &report);
    sb_report_set(&report.recipe, "{\"seed\": 42, \"optimizer\": {\"name\": \"<b>\"}}", &report);
    report.started = 1795500000;
    report.finished = 1795500600;
    report.seconds = 1.0 / 3;
    report.threads = 2;
    report.seed = (uint64_t)1 << 53;
    report.peak_bytes = 123456789012;
    snprintf(report.gate.metric, sizeof report.gate.metric, "spearman");
    report.gate.before = 0.7;
    report.gate.after = 0.8;
    report.gate.passed = true;
    report.result = SB_REPORT_SUCCEEDED;
    file.dropped[SB_DROP_JSON] = 3;
    file.problems[0] = (struct sb_data_problem){.line = 7, .reason = SB_DROP_JSON};
    snprintf(file.problems[0].what, sizeof file.problems[0].what, "%s", text);
    file.problem_count = 1;
    sb_report_file(&report, &file);
    sb_report_evaluation(&report, 0, false);
    sb_report_measure(&report, "pairs.dev.spearman", 0.7);
    sb_report_measure(&report, text, NAN);
    sb_report_evaluation(&report, 2, true);
    sb_report_measure(&report, "pairs.dev.spearman", 0.72);
    sb_report_evaluation(&report, 3, false);
    sb_report_measure(&report, "pairs.dev.spearman", 0.8);
    sb_report_paraphrase(&report, text, false, text, 0.1);
    sb_report_paraphrase(&report, text, true, text, 0.9);
    sb_report_paraphrase(&report, "nothing but copies", false, NULL, NAN);
    for (uint64_t i = 1; i <= 3; i++)
        add_step(&report, i, 1 / (double)i);
}

/* ---- Growing ---- */

/* The mean of all steps is that of all points, the number of points has a bound, and no step is lost. */
static void check_points(uint64_t steps)
{
    uint64_t counted = 0, last = 0;
    double sum = 0;
    ck_assert_uint_le(report.point_count, SB_REPORT_POINTS);
    ck_assert_uint_ge(report.point_count, steps < SB_REPORT_POINTS ? steps : SB_REPORT_POINTS / 2);
    for (size_t i = 0; i < report.point_count; i++) {
        const struct sb_report_point *p = &report.points[i];
        if (p->last != last + p->steps || (i + 1 < report.point_count && p->steps != report.stride))
            ck_abort_msg("point %zu of %zu: %lu steps up to %lu", i, report.point_count, p->steps, p->last);
        last = p->last;
        counted += p->steps;
        sum += p->loss * (double)p->steps;
    }
    ck_assert_uint_eq(counted, steps);
    ck_assert_uint_eq(last, steps);
    ck_assert_double_eq_tol(sum / (double)steps, (double)(steps + 1) / 2, 1e-9 * (double)steps);
}

START_TEST(steps_are_thinned)
{
    static const uint64_t lengths[] = {1, 1999, 2000, 2001, 4000, 4001, 8003, 100000};
    for (uint64_t i = 1; i <= lengths[_i]; i++)
        add_step(&report, i, (double)i);
    check_points(lengths[_i]);
    ck_assert_uint_eq(report.rows, 4 * lengths[_i]);
}
END_TEST

/* values[1] is a number in every second step only: thinning takes the mean of those, and does not spread what is none. */
START_TEST(what_is_no_number_does_not_count)
{
    for (uint64_t i = 1; i <= 2001; i++)
        add_step(&report, i, 7);
    ck_assert_uint_eq(report.point_count, 1001);
    for (size_t i = 0; i < 1000; i++)
        if (report.points[i].values[1] != 1)
            ck_abort_msg("point %zu: %g", i, report.points[i].values[1]);
    ck_assert(isnan(report.points[1000].values[1]));
}
END_TEST

START_TEST(other_parts_of_the_loss)
{
    struct sb_trainer_step other = {.number = 2, .loss = 5, .names = {"masked_lm"}, .values = {5}, .value_count = 1};
    add_step(&report, 1, 3);
    sb_report_step(&report, &other, 10);
    ck_assert_uint_eq(report.value_count, 2);
    ck_assert_uint_eq(report.point_count, 2);
    ck_assert_double_eq(report.points[1].loss, 5);
    ck_assert(isnan(report.points[1].values[0]) && isnan(report.points[1].values[1]));
}
END_TEST

START_TEST(evaluations_are_thinned)
{
    for (uint64_t i = 0; i < 1000; i++) {
        sb_report_evaluation(&report, i, i > 0);
        sb_report_measure(&report, "a.loss", (double)i);
    }
    ck_assert_uint_le(report.evaluation_count, SB_REPORT_EVALUATIONS);
    ck_assert_uint_ge(report.evaluation_count, SB_REPORT_EVALUATIONS / 2);
    ck_assert_uint_eq(report.evaluations[0].step, 0);
    ck_assert_uint_eq(report.evaluations[report.evaluation_count - 1].step, 999);
    for (size_t i = 1; i < report.evaluation_count; i++) {
        ck_assert_uint_gt(report.evaluations[i].step, report.evaluations[i - 1].step);
        ck_assert_double_eq(report.evaluations[i].measures[0].value, (double)report.evaluations[i].step);
    }
}
END_TEST

START_TEST(lists_that_are_full_take_no_more)
{
    struct sb_data_report file = {.path = "a.tsv"};
    char text[32];
    for (int i = 0; i < SB_REPORT_FILES + 3; i++)
        sb_report_file(&report, &file);
    ck_assert_uint_eq(report.file_count, SB_REPORT_FILES);
    ck_assert_uint_eq(report.files_left_out, 3);
    sb_report_measure(&report, "no.evaluation", 1);
    sb_report_evaluation(&report, 0, false);
    for (int i = 0; i < 2 * SB_REPORT_MEASURES; i++)
        sb_report_measure(&report, "a.b", i);
    ck_assert_uint_eq(report.evaluations[0].count, SB_REPORT_MEASURES);
    for (int i = 0; i < SB_REPORT_EXAMPLES + 5; i++) {
        snprintf(text, sizeof text, "source %d", i);
        for (int k = 0; k < SB_REPORT_PARAPHRASES + 2; k++)
            sb_report_paraphrase(&report, text, k % 2, "p", k);
    }
    ck_assert_uint_eq(report.example_count, SB_REPORT_EXAMPLES);
    ck_assert_uint_eq(report.examples[0].before_count, (SB_REPORT_PARAPHRASES + 2) / 2);
    ck_assert(!report.failed);
}
END_TEST

/* Cut between characters. */
START_TEST(long_texts_are_cut)
{
    char text[5000];
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "中", 4);
    sb_report_evaluation(&report, 0, false);
    sb_report_measure(&report, text, 1);
    sb_report_paraphrase(&report, text, false, text, 1);
    sb_report_paraphrase(&report, text, true, text, 1);
    ck_assert_uint_eq(strlen(report.evaluations[0].measures[0].name), 93);
    ck_assert_uint_eq(report.example_count, 1);
    ck_assert_uint_eq(strlen(report.examples[0].source), 1023);
    ck_assert_uint_eq(strlen(report.examples[0].before[0].text), 1023);
}
END_TEST

/* ---- JSON ---- */

static const char *json_of(const struct sb_report *one)
{
    struct sb_buffer text = {0};
    ck_assert_int_eq(sb_report_to_json(one, &text, &error), SB_OK);
    return keep(sb_buffer_take(&text, NULL));
}

START_TEST(json_says_what_happened)
{
    fill(hostile);
    cJSON *json = cJSON_Parse(json_of(&report));
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(cJSON_GetObjectItem(json, "model")->valuestring, hostile);
    ck_assert_str_eq(cJSON_GetObjectItem(json, "result")->valuestring, "succeeded");
    const cJSON *points = cJSON_GetObjectItem(json, "points"), *parts = cJSON_GetObjectItem(points, "parts");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(points, "loss")), 3);
    ck_assert_double_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(points, "loss"), 2)->valuedouble, 1 / 3.0);
    ck_assert(cJSON_IsNull(cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetArrayItem(parts, 1), "values"), 0)));
    const cJSON *last = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "evaluations"), 2);
    const cJSON *measure = cJSON_GetArrayItem(cJSON_GetObjectItem(last, "measures"), 0);
    ck_assert_double_eq(cJSON_GetObjectItem(measure, "value")->valuedouble, 0.8);
    const cJSON *file = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "files"), 0);
    ck_assert_int_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(file, "dropped"), sb_drop_name(SB_DROP_JSON))->valueint, 3);
    ck_assert_int_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "recipe"), "seed")->valueint, 42);
    cJSON_Delete(json);
}
END_TEST

START_TEST(json_comes_back)
{
    if (_i > 0)
        fill(hostile);
    for (uint64_t i = 4; i <= (uint64_t)_i * 3001; i++)
        add_step(&report, i, 1 / (double)i);
    const char *first = json_of(&report);
    ck_assert_msg(sb_report_from_json(&again, first, strlen(first), &error) == SB_OK, "%s", error.message);
    sb_report_set(&again.recipe, report.recipe, &again); /* white space is not kept */
    ck_assert_int_eq(strcmp(json_of(&again), first), 0); /* too long for a message */
}
END_TEST

/* A run that goes on with the report of its checkpoint ends with that of one that was never interrupted. */
START_TEST(an_interruption_leaves_no_trace)
{
    for (uint64_t i = 1; i <= 5001; i++)
        add_step(&report, i, 1 / (double)i);
    const char *text = json_of(&report);
    ck_assert_int_eq(sb_report_from_json(&again, text, strlen(text), &error), SB_OK);
    for (uint64_t i = 5002; i <= 9000; i++) {
        add_step(&report, i, 1 / (double)i);
        add_step(&again, i, 1 / (double)i);
    }
    ck_assert_int_eq(strcmp(json_of(&again), json_of(&report)), 0);
}
END_TEST

static const char *const foreign[] = {
    "",
    "null",
    "[]",
    "{}",
    "{\"result\":\"succeeded\"}",
    "{\"result\":\"unheard of\"}",
    "{\"result\":\"failed\",\"steps\":-1}",
    "{\"result\":\"failed\",\"model\":7}",
    "{\"result\":\"failed\",\"evaluations\":{}}",
    "{\"result\":\"failed\",\"evaluations\":[{}]}",
    "{\"result\":\"failed\",\"evaluations\":[],\"paraphrases\":[],\"files\":[{\"kind\":\"odd\",\"problems\":[]}]}",
    "{\"result\":\"failed\",\"evaluations\":[],\"paraphrases\":[],\"files\":[],\"points\":{\"last\":[1],\"parts\":[]}}",
    "{\"result\":\"failed\",\"evaluations\":[],\"paraphrases\":[],\"files\":[],\"points\":{\"stride\":1,\"last\":[1],"
    "\"steps\":[1,2],\"loss\":[1],\"adversarial\":[1],\"learning_rate\":[1],\"gradient_norm\":[1],"
    "\"rows_per_second\":[1],\"parts\":[]}}",
    "{\"result\":\"failed\",\"evaluations\":[],\"paraphrases\":[],\"files\":[],\"points\":{\"stride\":1,\"last\":[1],"
    "\"steps\":[0],\"loss\":[1],\"adversarial\":[1],\"learning_rate\":[1],\"gradient_norm\":[1],"
    "\"rows_per_second\":[1],\"parts\":[]}}",
    "{\"result\":\"failed\",\"evaluations\":[],\"paraphrases\":[],\"files\":[],\"points\":{\"stride\":1,\"last\":[1],"
    "\"steps\":[1],\"loss\":[1],\"adversarial\":[1],\"learning_rate\":[1],\"gradient_norm\":[1],"
    "\"rows_per_second\":[1],\"parts\":[{\"name\":\"a\",\"values\":[]}]}}",
};

START_TEST(other_json_is_refused)
{
    ck_assert_int_eq(sb_report_from_json(&again, foreign[_i], strlen(foreign[_i]), &error), SB_INVALID);
    ck_assert_ptr_null(again.model);
    ck_assert_ptr_null(again.points);
    ck_assert_uint_eq(again.evaluation_count + again.file_count, 0);
}
END_TEST

/* Any number of bytes missing at the end, and any value replaced by another: refused or read, never worse. */
START_TEST(damaged_json_is_survived)
{
    fill("text");
    const char *text = json_of(&report);
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i += 7) {
        ck_assert_int_eq(sb_report_from_json(&again, text, i, &error), SB_INVALID);
        char *changed = strdup(text);
        changed[i] = changed[i] == '[' ? '{' : changed[i] == '1' ? '-' : '9';
        if (sb_report_from_json(&again, changed, size, &error) == SB_OK)
            sb_report_free(&again);
        free(changed);
    }
}
END_TEST

/* ---- The page ---- */

static const char *page(void)
{
    sb_buffer_reset(&out);
    ck_assert_int_eq(sb_report_to_html(&report, &out, &error), SB_OK);
    ck_assert_ptr_nonnull(strstr(out.data, "</html>"));
    return out.data;
}

START_TEST(everything_is_escaped)
{
    fill(hostile);
    page();
    ck_assert_ptr_null(strstr(out.data, "<script"));
    ck_assert_ptr_null(strstr(out.data, "<b>\""));
    ck_assert_ptr_null(strstr(out.data, "\x01"));
    ck_assert_ptr_nonnull(strstr(out.data, "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quoted&quot; &#39;text&#39; 中文"));
    ck_assert_ptr_null(strstr(out.data, "nan"));
}
END_TEST

/* Nothing is fetched: the only addresses are names of namespaces. */
START_TEST(the_page_stands_alone)
{
    fill("text");
    for (const char *at = page(); (at = strstr(at, "://")); at++)
        ck_assert_int_eq(strncmp(at, "://www.w3.org/2000/svg", 22), 0);
    ck_assert_ptr_null(strstr(out.data, "<link"));
    ck_assert_ptr_null(strstr(out.data, "@import"));
    ck_assert_ptr_null(strstr(out.data, "url("));
}
END_TEST

START_TEST(an_empty_report_is_a_page)
{
    ck_assert_ptr_nonnull(strstr(page(), "Fine-tuning of a model"));
    ck_assert_ptr_null(strstr(out.data, "<svg"));
}
END_TEST

static const struct {
    enum sb_report_result result;
    const char *metric;
    double before, after;
    const char *expected;
} verdicts[] = {
    {SB_REPORT_SUCCEEDED, "spearman", 0.7, 0.8, "good\">Better: spearman 0.7000 → 0.8000 (+0.1000)"},
    {SB_REPORT_SUCCEEDED, "spearman", 0.8, 0.7, "bad\">Worse: spearman 0.8000 → 0.7000 (-0.1000)"},
    {SB_REPORT_SUCCEEDED, "nll", 3, 2, "good\">Better: nll 3.0000 → 2.0000 (-1.0000)"},
    {SB_REPORT_SUCCEEDED, "nll", 2, NAN, "\">Trained: a &lt;message&gt;"},
    {SB_REPORT_FAILED, "", 0, 0, "bad\">Failed: a &lt;message&gt;"},
    {SB_REPORT_STOPPED, "", 0, 0, "\">Stopped, step 3 of 9"},
    {SB_REPORT_RUNNING, "", 0, 0, "\">Training: a &lt;message&gt;"},
};

START_TEST(the_verdict)
{
    snprintf(report.gate.metric, sizeof report.gate.metric, "%s", verdicts[_i].metric);
    report.gate.before = verdicts[_i].before;
    report.gate.after = verdicts[_i].after;
    report.result = verdicts[_i].result;
    report.steps = 3;
    report.steps_planned = 9;
    sb_report_set(&report.message, "a <message>", &report);
    ck_assert_msg(strstr(page(), verdicts[_i].expected) != NULL, "%s", strstr(out.data, "<header>"));
}
END_TEST

/* What decides was not measured: the first measure of which it is known what is better. */
START_TEST(the_verdict_by_another_measure)
{
    report.result = SB_REPORT_SUCCEEDED;
    for (int after = 0; after < 2; after++) {
        sb_report_evaluation(&report, 5, false);
        sb_report_measure(&report, "a.distinct_2", after);
        sb_report_measure(&report, "a.nll", 2 - after);
    }
    ck_assert_ptr_nonnull(strstr(page(), "good\">Better: a.nll 2.0000 → 1.0000 (-1.0000)"));
}
END_TEST

START_TEST(the_table_says_better_and_worse)
{
    sb_report_evaluation(&report, 0, false);
    sb_report_measure(&report, "a.dev.spearman", 0.5);
    sb_report_measure(&report, "a.dev.nll", 1);
    sb_report_measure(&report, "b.distinct_2", 1);
    sb_report_measure(&report, "b.gone", 1);
    sb_report_evaluation(&report, 5, false);
    sb_report_measure(&report, "a.dev.spearman", 0.75);
    sb_report_measure(&report, "a.dev.nll", 1.5);
    sb_report_measure(&report, "b.distinct_2", 2);
    page();
    ck_assert_ptr_nonnull(strstr(out.data, "change good\">+0.2500<"));
    ck_assert_ptr_nonnull(strstr(out.data, "change bad\">+0.5000<"));
    ck_assert_ptr_nonnull(strstr(out.data, "change \">+1.0000<"));
    ck_assert_ptr_nonnull(strstr(out.data, "<th colspan=\"4\">a.dev</th>"));
    ck_assert_ptr_eq(strstr(strstr(out.data, ">a.dev<") + 1, ">a.dev<"), NULL);
    ck_assert_ptr_nonnull(strstr(out.data, "<th colspan=\"4\">b</th>"));
}
END_TEST

/* The largest that there can be. */
START_TEST(a_page_has_a_bound)
{
    struct sb_trainer_step step = {.value_count = sizeof step.values / sizeof *step.values};
    for (size_t i = 0; i < step.value_count; i++)
        step.names[i] = "a part of the loss";
    for (step.number = 1; step.number <= 2000; step.number++)
        sb_report_step(&report, &step, (double)step.number);
    page();
    ck_assert_uint_lt(out.length, 4 << 20);
    sb_buffer_reset(&out);
    ck_assert_int_eq(sb_report_to_json(&report, &out, &error), SB_OK);
    ck_assert_uint_lt(out.length, 8 << 20); /* what a checkpoint's state may hold is 16 MiB */
}
END_TEST

START_TEST(files_are_saved)
{
    fill("text");
    ck_assert_int_eq(sb_report_save(&report, scratch(""), &error), SB_OK);
    ck_assert_str_eq(whole_file(scratch("report.json"), NULL), json_of(&report));
    ck_assert_str_eq(whole_file(scratch("report.html"), NULL), page());
    ck_assert_int_eq(sb_report_save(&report, scratch("missing"), &error), SB_NOT_FOUND);
}
END_TEST

START_TEST(out_of_memory_is_reported)
{
    report.failed = true;
    fill("text");
    ck_assert_uint_eq(report.point_count + report.evaluation_count + report.file_count + report.example_count, 0);
    ck_assert_int_eq(sb_report_to_json(&report, &out, &error), SB_NO_MEMORY);
    ck_assert_int_eq(sb_report_to_html(&report, &out, &error), SB_NO_MEMORY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *test = tcase_create("report");
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, steps_are_thinned, 0, 8);
    tcase_add_test(test, what_is_no_number_does_not_count);
    tcase_add_test(test, other_parts_of_the_loss);
    tcase_add_test(test, evaluations_are_thinned);
    tcase_add_test(test, lists_that_are_full_take_no_more);
    tcase_add_test(test, long_texts_are_cut);
    tcase_add_test(test, json_says_what_happened);
    tcase_add_loop_test(test, json_comes_back, 0, 3);
    tcase_add_test(test, an_interruption_leaves_no_trace);
    tcase_add_loop_test(test, other_json_is_refused, 0, sizeof foreign / sizeof *foreign);
    tcase_add_test(test, damaged_json_is_survived);
    tcase_add_test(test, everything_is_escaped);
    tcase_add_test(test, the_page_stands_alone);
    tcase_add_test(test, an_empty_report_is_a_page);
    tcase_add_loop_test(test, the_verdict, 0, sizeof verdicts / sizeof *verdicts);
    tcase_add_test(test, the_verdict_by_another_measure);
    tcase_add_test(test, the_table_says_better_and_worse);
    tcase_add_test(test, a_page_has_a_bound);
    tcase_add_test(test, files_are_saved);
    tcase_add_test(test, out_of_memory_is_reported);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
