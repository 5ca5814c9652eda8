#include "cli/progress.h"

#include "base/cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS INT64_C(2000000000)
#define TERMINAL_EVERY_NS INT64_C(200000000)
#define LINES_EVERY_NS INT64_C(10000000000)

struct sb_progress sb_progress_begin(const char *choice, bool json, const char *what)
{
    bool always = strcmp(choice, "always") == 0, is_auto = strcmp(choice, "auto") == 0;
    return (struct sb_progress){
        .enabled = always || (is_auto && !json && !isatty(STDOUT_FILENO)),
        .is_terminal = isatty(STDERR_FILENO),
        .what = what,
        .start_ns = sb_now_ns(),
    };
}

void sb_progress_update(struct sb_progress *progress, size_t done)
{
    int64_t now = sb_now_ns(), every = progress->is_terminal ? TERMINAL_EVERY_NS : LINES_EVERY_NS;
    if (!progress->enabled || now - progress->start_ns < PATIENCE_NS ||
        (progress->shown && now - progress->shown_ns < every))
        return;
    double seconds = (double)(now - progress->start_ns) / 1e9;
    fprintf(stderr, "%s%zu %s, %.0f s, %.1f a second%s", progress->is_terminal ? "\r" : "", done, progress->what,
            seconds, (double)done / seconds, progress->is_terminal ? "\033[K" : "\n");
    fflush(stderr);
    progress->shown = true;
    progress->shown_ns = now;
}

void sb_progress_end(struct sb_progress *progress)
{
    if (progress->shown && progress->is_terminal)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
