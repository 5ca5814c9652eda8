/*
 * Status and error text.
 *
 * Every function that can fail returns an enum sb_status that must be looked at, and takes an optional struct sb_error
 * as its last argument, which receives one sentence for the user: file, object, value and bound, and what to do when
 * that is known.
 *
 *     struct sb_error error;
 *     if (sb_model_open(&model, dir, &error) != SB_OK)
 *         fprintf(stderr, "%s\n", error.message);
 *
 * Libraries never exit, print or abort; assert() is for our own bugs, never for input.
 */
#ifndef SB_BASE_STATUS_H
#define SB_BASE_STATUS_H

enum sb_status {
    SB_OK = 0,
    SB_INVALID,     /* the caller's argument or request is wrong */
    SB_NOT_FOUND,   /* a named thing does not exist */
    SB_CONFLICT,    /* a named thing exists already, or exists with other properties */
    SB_IO,          /* the operating system refused: missing file, full disk, no permission */
    SB_CORRUPT,     /* stored data contradicts itself: truncated, bad checksum, wrong shape */
    SB_UNSUPPORTED, /* valid, but not something this build or this model can do */
    SB_LIMIT,       /* larger than a configured limit */
    SB_NO_MEMORY,
    SB_OVERLOADED,  /* a queue is full: try again later */
    SB_DEADLINE,    /* the work's deadline passed before it was done */
    SB_UNAVAILABLE, /* something outside that is needed, such as a database, does not answer: try again later */
    SB_CANCELLED,   /* the caller went away, or the service is stopping */
    SB_INTERNAL,    /* our own fault */
};

struct sb_error {
    enum sb_status status;
    char message[512]; /* always NUL-terminated and well-formed UTF-8 */
};

#define SB_MUST_CHECK __attribute__((warn_unused_result))

/* Fills error (NULL: nothing) and returns status, so a failure is one line: return sb_fail(error, SB_IO, "..."). */
enum sb_status sb_fail(struct sb_error *error, enum sb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message already in error; returns error's status. */
enum sb_status sb_fail_context(struct sb_error *error, enum sb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A stable lower-case name: "ok", "invalid", "not_found", ... */
const char *sb_status_name(enum sb_status status);

#endif
