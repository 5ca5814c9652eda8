#include "cli/collection_choice.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

struct sb_collection_choice sb_collection_choice_defaults(void)
{
    return (struct sb_collection_choice){.data = "data"};
}

void sb_collection_options_table(struct sb_option table[SB_COLLECTION_OPTIONS], struct sb_collection_choice *choice)
{
    const struct sb_option options[SB_COLLECTION_OPTIONS] = {
        {.name = "data", .type = SB_OPTION_TEXT, .value = &choice->data, .argument = "DIR",
         .help = "the data directory, as of simbert serve"},
        {.name = "collection", .type = SB_OPTION_TEXT, .value = &choice->collection, .argument = "NAME",
         .default_text = "none, it must be given", .help = "the collection, or an alias of it"},
    };
    memcpy(table, options, sizeof options);
}

char *sb_database_path(const char *data)
{
    return sb_file_exists(data) ? strdup(data) : sb_path_join(data, "simbert.db");
}

enum sb_status sb_collection_choice_open(struct sb_store **store, const struct sb_collection_choice *choice,
                                         struct sb_error *error)
{
    *store = NULL;
    if (!choice->collection)
        return sb_fail(error, SB_INVALID, "--collection NAME is missing");
    enum sb_status status = sb_make_folders(choice->data, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "data directory");
    char *path = sb_database_path(choice->data);
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the data directory");
    status = sb_store_open(store, path, NULL, error);
    free(path);
    if (status == SB_CONFLICT)
        sb_fail_context(error, status,
                        "while a server runs on the data, import with curl -T FILE "
                        "http://HOST:PORT/v1/collections/%.64s/sentences and export with GET .../export",
                        choice->collection);
    return status;
}
