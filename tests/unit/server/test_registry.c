/* Names, aliases and lives of models, also while threads switch and ask. */
#include "server/registry.h"

#include "tests/unit/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct sb_registry *registry;
static struct sb_model *models[2]; /* "a", the default, and "b": other weights */

static void open_registry(void)
{
    static const char *const names[2] = {"a", "b"}, *const dirs[2] = {"models/tiny-bert", "models/tiny-factorised"};
    ck_assert_int_eq(sb_registry_new(&registry, NULL), SB_OK);
    for (int i = 0; i < 2; i++) {
        struct sb_model_options options = {.name = names[i]};
        struct sb_model_origin origin = {.created_at = i + 1};
        snprintf(origin.dir, sizeof origin.dir, "dir-%s", names[i]);
        ck_assert_int_eq(sb_model_open(&models[i], golden(dirs[i]), &options, NULL), SB_OK);
        ck_assert_int_eq(sb_registry_add_from(registry, models[i], &origin, NULL), SB_OK);
    }
}

static void close_registry(void)
{
    sb_registry_free(registry);
    sb_model_release(models[0]);
    sb_model_release(models[1]);
}

/* The model that a name stands for, "" for none. */
static const char *stands_for(const char *name)
{
    struct sb_model *model = sb_registry_acquire(registry, name);
    const char *found = model ? sb_model_name(model) : "";
    sb_model_release(model); /* the registry and this test still hold it */
    return found;
}

START_TEST(an_alias_stands_for_its_model)
{
    struct sb_model_alias alias, list[SB_ALIASES_MAX];
    struct sb_model_origin origin;
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "b", NULL), SB_OK);
    ck_assert_str_eq(stands_for("x"), "b");
    ck_assert(sb_registry_origin(registry, "x", &origin) && strcmp(origin.dir, "dir-b") == 0 && origin.created_at == 2);
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "a", NULL), SB_OK);
    ck_assert_str_eq(stands_for("x"), "a");
    ck_assert(sb_registry_alias(registry, "x", &alias) && strcmp(alias.model, "a") == 0 && alias.resolved);
    ck_assert_uint_eq(sb_registry_list_aliases(registry, list), 1);
    ck_assert_int_eq(sb_registry_swaps(registry), 2);
    ck_assert_int_eq(sb_registry_remove_alias(registry, "x", NULL), SB_OK);
    ck_assert_int_eq(sb_registry_remove_alias(registry, "x", NULL), SB_NOT_FOUND);
    ck_assert_str_eq(stands_for("x"), "");
}
END_TEST

START_TEST(what_can_not_be_an_alias)
{
    ck_assert_int_eq(sb_registry_set_alias(registry, "a", "b", NULL), SB_CONFLICT);
    ck_assert_int_eq(sb_registry_set_alias(registry, "x y", "b", NULL), SB_INVALID);
    ck_assert_int_eq(sb_registry_set_alias(registry, "", "b", NULL), SB_INVALID);
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "none", NULL), SB_NOT_FOUND);
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "b", NULL), SB_OK);
    ck_assert_int_eq(sb_registry_set_alias(registry, "y", "x", NULL), SB_NOT_FOUND);
    for (int i = 1; i < SB_ALIASES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        ck_assert_int_eq(sb_registry_set_alias(registry, name, "b", NULL), SB_OK);
    }
    ck_assert_int_eq(sb_registry_set_alias(registry, "one-more", "b", NULL), SB_LIMIT);
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "a", NULL), SB_OK);
}
END_TEST

START_TEST(the_default)
{
    ck_assert_str_eq(stands_for(NULL), "a");
    ck_assert_int_eq(sb_registry_set_default(registry, "b", NULL), SB_OK);
    ck_assert_str_eq(stands_for(""), "b");
    ck_assert_int_eq(sb_registry_set_alias(registry, SB_DEFAULT_ALIAS, "a", NULL), SB_OK);
    ck_assert_str_eq(stands_for(NULL), "a");
    ck_assert_int_eq(sb_registry_restore_alias(registry, SB_DEFAULT_ALIAS, "gone", NULL), SB_OK);
    ck_assert_str_eq(stands_for(NULL), "b");
    ck_assert_str_eq(stands_for(SB_DEFAULT_ALIAS), "");
    ck_assert_int_eq(sb_registry_set_default(registry, "none", NULL), SB_NOT_FOUND);
}
END_TEST

START_TEST(a_model_that_is_used_stays)
{
    struct sb_model *held = sb_registry_acquire(registry, "b");
    ck_assert_int_eq(sb_registry_remove(registry, "a", NULL), SB_CONFLICT); /* the default */
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "b", NULL), SB_OK);
    ck_assert_int_eq(sb_registry_remove(registry, "b", NULL), SB_CONFLICT);
    ck_assert_int_eq(sb_registry_remove(registry, "x", NULL), SB_NOT_FOUND); /* an alias is no model */
    ck_assert_int_eq(sb_registry_remove_alias(registry, "x", NULL), SB_OK);
    ck_assert_int_eq(sb_registry_remove(registry, "b", NULL), SB_OK);
    ck_assert_str_eq(stands_for("b"), "");
    ck_assert_str_eq(sb_model_name(held), "b"); /* whoever has it keeps it */
    sb_model_release(held);
    ck_assert_int_eq(sb_registry_add(registry, models[1], NULL), SB_OK);
    ck_assert_str_eq(stands_for("b"), "b");
}
END_TEST

START_TEST(models_by_their_weights)
{
    struct sb_model *found = sb_registry_acquire_hash(registry, sb_model_hash(models[1]));
    ck_assert_ptr_eq(found, models[1]);
    sb_model_release(found);
    ck_assert_ptr_null(sb_registry_acquire_hash(registry, "0123"));
}
END_TEST

static atomic_bool going;

static void *ask(void *argument)
{
    (void)argument;
    while (atomic_load(&going)) {
        struct sb_model *model = sb_registry_acquire(registry, "x");
        if (!model)
            return "an alias stood for nothing amid a switch";
        bool whole = strcmp(sb_model_hash(model), sb_model_hash(models[strcmp(sb_model_name(model), "b") == 0])) == 0;
        sb_model_release(model);
        if (!whole)
            return "a name with another model's weights";
    }
    return NULL;
}

START_TEST(switches_while_threads_ask)
{
    pthread_t threads[4];
    atomic_store(&going, true);
    ck_assert_int_eq(sb_registry_set_alias(registry, "x", "a", NULL), SB_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(sb_registry_set_alias(registry, "x", i % 2 ? "a" : "b", NULL), SB_OK);
    atomic_store(&going, false);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/registry");
    TCase *tests = tcase_create("registry");
    tcase_add_checked_fixture(tests, open_registry, close_registry);
    tcase_add_test(tests, an_alias_stands_for_its_model);
    tcase_add_test(tests, what_can_not_be_an_alias);
    tcase_add_test(tests, the_default);
    tcase_add_test(tests, a_model_that_is_used_stays);
    tcase_add_test(tests, models_by_their_weights);
    tcase_add_test(tests, switches_while_threads_ask);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
