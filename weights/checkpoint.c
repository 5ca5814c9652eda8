#include "weights/checkpoint_impl.h"

#include "base/utf8.h"
#include "weights/crc32c.h"
#include "weights/grow_impl.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct sb_checkpoint *sb_checkpoint_new(void)
{
    return calloc(1, sizeof(struct sb_checkpoint));
}

void sb_checkpoint_close(struct sb_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    for (size_t i = 0; i < checkpoint->count; i++)
        free(checkpoint->tensors[i].name);
    for (size_t i = 0; i < checkpoint->file_count; i++) {
        sb_unmap(&checkpoint->files[i]->mapping);
        free(checkpoint->files[i]->path);
        free(checkpoint->files[i]);
    }
    for (size_t i = 0; i < checkpoint->block_count; i++)
        free(checkpoint->blocks[i]);
    free(checkpoint->tensors);
    free(checkpoint->files);
    free(checkpoint->blocks);
    free(checkpoint->missing_data);
    free(checkpoint);
}

bool sb_is_float(enum sb_dtype dtype)
{
    return dtype == SB_F32 || dtype == SB_F16 || dtype == SB_BF16 || dtype == SB_F64;
}

bool sb_shape_count(size_t *count, const size_t *shape, int rank)
{
    size_t product = 1;
    bool empty = false; /* 2^40 x 2^40 x 0 has no elements, and is no overflow */
    for (int i = 0; i < rank; i++)
        empty = empty || shape[i] == 0;
    for (int i = 0; i < rank && !empty; i++)
        if (__builtin_mul_overflow(product, shape[i], &product))
            return false;
    *count = empty ? 0 : product;
    return true;
}

enum sb_status sb_check_tensor_name(const char *file, const char *name, struct sb_error *error)
{
    size_t length = strlen(name);
    if (length == 0)
        return sb_fail(error, SB_CORRUPT, "%s: a tensor has an empty name", file);
    if (length > SB_MAX_TENSOR_NAME)
        return sb_fail(error, SB_CORRUPT, "%s: a tensor's name has %zu bytes, more than %d", file, length,
                       SB_MAX_TENSOR_NAME);
    if (!sb_utf8_valid(name, length, NULL))
        return sb_fail(error, SB_CORRUPT, "%s: a tensor's name is not UTF-8", file);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return sb_fail(error, SB_CORRUPT, "%s: a tensor's name holds a control character", file);
    return SB_OK;
}

enum sb_status sb_checkpoint_add(struct sb_checkpoint *checkpoint, const char *file, const struct sb_tensor *tensor,
                                 const struct sb_checksum *checksum, struct sb_error *error)
{
    enum sb_status status = sb_check_tensor_name(file, tensor->name, error);
    if (status != SB_OK)
        return status;
    char *name = strdup(tensor->name);
    if (!name || !sb_grow((void **)&checkpoint->tensors, &checkpoint->capacity, checkpoint->count,
                          sizeof *checkpoint->tensors)) {
        free(name);
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for tensor %zu", file, checkpoint->count);
    }
    struct sb_stored *stored = &checkpoint->tensors[checkpoint->count++];
    *stored = (struct sb_stored){.tensor = *tensor, .name = name, .file = file};
    stored->tensor.name = name;
    if (checksum)
        stored->checksum = *checksum;
    stored->tensor.has_checksum = stored->checksum.kind != SB_CHECKSUM_NONE;
    return SB_OK;
}

enum sb_status sb_checkpoint_map(struct sb_checkpoint *checkpoint, const struct sb_opened_file **file, const char *path,
                                 struct sb_error *error)
{
    *file = NULL;
    struct sb_opened_file *opened = calloc(1, sizeof *opened);
    if (opened)
        opened->path = strdup(path);
    if (!opened || !opened->path ||
        !sb_grow((void **)&checkpoint->files, &checkpoint->file_capacity, checkpoint->file_count, sizeof(void *))) {
        if (opened)
            free(opened->path);
        free(opened);
        return sb_fail(error, SB_NO_MEMORY, "no memory to open %s", path);
    }
    checkpoint->files[checkpoint->file_count++] = opened;
    *file = opened;
    return sb_map_file(&opened->mapping, path, error);
}

enum sb_status sb_checkpoint_keep(struct sb_checkpoint *checkpoint, void *block, struct sb_error *error)
{
    if (!sb_grow((void **)&checkpoint->blocks, &checkpoint->block_capacity, checkpoint->block_count, sizeof(void *))) {
        free(block);
        return sb_fail(error, SB_NO_MEMORY, "no memory for a tensor");
    }
    checkpoint->blocks[checkpoint->block_count++] = block;
    return SB_OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct sb_stored *first = a, *second = b;
    return strcmp(first->name, second->name);
}

enum sb_status sb_checkpoint_finish(struct sb_checkpoint *checkpoint, struct sb_error *error)
{
    if (checkpoint->count > 1)
        qsort(checkpoint->tensors, checkpoint->count, sizeof *checkpoint->tensors, compare_names);
    for (size_t i = 1; i < checkpoint->count; i++) {
        const struct sb_stored *stored = &checkpoint->tensors[i];
        if (strcmp(stored[-1].name, stored->name) == 0)
            return sb_fail(error, SB_CORRUPT, "%s: tensor \"%s\" occurs twice (also in %s)", stored->file, stored->name,
                           stored[-1].file);
    }
    return SB_OK;
}

/* Which of the names in a folder holds the checkpoint; the first that exists is taken. */
static const struct source {
    const char *name;
    const char *format;
    sb_file_reader read;
    bool is_index; /* a JSON file that maps tensors to shards */
} sources[] = {
    {"model.safetensors", "safetensors", sb_safetensors_read, false},
    {"model.safetensors.index.json", "safetensors", sb_safetensors_read, true},
    {"pytorch_model.bin", "pytorch", sb_pytorch_read, false},
    {"pytorch_model.bin.index.json", "pytorch", sb_pytorch_read, true},
    {"bert_model.ckpt.index", "tensorflow", sb_tf_bundle_read, false},
};

/* TensorFlow lets people name their checkpoints: the only "NAME.index" of the folder, as a new string in *name. */
static enum sb_status find_tf_index(char **name, const char *dir, struct sb_error *error)
{
    *name = NULL;
    DIR *folder = opendir(dir);
    if (!folder)
        return sb_fail(error, errno == ENOENT || errno == ENOTDIR ? SB_NOT_FOUND : SB_IO,
                       "cannot open the folder %s: %s", dir, strerror(errno));
    enum sb_status status = SB_OK;
    for (const struct dirent *entry; status == SB_OK && (entry = readdir(folder)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length <= 6 || strcmp(entry->d_name + length - 6, ".index") != 0)
            continue;
        if (*name) {
            bool in_order = strcmp(*name, entry->d_name) < 0;
            status = sb_fail(error, SB_INVALID, "%s holds several TensorFlow checkpoints (%s, %s): keep one of them",
                             dir, in_order ? *name : entry->d_name, in_order ? entry->d_name : *name);
        } else {
            *name = strdup(entry->d_name);
            if (!*name)
                status = sb_fail(error, SB_NO_MEMORY, "no memory to look into %s", dir);
        }
    }
    closedir(folder);
    if (status == SB_OK && !*name)
        status =
            sb_fail(error, SB_NOT_FOUND,
                    "%s holds no weights: none of model.safetensors, model.safetensors.index.json, pytorch_model.bin, "
                    "*.index is there",
                    dir);
    if (status != SB_OK) {
        free(*name);
        *name = NULL;
    }
    return status;
}

static enum sb_status read_source(struct sb_checkpoint *checkpoint, const char *dir, const char *name,
                                  const struct source *source, struct sb_error *error)
{
    if (source->is_index)
        return sb_sharded_read(checkpoint, dir, name, source->format, source->read, error);
    char *path = sb_path_join(dir, name);
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to open %s", dir);
    const struct sb_opened_file *file;
    enum sb_status status = sb_checkpoint_map(checkpoint, &file, path, error);
    snprintf(checkpoint->format, sizeof checkpoint->format, "%s", source->format);
    if (status == SB_OK)
        status = source->read(checkpoint, file->path, file->mapping.data, file->mapping.size, error);
    free(path);
    return status;
}

static enum sb_status read_folder(struct sb_checkpoint *checkpoint, const char *dir, struct sb_error *error)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char *path = sb_path_join(dir, sources[i].name);
        if (!path)
            return sb_fail(error, SB_NO_MEMORY, "no memory to open %s", dir);
        bool exists = sb_file_exists(path);
        free(path);
        if (exists)
            return read_source(checkpoint, dir, sources[i].name, &sources[i], error);
    }
    const struct source tensorflow = {NULL, "tensorflow", sb_tf_bundle_read, false};
    char *name;
    enum sb_status status = find_tf_index(&name, dir, error);
    if (status == SB_OK)
        status = read_source(checkpoint, dir, name, &tensorflow, error);
    free(name);
    return status;
}

enum sb_status sb_checkpoint_open(struct sb_checkpoint **checkpoint, const char *dir, struct sb_error *error)
{
    *checkpoint = NULL;
    struct sb_checkpoint *opened = sb_checkpoint_new();
    if (!opened)
        return sb_fail(error, SB_NO_MEMORY, "no memory to open %s", dir);
    enum sb_status status = read_folder(opened, dir, error);
    if (status == SB_OK)
        status = sb_checkpoint_finish(opened, error);
    if (status != SB_OK) {
        sb_checkpoint_close(opened);
        return status;
    }
    *checkpoint = opened;
    return SB_OK;
}

const char *sb_checkpoint_format(const struct sb_checkpoint *checkpoint)
{
    return checkpoint->format;
}

size_t sb_checkpoint_count(const struct sb_checkpoint *checkpoint)
{
    return checkpoint->count;
}

const struct sb_tensor *sb_checkpoint_at(const struct sb_checkpoint *checkpoint, size_t index)
{
    return &checkpoint->tensors[index].tensor;
}

static int compare_to_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct sb_stored *)item)->name);
}

const struct sb_stored *sb_checkpoint_find_stored(const struct sb_checkpoint *checkpoint, const char *name)
{
    if (checkpoint->count == 0)
        return NULL;
    return bsearch(name, checkpoint->tensors, checkpoint->count, sizeof *checkpoint->tensors, compare_to_name);
}

const struct sb_tensor *sb_checkpoint_find(const struct sb_checkpoint *checkpoint, const char *name)
{
    const struct sb_stored *stored = sb_checkpoint_find_stored(checkpoint, name);
    return stored ? &stored->tensor : NULL;
}

const char *sb_checkpoint_missing_data(const struct sb_checkpoint *checkpoint)
{
    return checkpoint->missing_data;
}

enum sb_status sb_checkpoint_verify(const struct sb_checkpoint *checkpoint, const struct sb_tensor *tensor,
                                    struct sb_error *error)
{
    const struct sb_stored *stored = sb_checkpoint_find_stored(checkpoint, tensor->name);
    if (!stored || &stored->tensor != tensor)
        return sb_fail(error, SB_INVALID, "tensor \"%s\" is not of this checkpoint", tensor->name);
    const struct sb_checksum *checksum = &stored->checksum;
    if (checksum->kind == SB_CHECKSUM_NONE || !checksum->data)
        return SB_OK;
    bool is_crc32c = checksum->kind == SB_CHECKSUM_CRC32C;
    uint32_t actual =
        is_crc32c ? sb_crc32c(0, checksum->data, checksum->size) : (uint32_t)crc32_z(0, checksum->data, checksum->size);
    if (actual == checksum->value)
        return SB_OK;
    return sb_fail(error, SB_CORRUPT,
                   "%s: tensor \"%s\" has %s %08" PRIx32 ", but %08" PRIx32 " is stored: the file is damaged",
                   stored->file, stored->name, is_crc32c ? "CRC-32C" : "CRC-32", actual, checksum->value);
}

void sb_checkpoint_forget_pages(const struct sb_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->file_count; i++)
        sb_mapping_forget_pages(&checkpoint->files[i]->mapping);
}
