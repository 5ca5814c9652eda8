/*
 * The entries of a zip file that stores its entries plainly, as torch.save does:
 *
 *     | local header, name, extra | bytes | ... | central directory | [zip64 record, locator] | end record |
 *
 * Names, sizes, checksums and places come from the central directory; local headers only say how long they are.
 * Compressed and encrypted entries are refused, so an entry can not be larger than the file.
 */
#ifndef SB_WEIGHTS_ZIP_IMPL_H
#define SB_WEIGHTS_ZIP_IMPL_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct sb_zip_entry {
    const char *name; /* not NUL-terminated */
    size_t name_size;
    const uint8_t *data;
    size_t size;
    uint32_t crc32;
};

struct sb_zip {
    struct sb_zip_entry *entries; /* sorted by name; they point into the file's bytes */
    size_t count;
};

SB_MUST_CHECK enum sb_status sb_zip_read(struct sb_zip *zip, const char *file, const void *data, size_t size,
                                         struct sb_error *error);
void sb_zip_free(struct sb_zip *zip);

/* Sorts entries by name, and refuses a name that occurs twice. */
SB_MUST_CHECK enum sb_status sb_zip_sort(struct sb_zip *zip, const char *file, struct sb_error *error);

/* NULL if there is none. */
const struct sb_zip_entry *sb_zip_find(const struct sb_zip *zip, const char *name);

#endif
