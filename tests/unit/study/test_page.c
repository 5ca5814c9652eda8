/* Numbers that are known become a table, JSON and a plot. */
#include "base/json.h"
#include "study/page.h"
#include "study/results.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <math.h>
#include <string.h>

enum { STEPS = 10, SEEDS = 3 };

static const struct sb_study study = {
    .name = "example",
    .title = "Example",
    .about = "Something.",
    .recipe = "{\"batch_size\": 4}",
    .steps = STEPS,
    .runs = {{.label = "plain"},
             {.label = "better", .recipe = "{\"learning_rate\": 1}"},
             {.label = "noisy", .recipe = "{\"learning_rate\": 2}"},
             {.label = "untouched", .is_untrained = true, .whitens = true}},
    .columns = {{"score", "score, higher is better", 2}, {"size", "size", 0}},
};
static const struct sb_study_about about = {.command = "simbert study example --seeds 3",
                                            .model = "tiny",
                                            .train = "train.jsonl",
                                            .dev = "dev.tsv",
                                            .layers = 2,
                                            .measured = "Measured on a few."};

static struct sb_study_results *results;

/* plain: 1.0, 1.1, 1.2. better: .5 more at every seed, give or take .01. noisy: .1 more, give or take 1. */
static void setup(void)
{
    static const double more[4][SEEDS] = {{0, 0, 0}, {0.49, 0.5, 0.51}, {1.1, 0.1, -0.9}, {2, 2, 2}};
    results = sb_study_results_new(&study, STEPS, SEEDS);
    ck_assert_ptr_nonnull(results);
    sb_study_measure(&results->before, "score", 0.25);
    for (size_t r = 0; r < 4; r++)
        for (size_t s = 0; s < SEEDS; s++) {
            struct sb_study_trial *trial = sb_study_trial(results, r, s);
            sb_study_measure(&trial->after, "score", 1 + 0.1 * (double)s + more[r][s]);
            if (r < 3)
                sb_study_measure(&trial->after, "size", 100 + 10 * (double)r);
            for (size_t i = 0; trial->losses && i < STEPS; i++)
                trial->losses[i] = 5 - 0.1 * (double)i;
        }
}

static void teardown(void)
{
    sb_study_results_free(results);
}

START_TEST(test_summary)
{
    struct sb_study_summary plain = sb_study_summarise(results, 0, "score"),
                            better = sb_study_summarise(results, 1, "score"),
                            noisy = sb_study_summarise(results, 2, "score");
    ck_assert_double_eq_tol(plain.mean, 1.1, 1e-12);
    ck_assert_double_eq_tol(plain.spread, 0.1, 1e-12);
    ck_assert_double_eq_tol(better.mean, 1.6, 1e-12);
    ck_assert_double_eq_tol(better.spread, 0.11, 1e-12);
    ck_assert_double_eq_tol(noisy.mean, 1.2, 1e-12);
    ck_assert(!plain.differs && better.differs && !noisy.differs);
    ck_assert(sb_study_summarise(results, 1, "size").differs);
    struct sb_study_summary none = sb_study_summarise(results, 3, "size");
    ck_assert(isnan(none.mean) && !none.differs);
}
END_TEST

/* t of differences d, mean / (deviation / sqrt(3)): 4.303 is the border at two degrees of freedom. */
START_TEST(test_border)
{
    for (int above = 0; above < 2; above++) {
        double mean = above ? 4.31 / sqrt(3) : 4.29 / sqrt(3); /* of a deviation of 1 */
        for (size_t s = 0; s < SEEDS; s++) {
            struct sb_study_trial *trial = sb_study_trial(results, 2, s);
            trial->after.count = 0;
            sb_study_measure(&trial->after, "score", 1 + 0.1 * (double)s + mean + (double)s - 1);
        }
        ck_assert_int_eq(sb_study_summarise(results, 2, "score").differs, above);
    }
    ck_assert_double_eq_tol(sb_study_student(1), 12.706, 1e-9);
    ck_assert_double_eq_tol(sb_study_student(10), 2.228, 1e-9);
    ck_assert_double_eq_tol(sb_study_student(31), 2.040, 1e-9);
    ck_assert(isnan(sb_study_student(0)) && isnan(sb_study_student(32)));
}
END_TEST

START_TEST(test_page)
{
    struct sb_buffer out = {0};
    sb_study_put_page(&out, results, &about);
    ck_assert(!out.failed);
    static const char *const lines[] = {
        "# Example\n\nSomething.\n",
        "first 2 layers are kept",
        "10 steps on `train.jsonl`, with 3 seeds",
        "\n    simbert study example --seeds 3\n",
        "- **plain**: nothing\n- **better**: `{\"learning_rate\": 1}`\n",
        "- **untouched**: no training, then whitening\n",
        "| | score, higher is better | size |\n|---|---|---|\n| before training | 0.25 | |\n| plain | 1.10 ± 0.10 | "
        "100 |\n"
        "| better | **1.60** ± 0.11 | **110** |\n| noisy | 1.20 ± 0.90 | **120** |\n| untouched | **3.10** ± 0.10 | "
        "|\n",
        "differs from plain by more",
        "![Example](study.svg)\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(out.data, lines[i]) != NULL, "no\n%s\nin\n%s", lines[i], out.data);
    sb_buffer_free(&out);
}
END_TEST

START_TEST(test_json)
{
    struct sb_buffer out = {0};
    struct sb_error error;
    cJSON *json;
    sb_study_put_json(&out, results, &about);
    enum sb_status status = sb_json_parse(&json, out.data, out.length, &error);
    ck_assert_msg(status == SB_OK, "%s in %s", status == SB_OK ? "" : error.message, out.data);
    const cJSON *runs = cJSON_GetObjectItem(json, "runs"), *better = cJSON_GetArrayItem(runs, 1);
    ck_assert_int_eq(cJSON_GetArraySize(runs), 4);
    ck_assert_str_eq(cJSON_GetObjectItem(better, "label")->valuestring, "better");
    const cJSON *score = cJSON_GetObjectItem(cJSON_GetObjectItem(better, "summary"), "score");
    ck_assert_double_eq_tol(cJSON_GetObjectItem(score, "mean")->valuedouble, 1.6, 1e-6);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(score, "differs")));
    const cJSON *trial = cJSON_GetArrayItem(cJSON_GetObjectItem(better, "trials"), 2);
    ck_assert_int_eq(cJSON_GetObjectItem(trial, "seed")->valueint, 3);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(trial, "losses")), STEPS);
    ck_assert_double_eq_tol(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "before"), "score")->valuedouble, 0.25, 1e-9);
    cJSON_Delete(json);
    sb_buffer_free(&out);
}
END_TEST

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

/* A line for each run that was trained. */
START_TEST(test_plot)
{
    struct sb_buffer out = {0};
    ck_assert_int_eq(sb_study_put_plot(&out, results, NULL), SB_OK);
    ck_assert(!out.failed && strncmp(out.data, "<svg", 4) == 0);
    ck_assert(strstr(out.data, "plain") && strstr(out.data, "better") && strstr(out.data, "noisy"));
    ck_assert_ptr_null(strstr(out.data, "untouched"));
    ck_assert_uint_eq(count_of(out.data, ">better<"), 1);
    sb_buffer_free(&out);
}
END_TEST

START_TEST(test_files)
{
    const char *dir = scratch("made/here");
    ck_assert_int_eq(sb_study_save(results, &about, dir, NULL), SB_OK);
    ck_assert(strncmp(whole_file(scratch("made/here/study.md"), NULL), "# Example", 9) == 0);
    ck_assert(whole_file(scratch("made/here/study.json"), NULL)[0] == '{');
    ck_assert(strstr(whole_file(scratch("made/here/study.svg"), NULL), "</svg>") != NULL);
    struct sb_error error;
    ck_assert_int_ne(sb_study_save(results, &about, scratch("made/here/study.md/no"), &error), SB_OK);
    ck_assert_ptr_nonnull(strstr(error.message, "study.md"));
}
END_TEST

START_TEST(test_one_seed)
{
    struct sb_study_results *one = sb_study_results_new(&study, STEPS, 1);
    struct sb_buffer out = {0};
    for (size_t r = 0; r < 4; r++)
        sb_study_measure(&sb_study_trial(one, r, 0)->after, "score", (double)r);
    ck_assert(!sb_study_summarise(one, 1, "score").differs);
    sb_study_put_page(&out, one, &about);
    ck_assert(strstr(out.data, "| better | 1.00 | |") && strstr(out.data, "One seed") && !strstr(out.data, "| **"));
    sb_buffer_free(&out);
    sb_study_results_free(one);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("study/page");
    TCase *tests = tcase_create("page");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_summary);
    tcase_add_test(tests, test_border);
    tcase_add_test(tests, test_page);
    tcase_add_test(tests, test_json);
    tcase_add_test(tests, test_plot);
    tcase_add_test(tests, test_files);
    tcase_add_test(tests, test_one_seed);
    return run_suite(suite);
}
