#include "tests/unit/scratch.h"

#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *scratch(const char *name)
{
    static const char *folder;
    char *path = NULL;
    if (!folder)
        folder = temporary_folder();
    if (asprintf(&path, "%s%s%s", folder, *name ? "/" : "", name) < 0)
        abort();
    return keep(path);
}

void scratch_write(const char *name, const void *data, size_t size)
{
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *folder = strndup(name, (size_t)(slash - name));
        mkdir(scratch(folder), 0755);
        free(folder);
    }
    FILE *file = fopen(scratch(name), "wb");
    ck_assert_msg(file != NULL, "cannot write %s", name);
    ck_assert_uint_eq(size ? fwrite(data, 1, size, file) : 0, size);
    ck_assert_int_eq(fclose(file), 0);
}

void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

void scratch_copy(const char *name, const char *from_path)
{
    size_t size;
    const char *data = whole_file(from_path, &size);
    scratch_write(name, data, size);
}

const char *whole_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    ck_assert_int_ge(length, 0);
    rewind(file);
    char *data = malloc((size_t)length + 1);
    ck_assert_ptr_nonnull(data);
    ck_assert_uint_eq(length ? fread(data, 1, (size_t)length, file) : 0, (size_t)length);
    fclose(file);
    data[length] = '\0';
    if (size)
        *size = (size_t)length;
    return keep(data);
}
