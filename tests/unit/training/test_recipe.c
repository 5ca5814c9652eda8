/*
 * Recipes: defaults, everything that can be wrong, printing, and what a recipe means to the parts of the trainer.
 */
#include "base/json.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_recipe *read_recipe(const char *text)
{
    struct sb_recipe *recipe;
    struct sb_error error;
    enum sb_status status = sb_recipe_read(&recipe, text, strlen(text), &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return recipe;
}

static struct sb_recipe *resolved(const char *text)
{
    struct sb_recipe *recipe = read_recipe(text);
    struct sb_error error;
    enum sb_status status = sb_recipe_resolve(recipe, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return recipe;
}

static const char *printed(const struct sb_recipe *recipe)
{
    struct sb_buffer b = {0};
    sb_recipe_write_json(recipe, &b);
    ck_assert(!b.failed);
    return keep(sb_buffer_take(&b, NULL));
}

static void refuse(const char *text, const char *says)
{
    struct sb_recipe *recipe;
    struct sb_error error = {0};
    ck_assert_int_eq(sb_recipe_read(&recipe, text, strlen(text), &error), SB_INVALID);
    ck_assert_ptr_null(recipe);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
}

static void refuse_to_resolve(const char *text, const char *says)
{
    struct sb_recipe *recipe = read_recipe(text);
    struct sb_error error = {0};
    ck_assert_int_eq(sb_recipe_resolve(recipe, &error), SB_INVALID);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
    sb_recipe_free(recipe);
}

START_TEST(defaults_are_set)
{
    struct sb_recipe *r;
    ck_assert_int_eq(sb_recipe_new(&r, NULL), SB_OK);
    ck_assert_uint_eq(r->seed, 42);
    ck_assert_double_eq(r->epochs, 3);
    ck_assert_double_eq(r->learning_rate, 2e-5);
    ck_assert_uint_eq(r->max_length, SB_RECIPE_AUTO);
    ck_assert_str_eq(r->optimizer.name, "adamw");
    ck_assert(isnan(r->optimizer.beta1) && !r->optimizer.exclusions.given);
    ck_assert_str_eq(r->schedule.name, "linear");
    ck_assert(!r->recompute && r->optimizer.scale_by_parameter);
    ck_assert_int_eq(r->exposure_bias.schedule, SB_PROBABILITY_LINEAR);
    ck_assert_ptr_null(r->teacher);
    ck_assert_uint_eq(r->objectives.count, 0);
    sb_recipe_free(r);
    sb_recipe_free(NULL);
}
END_TEST

START_TEST(values_are_read)
{
    struct sb_recipe *r = read_recipe(
        "{\"seed\": 9007199254740991, \"dtype\": \"bf16\", \"recompute\": true, \"teacher\": \"models/base\", "
        "\"steps\": null,"
        "\"optimizer\": {\"name\": \"lamb\", \"beta2\": 0.99, \"exclusions\": [\"bias\", \"norm\"]},"
        "\"exposure_bias\": {\"method\": \"scheduled\", \"schedule\": \"inverse_sigmoid\"},"
        "\"objectives\": [{\"name\": \"seq2seq\", \"data\": [\"a.jsonl\", {\"file\": \"b.tsv\", \"format\": \"pairs\", "
        "\"columns\": \"-,a,b,label\", \"score_range\": [0, 5]}], \"noise\": {\"source\": 0.5, \"unit\": \"word\"}},"
        "{\"name\": \"in_batch\", \"scale\": 20, \"dimensions\": [64, 128], \"weight\": 2}]}");
    ck_assert_uint_eq(r->seed, 9007199254740991u);
    ck_assert_str_eq(r->dtype, "bf16");
    ck_assert(r->recompute);
    ck_assert_str_eq(r->teacher, "models/base");
    ck_assert_uint_eq(r->steps, 0);
    ck_assert_str_eq(r->optimizer.name, "lamb");
    ck_assert_double_eq(r->optimizer.beta2, 0.99);
    ck_assert_uint_eq(r->optimizer.exclusions.count, 2);
    ck_assert_str_eq(r->optimizer.exclusions.items[1], "norm");
    ck_assert_int_eq(r->exposure_bias.schedule, SB_PROBABILITY_INVERSE_SIGMOID);
    ck_assert_uint_eq(r->objectives.count, 2);
    const struct sb_recipe_objective *o = r->objectives.items;
    ck_assert_uint_eq(o[0].data.count, 2);
    ck_assert_str_eq(o[0].data.items[0].path, "a.jsonl");
    ck_assert_int_eq(o[0].data.items[1].kind, SB_DATA_PAIRS);
    ck_assert_str_eq(o[0].data.items[1].columns, "-,a,b,label");
    ck_assert_double_eq(o[0].data.items[1].score_high, 5);
    ck_assert_double_eq(o[0].noise.source, 0.5);
    ck_assert_int_eq(o[0].noise.unit, SB_UNIT_WORD);
    ck_assert_double_eq(o[0].noise.mask, 0.15);
    ck_assert_double_eq(o[1].scale, 20);
    ck_assert_double_eq(o[1].weight, 2);
    ck_assert_uint_eq(o[1].dimensions.count, 2);
    ck_assert_double_eq(o[1].dimensions.items[1], 128);
    ck_assert_uint_eq(o[1].data.count, 0);
    sb_recipe_free(r);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    refuse("", "recipe: ");
    refuse("[]", "recipe: an object is wanted, not []");
    refuse("{\"epoch\": 3}", "recipe has no \"epoch\"; did you mean \"epochs\"?");
    refuse("{\"learningrate\": 3}", "did you mean \"learning_rate\"?");
    refuse("{\"lookahead\": {\"x\": 1}}", "recipe.lookahead has no \"x\"; there are k, alpha");
    refuse("{\"zzz\": 3}", "recipe has no \"zzz\"; there are seed, epochs");
    refuse("{\"optimizer\": {\"weight_dcay\": 0}}",
           "recipe.optimizer has no \"weight_dcay\"; did you mean \"weight_decay\"?");
    refuse("{\"epochs\": \"3\"}", "recipe.epochs: a number is wanted, not \"3\"");
    refuse("{\"epochs\": -1}", "recipe.epochs: -1 is not in [1e-06, 1e+06]");
    refuse("{\"batch_size\": 1.5}", "recipe.batch_size: a whole number is wanted, not 1.5");
    refuse("{\"batch_size\": 0}", "recipe.batch_size: 0 is not in [1, 65536]");
    refuse("{\"batch_size\": 1e300}", "recipe.batch_size");
    refuse("{\"dtype\": \"f16\"}", "recipe.dtype: \"f16\" is none of f32|bf16");
    refuse("{\"dtype\": 3}", "recipe.dtype: a string is wanted");
    refuse("{\"recompute\": 1}", "recipe.recompute: true or false is wanted, not 1");
    refuse("{\"teacher\": \"\"}", "recipe.teacher: a text is wanted");
    refuse("{\"epochs\": 3, \"epochs\": 4}", "recipe has \"epochs\" twice");
    refuse("{\"dropout\": 0.1}", "recipe.dropout: an object is wanted, not 0.1");
    refuse("{\"optimizer\": {\"exclusions\": \"bias\"}}", "recipe.optimizer.exclusions: a list is wanted");
    refuse("{\"optimizer\": {\"exclusions\": [3]}}", "recipe.optimizer.exclusions[0]: a text is wanted, not 3");
    refuse("{\"objectives\": [{}]}", "recipe.objectives[0] has no \"name\"");
    refuse("{\"objectives\": [{\"name\": \"cosine\"}, {\"name\": \"cosin\"}]}",
           "recipe.objectives[1].name: \"cosin\" is none of");
    refuse("{\"objectives\": [{\"name\": \"cosine\", \"dimensions\": [0]}]}",
           "recipe.objectives[0].dimensions[0]: 0 is not in");
    refuse("{\"objectives\": [{\"name\": \"cosine\", \"noise\": {\"mask\": 2}}]}",
           "recipe.objectives[0].noise.mask: 2 is not in");
    refuse("{\"objectives\": [{\"name\": \"cosine\", \"data\": [{\"format\": \"nli\"}]}]}",
           "recipe.objectives[0].data[0] has no \"file\"");
    refuse("{\"objectives\": [{\"name\": \"cosine\", \"data\": [{\"file\": \"a\", \"score_range\": [1]}]}]}",
           "score_range is not [low, high]");
    refuse("{\"evaluation\": {\"files\": [7]}}", "recipe.evaluation.files[0]: an object is wanted, not 7");
}
END_TEST

START_TEST(what_does_not_go_together_is_named)
{
    refuse_to_resolve("{}", "no \"objectives\"");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"seq2seq\"}]}", "recipe.objectives[0] has no \"data\"");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"seq2seq\", \"data\": [\"a\"]}, {\"name\": \"masked_lm\"}]}",
                      "masked_lm needs rows of its own");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"masked_lm\", \"data\": [\"a\"]}, {\"name\": \"in_batch\"}]}",
                      "the rows of masked_lm are none");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"seq2seq\", \"data\": [\"a\"]}, {\"name\": \"cosent\"}]}",
                      "cosent needs labels");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"cosent\", \"data\": [\"a\"]}, {\"name\": \"triplet\"}]}",
                      "triplet needs triplets");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"distil\", \"data\": [\"a\"]}]}", "distil needs a \"teacher\"");
    refuse_to_resolve("{\"teacher\": \"t\", \"objectives\": [{\"name\": \"causal_lm\", \"data\": [\"a\"]}, "
                      "{\"name\": \"distil\"}]}",
                      "the rows of causal_lm are none");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"seq2seq\", \"data\": [\"a\"], \"dimensions\": [64]}]}",
                      "seq2seq has none");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"cosent\", \"data\": [\"a\"], \"dimensions\": [64], "
                      "\"dimension_weights\": [1, 2]}]}",
                      "2 for 1 dimensions");
    refuse_to_resolve("{\"objectives\": [{\"name\": \"denoising\", \"data\": [\"a\"], \"noise\": {\"mask\": 0.95}}]}",
                      "mask, erase and replace are more than 1");
    refuse_to_resolve("{\"whiten\": {\"dimensions\": 64, \"sentences\": 64}, \"objectives\": [{\"name\": \"cosent\", "
                      "\"data\": [\"a\"]}]}",
                      "more than the 64 dimensions");
}
END_TEST

START_TEST(printed_recipes_read_back)
{
    static const char *const texts[] = {
        "{\"objectives\": [{\"name\": \"seq2seq\", \"data\": [\"a\"]}, {\"name\": \"in_batch\", \"dimensions\": [64, "
        "512]}]}",
        "{\"learning_rate\": 0.1234567890123, \"optimizer\": {\"name\": \"adafactor\", \"exclusions\": []}, "
        "\"objectives\": "
        "[{\"name\": \"cosent\", \"data\": [{\"file\": \"\\\"q\\\".tsv\", \"columns\": \"a,b\", \"format\": \"pairs\", "
        "\"score_range\": [-1, 1]}]}], \"evaluation\": {\"files\": [\"dev.tsv\"]}, \"resize\": {\"vocabulary\": "
        "\"v.txt\"}}",
        "{\"adversarial\": {\"method\": \"penalty\"}, \"objectives\": [{\"name\": \"triplet\", \"data\": [\"t\"]}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sb_recipe *as_read = read_recipe(texts[i]), *r = resolved(texts[i]);
        const char *before = printed(as_read), *after = printed(r);
        struct sb_recipe *again = read_recipe(before), *twice = resolved(after);
        ck_assert_str_eq(printed(again), before);
        ck_assert_str_eq(printed(twice), after);
        ck_assert_double_eq(twice->learning_rate, as_read->learning_rate);
        ck_assert_str_ne(before, after);
        sb_recipe_free(as_read);
        sb_recipe_free(r);
        sb_recipe_free(again);
        sb_recipe_free(twice);
    }
}
END_TEST

START_TEST(what_was_left_open_is_worked_out)
{
    struct sb_recipe *r = resolved("{\"maxlen\": 40, \"batch_size\": 7, \"optimizer\": {\"name\": \"adafactor\"}, "
                                   "\"adversarial\": {\"method\": \"penalty\"},"
                                   "\"evaluation\": {\"metric\": \"auc\"}, \"objectives\": [{\"name\": \"in_batch\", "
                                   "\"data\": [\"a\"]}, {\"name\": "
                                   "\"masked_lm\", \"data\": [\"a\"], \"batch_size\": 9}, {\"name\": \"triplet\", "
                                   "\"data\": [\"a\"], \"margin\": 1}]}");
    const struct sb_recipe_objective *o = r->objectives.items;
    ck_assert_uint_eq(r->max_length, 80);
    ck_assert_uint_eq(r->text_characters, 38);
    ck_assert_double_eq(r->optimizer.beta1, 0);
    ck_assert_double_eq(r->optimizer.epsilon, 1e-30);
    ck_assert_str_eq(r->adversarial.target, "occurrence");
    ck_assert_double_eq(r->adversarial.epsilon, 0.1);
    ck_assert_str_eq(r->gate.metric, "auc");
    ck_assert_double_eq(o[0].scale, 30);
    ck_assert_uint_eq(o[0].batch_size, 7);
    ck_assert_uint_eq(o[0].text_characters, 38);
    ck_assert_uint_eq(o[1].batch_size, 9);
    ck_assert_uint_eq(o[1].text_characters, 0); /* a language model reads what fits */
    ck_assert_double_eq(o[2].margin, 1);
    ck_assert_str_eq(o[2].distance, "euclidean");
    ck_assert(o[2].hard_negatives);
    sb_recipe_free(r);
}
END_TEST

/* The names of the objectives that --train FILE alone gives. */
static const char *chosen(const char *name, const char *text, bool generates)
{
    struct sb_recipe *r;
    struct sb_error error;
    scratch_text(name, text);
    struct sb_data_file file = {.path = scratch(name)};
    ck_assert_int_eq(sb_recipe_new(&r, NULL), SB_OK);
    enum sb_status status = sb_recipe_train_on(r, &file, 1, generates, &error);
    if (status == SB_OK)
        status = sb_recipe_resolve(r, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    ck_assert_str_eq(r->objectives.items[0].data.items[0].path, scratch(name));
    struct sb_buffer names = {0};
    for (size_t i = 0; i < r->objectives.count; i++)
        sb_buffer_format(&names, "%s%s", i ? " " : "", r->objectives.items[i].name);
    sb_recipe_free(r);
    return keep(sb_buffer_take(&names, NULL));
}

START_TEST(objectives_suit_the_file)
{
    const char *synonyms = "{\"text\": \"a\", \"synonyms\": [\"b\"]}\n", *triplets = "aa\tbb\tcc\n";
    ck_assert_str_eq(chosen("s.jsonl", synonyms, true), "seq2seq in_batch");
    ck_assert_str_eq(chosen("s.jsonl", synonyms, false), "multiple_negatives");
    ck_assert_str_eq(chosen("p.tsv", "a\tb\t1\nc\td\t0\n", true), "cosent");
    ck_assert_str_eq(chosen("u.tsv", "aa\tbb\ncc\tdd\n", true), "seq2seq in_batch");
    ck_assert_str_eq(chosen("t.tsv", triplets, true), "multiple_negatives");
    ck_assert_str_eq(chosen("n.tsv", "a\tb\tneutral\nc\td\tentailment\n", true), "softmax");
    ck_assert_str_eq(chosen("x.txt", "一句话\n", true), "denoising");
    ck_assert_str_eq(chosen("x.txt", "一句话\n", false), "multiple_negatives");
    ck_assert_str_eq(chosen("c.jsonl",
                            "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
                            "\"content\": \"a\"}]}\n",
                            true),
                     "seq2seq");
    struct sb_recipe *r = read_recipe("{\"objectives\": [{\"name\": \"cosine\"}]}");
    struct sb_data_file files[] = {{.path = "a.tsv"}, {.path = "b.tsv", .columns = "a,b"}};
    struct sb_error error;
    ck_assert_int_eq(sb_recipe_train_on(r, files, 2, true, &error), SB_OK);
    ck_assert_uint_eq(r->objectives.count, 1);
    ck_assert_uint_eq(r->objectives.items[0].data.count, 2);
    ck_assert_str_eq(r->objectives.items[0].data.items[1].columns, "a,b");
    ck_assert_int_eq(sb_recipe_train_on(r, files, 2, true, &error), SB_INVALID);
    ck_assert_msg(strstr(error.message, "has data of its own") != NULL, "%s", error.message);
    sb_recipe_free(r);
    ck_assert_int_eq(sb_recipe_new(&r, NULL), SB_OK);
    ck_assert_int_eq(sb_recipe_train_on(r, &(struct sb_data_file){.path = scratch("none")}, 1, true, &error),
                     SB_NOT_FOUND);
    sb_recipe_free(r);
}
END_TEST

START_TEST(parts_of_the_trainer_get_their_options)
{
    struct sb_recipe *r = resolved(
        "{\"seed\": 5, \"learning_rate\": 0.001, \"schedule\": {\"name\": \"cosine\", \"warmup\": 0.25, \"floor\": "
        "0.1}, "
        "\"pair_rule\": \"roformer_sim\", \"exposure_bias\": {\"method\": \"vocabulary\", \"probability\": 0.2}, "
        "\"optimizer\": {\"exclusions\": [\"bias\"], \"weight_decay\": 0.3}, \"bad_lines\": {\"max_lines\": 7},"
        "\"adversarial\": {\"method\": \"pgd\", \"combine\": \"sum\", \"steps\": 4}, \"initialise\": {\"method\": "
        "\"orthogonal\"},"
        "\"objectives\": [{\"name\": \"seq2seq\", \"data\": [\"a\"], \"noise\": {\"source\": 0.5}}, {\"name\": "
        "\"in_batch\", "
        "\"dimensions\": [64, 128], \"dimension_weights\": [0.5, 1]}, {\"name\": \"contrastive\", \"data\": [\"b\"]}, "
        "{\"name\": "
        "\"cosent\"}, {\"name\": \"multiple_negatives\", \"data\": [\"c\"]}]}");
    struct sb_batch_options b = sb_recipe_batch_options(r, 0);
    ck_assert_int_eq(b.rows, SB_ROWS_SEQ2SEQ);
    ck_assert_uint_eq(b.seed, 5);
    ck_assert_uint_eq(b.examples, 32);
    ck_assert_int_eq(b.pair_rule, SB_PAIR_ROFORMER_SIM);
    ck_assert_double_eq(b.source_probability, 0.5);
    ck_assert_double_eq(b.replace_row, 0.5);
    ck_assert_double_eq(b.replace_token, 0.2);
    ck_assert(b.replace_from_vocabulary && !b.binary_scores);
    b = sb_recipe_batch_options(r, 2);
    ck_assert_int_eq(b.rows, SB_ROWS_SENTENCES);
    ck_assert_uint_eq(b.stream, 2);
    ck_assert(b.binary_scores);
    ck_assert(sb_recipe_data_options(r, 0).positives_only);
    ck_assert(!sb_recipe_data_options(r, 2).positives_only);
    ck_assert(sb_recipe_data_options(r, 4).positives_only);
    ck_assert_uint_eq(sb_recipe_data_options(r, 0).bad_lines_max, 7);
    ck_assert_uint_eq(sb_recipe_rows_of(r, 1), 0);
    ck_assert_uint_eq(sb_recipe_rows_of(r, 3), 2);
    ck_assert_ptr_null(sb_recipe_loss_class(&r->objectives.items[0]));
    struct sb_loss_cut cuts[SB_LOSS_MAX_CUTS];
    struct sb_loss_options loss = sb_recipe_loss_options(&r->objectives.items[1], cuts);
    ck_assert_uint_eq(loss.cut_count, 2);
    ck_assert_uint_eq(loss.cuts[1].dimensions, 128);
    ck_assert_double_eq(loss.cuts[0].weight, 0.5);
    struct sb_schedule schedule = sb_recipe_schedule(r, 1000);
    ck_assert_int_eq(schedule.kind, SB_SCHEDULE_COSINE);
    ck_assert_uint_eq(schedule.warmup, 250);
    ck_assert_double_eq(schedule.peak, 0.001);
    ck_assert_int_eq(sb_schedule_check(&schedule, NULL), SB_OK);
    const char *exclusions[SB_RECIPE_MAX_EXCLUSIONS + 1];
    struct sb_optimizer_options optimizer = sb_recipe_optimizer_options(r, exclusions);
    ck_assert_double_eq(optimizer.weight_decay, 0.3);
    ck_assert_double_eq(optimizer.beta2, 0.999);
    ck_assert_str_eq(optimizer.decay_exclusions[0], "bias");
    ck_assert_ptr_null(optimizer.decay_exclusions[1]);
    struct sb_adversary_options adversary = sb_recipe_adversary_options(r);
    ck_assert_int_eq(adversary.method, SB_ADVERSARY_PGD);
    ck_assert(adversary.sum && adversary.steps == 4);
    ck_assert_int_eq(sb_recipe_initialiser(r).kind, SB_INIT_ORTHOGONAL);
    sb_recipe_free(r);
}
END_TEST

/* Every choice that a recipe offers is known to the part that it is for. */
START_TEST(names_are_those_of_the_parts)
{
    static const char *const losses[] = {"in_batch",
                                         "distil",
                                         "softmax",
                                         "cosent",
                                         "angle",
                                         "multiple_negatives",
                                         "multiple_negatives_symmetric",
                                         "multiple_negatives_gte",
                                         "cosine",
                                         "contrastive",
                                         "online_contrastive",
                                         "triplet"};
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        ck_assert_ptr_nonnull(sb_recipe_loss_class(&(struct sb_recipe_objective){.name = losses[i]}));
    ck_assert_ptr_null(sb_loss_at(sizeof losses / sizeof *losses)); /* and there are no others */
    static const char *const initialisers[] = {"zeros",          "ones",          "normal",     "truncated_normal",
                                               "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
                                               "lecun_uniform",  "lecun_normal",  "orthogonal"};
    for (size_t i = 0; i < sizeof initialisers / sizeof *initialisers; i++) {
        enum sb_init_kind kind;
        ck_assert_int_eq(sb_init_kind_named(&kind, initialisers[i], NULL), SB_OK);
    }
    static const char *const optimizers[] = {"adamw", "adam", "adam_keras", "lamb", "adafactor"};
    for (size_t i = 0; i < sizeof optimizers / sizeof *optimizers; i++) {
        struct sb_optimizer_options o;
        ck_assert_int_eq(sb_optimizer_options_named(&o, optimizers[i], NULL), SB_OK);
    }
    static const char *const methods[] = {"none", "fgm", "fgsm", "pgd", "penalty", "vat"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        enum sb_adversary_method method;
        ck_assert_int_eq(sb_adversary_named(&method, methods[i], NULL), SB_OK);
    }
}
END_TEST

START_TEST(the_documentation_has_the_table)
{
    const char *root = getenv("SB_SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/recipes.md", root ? root : ".");
    struct sb_buffer table = {0};
    sb_recipe_write_table(&table);
    ck_assert_msg(strstr(whole_file(path, NULL), table.data) != NULL,
                  "docs/recipes.md does not hold this table; put it there:\n%s", table.data);
    sb_buffer_free(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/recipe");
    TCase *tests = tcase_create("recipe");
    tcase_add_test(tests, defaults_are_set);
    tcase_add_test(tests, values_are_read);
    tcase_add_test(tests, what_is_wrong_is_named);
    tcase_add_test(tests, what_does_not_go_together_is_named);
    tcase_add_test(tests, printed_recipes_read_back);
    tcase_add_test(tests, what_was_left_open_is_worked_out);
    tcase_add_test(tests, objectives_suit_the_file);
    tcase_add_test(tests, parts_of_the_trainer_get_their_options);
    tcase_add_test(tests, names_are_those_of_the_parts);
    tcase_add_test(tests, the_documentation_has_the_table);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
