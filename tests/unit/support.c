#include "tests/unit/support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

/* Read by the sanitizers' runtimes: a refused allocation is NULL, as the code under test must expect. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || run == 0;
}

const char *keep(char *text)
{
    static struct kept {
        struct kept *next;
        char *text;
    } * all;
    struct kept *one = malloc(sizeof *one);
    if (!one || !text)
        abort();
    *one = (struct kept){all, text};
    all = one;
    return text;
}

const char *golden(const char *name)
{
    const char *root = getenv("SB_SOURCE");
    char *path = NULL;
    if (asprintf(&path, "%s/tests/golden/%s", root ? root : ".", name) < 0)
        abort();
    return keep(path);
}

static char folder[4096];

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about, (void)type, (void)place;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *temporary_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/simbert-test-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
    return folder;
}
