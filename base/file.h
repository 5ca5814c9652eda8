/*
 * Files: read-only mappings, whole reads with a limit, and writes that are either there completely or not at all.
 */
#ifndef SB_BASE_FILE_H
#define SB_BASE_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_mapping {
    const void *data; /* NULL when the file is empty */
    size_t size;
};

/* Maps a regular file for reading. The mapping lives until sb_unmap. SB_NOT_FOUND if there is none, SB_IO otherwise.
   The file must not be truncated while mapped. */
SB_MUST_CHECK enum sb_status sb_map_file(struct sb_mapping *mapping, const char *path, struct sb_error *error);
void sb_unmap(struct sb_mapping *mapping); /* a zeroed or already unmapped one is fine */

/* The pages read so far no longer count as this process's memory; touching them reads the file again. */
void sb_mapping_forget_pages(const struct sb_mapping *mapping);

/* Reads a whole regular file of at most limit bytes; *data is NUL-terminated and the caller frees it with free(). */
SB_MUST_CHECK enum sb_status sb_read_file(char **data, size_t *size, const char *path, size_t limit,
                                          struct sb_error *error);

/* Writes to a temporary name beside path, syncs it, renames it over path and syncs the folder. */
SB_MUST_CHECK enum sb_status sb_write_file(const char *path, const void *data, size_t size, struct sb_error *error);

/* The same for a file written in pieces: begin, write any number of times, then commit or abandon. */
struct sb_file_writer;
SB_MUST_CHECK enum sb_status sb_file_writer_begin(struct sb_file_writer **writer, const char *path,
                                                  struct sb_error *error);
SB_MUST_CHECK enum sb_status sb_file_writer_write(struct sb_file_writer *writer, const void *data, size_t size,
                                                  struct sb_error *error);
/* Frees the writer, also on failure. */
SB_MUST_CHECK enum sb_status sb_file_writer_commit(struct sb_file_writer *writer, struct sb_error *error);
void sb_file_writer_abandon(struct sb_file_writer *writer); /* removes the temporary file; NULL is fine */

bool sb_file_exists(const char *path); /* a regular file */
bool sb_folder_exists(const char *path);

/* mkdir -p with mode 0755. */
SB_MUST_CHECK enum sb_status sb_make_folders(const char *path, struct sb_error *error);

/* "folder/name" into a new string (free() it); NULL when out of memory. */
char *sb_path_join(const char *folder, const char *name);

#endif
