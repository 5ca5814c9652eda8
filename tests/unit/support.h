/* What every unit test needs: the suite runner and paths of the golden values. */
#ifndef SB_TESTS_SUPPORT_H
#define SB_TESTS_SUPPORT_H

#include <check.h>

/* Runs one suite and prints "name: N passed, M failed"; returns the exit status for main(). */
int run_suite(Suite *suite);

/* Owns text until the process ends, so that tests may pass fresh strings around and the leak checker still finds them.
 */
const char *keep(char *text);

/* "tests/golden/<name>" below the source folder ($SB_SOURCE, else the current folder); kept. */
const char *golden(const char *name);

/* A new empty folder for one test under $TMPDIR or /tmp; removed with all that is in it when the test process ends. */
const char *temporary_folder(void);

#endif
