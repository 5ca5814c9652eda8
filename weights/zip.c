#include "weights/zip_impl.h"

#include "base/utf8.h"
#include "weights/bytes_impl.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    END_SIZE = 22,      /* end record, without its comment */
    LOCATOR_SIZE = 20,  /* of the zip64 record */
    RECORD64_SIZE = 56, /* zip64 end record */
    CENTRAL_SIZE = 46,  /* an entry of the central directory, without name, extra and comment */
    LOCAL_SIZE = 30,
    ENTRIES_MAX = 1 << 20,
};

static const uint32_t end_magic = 0x06054b50, locator_magic = 0x07064b50, record64_magic = 0x06064b50,
                      central_magic = 0x02014b50, local_magic = 0x04034b50;

/* Where the central directory lies. */
struct directory {
    uint64_t offset, size, count;
};

/* The end record is followed by a comment of at most 64 KiB that ends with the file. */
static const uint8_t *find_end(const uint8_t *data, size_t size)
{
    if (size < END_SIZE)
        return NULL;
    size_t comment_max = size - END_SIZE < 0xFFFF ? size - END_SIZE : 0xFFFF;
    for (size_t comment = 0; comment <= comment_max; comment++) {
        const uint8_t *end = data + size - END_SIZE - comment;
        if (sb_load_u32(end) == end_magic && sb_load_u16(end + 20) == comment)
            return end;
    }
    return NULL;
}

/* torch.save always writes a zip64 record; without one (*found false) the end record alone speaks. */
static enum sb_status read_record64(struct directory *directory, bool *found, const char *file, const uint8_t *data,
                                    const uint8_t *end, struct sb_error *error)
{
    size_t end_at = (size_t)(end - data);
    *found = end_at >= LOCATOR_SIZE && sb_load_u32(end - LOCATOR_SIZE) == locator_magic;
    if (!*found)
        return SB_OK;
    uint64_t record_at = sb_load_u64(end - LOCATOR_SIZE + 8);
    size_t room = end_at - LOCATOR_SIZE;
    if (record_at > room || room - record_at < RECORD64_SIZE || sb_load_u32(data + record_at) != record64_magic)
        return sb_fail(error, SB_CORRUPT, "%s: the zip64 record is not at byte %" PRIu64, file, record_at);
    const uint8_t *record = data + record_at;
    directory->count = sb_load_u64(record + 32);
    directory->size = sb_load_u64(record + 40);
    directory->offset = sb_load_u64(record + 48);
    return SB_OK;
}

/* A field of the end record is either the value itself or, saturated, a pointer to the zip64 record. */
static bool agrees(uint64_t field, uint64_t saturated, uint64_t value)
{
    return field == saturated || field == value;
}

static enum sb_status find_directory(struct directory *directory, const char *file, const uint8_t *data, size_t size,
                                     struct sb_error *error)
{
    const uint8_t *end = find_end(data, size);
    if (!end)
        return sb_fail(error, SB_CORRUPT,
                       "%s does not end like a zip file: it is truncated, or torch.save did not write it", file);
    bool has_record64;
    struct directory here = {sb_load_u32(end + 16), sb_load_u32(end + 12), sb_load_u16(end + 10)};
    *directory = here;
    enum sb_status status = read_record64(directory, &has_record64, file, data, end, error);
    if (status != SB_OK)
        return status;
    if (sb_load_u16(end + 4) != 0 || sb_load_u16(end + 6) != 0)
        return sb_fail(error, SB_UNSUPPORTED, "%s is one part of a zip file in several parts", file);
    if (has_record64 &&
        !(agrees(here.count, 0xFFFF, directory->count) && agrees(here.size, 0xFFFFFFFF, directory->size) &&
          agrees(here.offset, 0xFFFFFFFF, directory->offset)))
        return sb_fail(error, SB_CORRUPT, "%s: the two end records of the zip file contradict each other", file);
    size_t end_at = (size_t)(end - data);
    if (directory->offset > end_at || directory->size > end_at - directory->offset)
        return sb_fail(error, SB_CORRUPT,
                       "%s: a zip directory of %" PRIu64 " bytes at %" PRIu64 " does not fit the file's %zu", file,
                       directory->size, directory->offset, size);
    if (directory->count > directory->size / CENTRAL_SIZE || directory->count > ENTRIES_MAX)
        return sb_fail(error, SB_CORRUPT, "%s: the zip directory of %" PRIu64 " bytes claims %" PRIu64 " entries", file,
                       directory->size, directory->count);
    return SB_OK;
}

/* Sizes and place of an entry; saturated 32-bit fields stand in the zip64 extra field, in this order. */
struct place {
    uint64_t size, stored_size, offset;
};

static bool read_place(struct place *place, const uint8_t *central, const uint8_t *extra, size_t extra_size)
{
    uint64_t *fields[] = {&place->size, &place->stored_size, &place->offset};
    const size_t at32[] = {24, 20, 42};
    const uint8_t *wide = NULL;
    size_t wide_size = 0;
    for (size_t at = 0; !wide && extra_size - at >= 4;) {
        size_t length = sb_load_u16(extra + at + 2);
        if (length > extra_size - at - 4)
            return false;
        if (sb_load_u16(extra + at) == 1) {
            wide = extra + at + 4;
            wide_size = length;
        }
        at += 4 + length;
    }
    for (int i = 0; i < 3; i++) {
        *fields[i] = sb_load_u32(central + at32[i]);
        if (*fields[i] != 0xFFFFFFFF)
            continue;
        if (wide_size < 8)
            return false;
        *fields[i] = sb_load_u64(wide);
        wide += 8;
        wide_size -= 8;
    }
    return true;
}

/* Bytes of the entry, behind its local header and before the directory. */
static enum sb_status locate(struct sb_zip_entry *entry, const char *file, const uint8_t *data, uint64_t room,
                             const struct place *place, struct sb_error *error)
{
    int name_size = (int)entry->name_size;
    if (place->offset > room || room - place->offset < LOCAL_SIZE || sb_load_u32(data + place->offset) != local_magic)
        return sb_fail(error, SB_CORRUPT, "%s: entry %.*s is not at byte %" PRIu64, file, name_size, entry->name,
                       place->offset);
    const uint8_t *local = data + place->offset;
    size_t header = LOCAL_SIZE + (size_t)sb_load_u16(local + 26) + sb_load_u16(local + 28);
    uint64_t left = room - place->offset;
    if (header > left || place->size > left - header)
        return sb_fail(error, SB_CORRUPT,
                       "%s: entry %.*s claims %" PRIu64 " bytes at %" PRIu64 ", but the directory begins at %" PRIu64,
                       file, name_size, entry->name, place->size, place->offset, room);
    if (sb_load_u16(local + 26) != entry->name_size || memcmp(local + LOCAL_SIZE, entry->name, entry->name_size) != 0)
        return sb_fail(error, SB_CORRUPT, "%s: entry %.*s has another name in its local header", file, name_size,
                       entry->name);
    entry->data = local + header;
    entry->size = (size_t)place->size;
    return SB_OK;
}

static bool is_printable(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return false;
    return sb_utf8_valid(name, size, NULL);
}

/* Reads the directory entry at *at and moves behind it. */
static enum sb_status read_entry(struct sb_zip_entry *entry, const char *file, const uint8_t *data,
                                 const struct directory *directory, size_t *at, struct sb_error *error)
{
    const uint8_t *central = data + directory->offset + *at;
    size_t left = (size_t)directory->size - *at;
    if (left < CENTRAL_SIZE || sb_load_u32(central) != central_magic)
        return sb_fail(error, SB_CORRUPT, "%s: the zip directory is damaged at byte %zu of it", file, *at);
    size_t name_size = sb_load_u16(central + 28), extra_size = sb_load_u16(central + 30),
           comment_size = sb_load_u16(central + 32);
    size_t whole = CENTRAL_SIZE + name_size + extra_size + comment_size;
    if (whole > left)
        return sb_fail(error, SB_CORRUPT, "%s: the zip directory is cut at byte %zu of it", file, *at);
    *entry = (struct sb_zip_entry){
        .name = (const char *)central + CENTRAL_SIZE, .name_size = name_size, .crc32 = sb_load_u32(central + 16)};
    *at += whole;
    if (!is_printable(entry->name, name_size))
        return sb_fail(error, SB_CORRUPT, "%s: the name of a zip entry is not UTF-8, or holds a control character",
                       file);
    if (sb_load_u16(central + 8) & 1)
        return sb_fail(error, SB_UNSUPPORTED, "%s: entry %.*s is encrypted", file, (int)name_size, entry->name);
    if (sb_load_u16(central + 10) != 0)
        return sb_fail(error, SB_UNSUPPORTED, "%s: entry %.*s is compressed (method %d); torch.save stores plainly",
                       file, (int)name_size, entry->name, sb_load_u16(central + 10));
    struct place place;
    if (!read_place(&place, central, central + CENTRAL_SIZE + name_size, extra_size) || place.size != place.stored_size)
        return sb_fail(error, SB_CORRUPT, "%s: the sizes of entry %.*s contradict each other", file, (int)name_size,
                       entry->name);
    return locate(entry, file, data, directory->offset, &place, error);
}

static int compare_entries(const void *a, const void *b)
{
    const struct sb_zip_entry *first = a, *second = b;
    size_t common = first->name_size < second->name_size ? first->name_size : second->name_size;
    int order = memcmp(first->name, second->name, common);
    return order ? order : first->name_size < second->name_size ? -1 : first->name_size > second->name_size;
}

enum sb_status sb_zip_sort(struct sb_zip *zip, const char *file, struct sb_error *error)
{
    if (zip->count > 1)
        qsort(zip->entries, zip->count, sizeof *zip->entries, compare_entries);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_entries(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return sb_fail(error, SB_CORRUPT, "%s: entry %.*s occurs twice", file, (int)zip->entries[i].name_size,
                           zip->entries[i].name);
    return SB_OK;
}

enum sb_status sb_zip_read(struct sb_zip *zip, const char *file, const void *data, size_t size, struct sb_error *error)
{
    struct directory directory = {0};
    size_t at = 0;
    *zip = (struct sb_zip){0};
    enum sb_status status = find_directory(&directory, file, data, size, error);
    if (status != SB_OK)
        return status;
    zip->entries = calloc((size_t)directory.count + 1, sizeof *zip->entries);
    if (!zip->entries)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for %" PRIu64 " entries", file, directory.count);
    for (; zip->count < directory.count && status == SB_OK; zip->count++)
        status = read_entry(&zip->entries[zip->count], file, data, &directory, &at, error);
    if (status == SB_OK)
        status = sb_zip_sort(zip, file, error);
    if (status != SB_OK)
        sb_zip_free(zip);
    return status;
}

void sb_zip_free(struct sb_zip *zip)
{
    free(zip->entries);
    *zip = (struct sb_zip){0};
}

const struct sb_zip_entry *sb_zip_find(const struct sb_zip *zip, const char *name)
{
    const struct sb_zip_entry wanted = {.name = name, .name_size = strlen(name)};
    if (zip->count == 0)
        return NULL;
    return bsearch(&wanted, zip->entries, zip->count, sizeof *zip->entries, compare_entries);
}
