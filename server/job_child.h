/*
 * The child process that trains for a job: `simbert finetune --job DIR` in a process group of its own, with a niceness,
 * a memory limit and a number of threads. It tells its progress on standard output, a JSON object a line.
 *
 *     struct sb_job_child child;
 *     sb_job_child_start(&child, &options, &error);         // SB_CONFLICT: an earlier one still ends in this folder
 *     while (sb_job_child_read(&child, line, context))      // poll child.output in between
 *         continue;
 *     while (!sb_job_child_ended(&child, &status))          // as of waitpid
 *         continue;
 *     sb_job_child_clear(&child);
 *
 * The child gets SIGTERM when the server dies, so that none is left behind; a lock on DIR/lock, which it inherits, keeps
 * the next server's child from starting before it has ended. What it says on standard error goes to DIR/log.txt.
 *
 * Thread rule: one thread, which must live as long as the child: its end is what the child takes for the server's.
 */
#ifndef SB_SERVER_JOB_CHILD_H
#define SB_SERVER_JOB_CHILD_H

#include "base/buffer.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sb_job_child_options {
    const char *program; /* NULL: this one */
    const char *dir;     /* absolute */
    int niceness;        /* added to the server's */
    int threads;         /* in the environment as SIMBERT_THREADS */
    size_t memory_bytes; /* RLIMIT_DATA: heap, stacks and private mappings; 0: no limit */
};

struct sb_job_child {
    pid_t pid;
    int output; /* -1 after its end */
    struct sb_buffer line;
    bool skipping; /* the rest of a line that was too long */
};

SB_MUST_CHECK enum sb_status sb_job_child_start(struct sb_job_child *child, const struct sb_job_child_options *options,
                                                struct sb_error *error);
/* Calls line() for each whole line that has come, without its end. False when nothing is left to read for now. */
bool sb_job_child_read(struct sb_job_child *child, void (*line)(void *context, const char *text, size_t size),
                       void *context);
void sb_job_child_signal(const struct sb_job_child *child, int number); /* its whole group */
/* Whether it has ended; then what is left of its group is killed, and *status is as of waitpid. True once. */
bool sb_job_child_ended(const struct sb_job_child *child, int *status);
void sb_job_child_clear(struct sb_job_child *child);

/* The last line that a child of this folder has written to its log; "" for none. */
void sb_job_child_last_words(const char *dir, char *text, size_t size);

#endif
