/* simbert check: whether a data directory's collections are sound, and repair. */
#include "cli/collection_choice.h"
#include "cli/command.h"
#include "cli/output.h"
#include "retrieval/store.h"

#include <inttypes.h>
#include <stdlib.h>

static void tell(void *context, const char *line)
{
    sb_buffer_format(context, "%s\n", line);
}

static enum sb_status run(const char *data, bool repair, struct sb_error *error)
{
    struct sb_check check = {0};
    struct sb_buffer out = {0};
    char *path = sb_database_path(data);
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to check %.300s", data);
    enum sb_status status = sb_store_check(path, repair, tell, &out, &check, error);
    if (status == SB_OK || status == SB_CORRUPT)
        sb_buffer_format(&out, "%s: %" PRId64 " collections, %" PRId64 " sentences, %" PRId64 " problems%s\n", path,
                         check.collections, check.sentences, check.problems,
                         check.was_repaired ? "; repaired, the damaged file is kept beside it" : "");
    struct sb_error output_error;
    enum sb_status written = sb_output_write(&out, &output_error);
    if (status == SB_OK && written != SB_OK) {
        *error = output_error;
        status = written;
    }
    sb_buffer_free(&out);
    free(path);
    return status;
}

int sb_command_check(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert check [--repair] DATA\n"
        "\n"
        "Looks at every collection of a data directory, which no server may have open: exit status 0 if all is sound,\n"
        "1 if not, with a line for each problem.\n"
        "With --repair a damaged database is replaced by what is intact of it, and kept as simbert.db.damaged.\n";
    static const char examples[] = "  simbert check data\n"
                                   "  simbert check --repair /var/lib/simbert\n";
    bool repair = false;
    const struct sb_option options[] = {
        {.name = "repair", .type = SB_OPTION_FLAG, .value = &repair, .help = "replace a damaged database"},
        {0},
    };
    const struct sb_option_group groups[] = {{"Options", options}, {0}};
    int count, exit;
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    if (count != 1) {
        sb_fail(error, SB_INVALID, count ? "it takes one data directory" : "the data directory is missing");
        return SB_EXIT_USAGE;
    }
    return sb_exit(run(argv[0], repair, error));
}
