/*
 * Progress of long work on standard error, for whoever waits: on a terminal one line that renews itself, elsewhere a
 * line now and then. Nothing is shown of work that is done within two seconds.
 *
 *     struct sb_progress progress = sb_progress_begin(choice, json, "texts");
 *     for (...)
 *         sb_progress_update(&progress, done);
 *     sb_progress_end(&progress);
 */
#ifndef SB_CLI_PROGRESS_H
#define SB_CLI_PROGRESS_H

#include "cli/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_PROGRESS_CHOICES "auto, always, never"
#define SB_PROGRESS_HELP                                                                                               \
    "show progress on standard error; auto: not with --json, nor when the results come on a terminal"

struct sb_progress {
    bool enabled, is_terminal, shown;
    const char *what;
    int64_t start_ns, shown_ns;
};

/* choice: one of SB_PROGRESS_CHOICES. what is borrowed: "texts". */
struct sb_progress sb_progress_begin(const char *choice, bool json, const char *what);
void sb_progress_update(struct sb_progress *progress, size_t done);
/* Leaves the terminal's line empty. */
void sb_progress_end(struct sb_progress *progress);

#endif
