/* Files of one test, below its temporary folder. Names may hold folders, which are made. What fails ends the test. */
#ifndef SB_TESTS_SCRATCH_H
#define SB_TESTS_SCRATCH_H

#include <stddef.h>

/* The path of a file or folder of this test; "" is the folder itself. Kept. */
const char *scratch(const char *name);

void scratch_write(const char *name, const void *data, size_t size);
void scratch_text(const char *name, const char *text);
void scratch_copy(const char *name, const char *from_path);

/* All bytes of a file, NUL-terminated; kept. size may be NULL. */
const char *whole_file(const char *path, size_t *size);

#endif
