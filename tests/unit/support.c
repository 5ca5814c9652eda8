#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || run == 0;
}

const char *golden(const char *name)
{
    const char *root = getenv("SB_SOURCE");
    char *path = NULL;
    if (asprintf(&path, "%s/tests/golden/%s", root ? root : ".", name) < 0)
        abort();
    return path;
}
