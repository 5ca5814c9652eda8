/*
 * The options that name a collection in a data directory, for the commands that work on one.
 *
 *     struct sb_collection_choice choice = sb_collection_choice_defaults();
 *     struct sb_option options[SB_COLLECTION_OPTIONS];
 *     sb_collection_options_table(options, &choice);
 *     ...
 *     if (sb_collection_choice_open(&store, &choice, &error) == SB_OK) ...
 *     sb_store_close(store);
 */
#ifndef SB_CLI_COLLECTION_CHOICE_H
#define SB_CLI_COLLECTION_CHOICE_H

#include "cli/options.h"
#include "retrieval/store.h"

struct sb_collection_choice {
    const char *data, *collection;
};
struct sb_collection_choice sb_collection_choice_defaults(void);

enum { SB_COLLECTION_OPTIONS = 3 };

/* --data, --collection. */
void sb_collection_options_table(struct sb_option table[SB_COLLECTION_OPTIONS], struct sb_collection_choice *choice);

/* SB_INVALID: no collection is named; SB_CONFLICT: a server has the data directory, and how to ask it instead. */
SB_MUST_CHECK enum sb_status
sb_collection_choice_open(struct sb_store **store, const struct sb_collection_choice *choice, struct sb_error *error);

/* <data>/simbert.db, malloc'd; a path that is no folder stands for itself. NULL: no memory. */
char *sb_database_path(const char *data);

#endif
