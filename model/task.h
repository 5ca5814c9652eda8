/*
 * A task is work that needs several passes through the network: embedding a list of texts, writing paraphrases. It says which
 * rows it can compute next and takes their results, so that one loop, here or in the server's scheduler, can mix the rows of many
 * tasks in one forward call and let them enter and leave between calls.
 *
 *     struct sb_task *task = ...;                          // sb_embed_task_new, sb_paraphrase_task_new
 *     while (!sb_task_finished(task)) {
 *         sb_task_batch_reset(batch);
 *         sb_task_offer(task, batch);                       // one or more rows
 *         sb_session_forward(session, batch->rows, batch->count, &error);
 *         sb_task_batch_deliver(batch);                          // hands each row to its task
 *     }
 *
 * Thread rule: a task and a batch belong to one thread at a time. Nothing depends on how rows are grouped into batches.
 */
#ifndef SB_MODEL_TASK_H
#define SB_MODEL_TASK_H

#include "base/status.h"
#include "model/session.h"

#include <stdbool.h>

struct sb_task;

/* Rows gathered for one forward call, within the session's limits. */
struct sb_task_batch {
    struct sb_session_options limits;
    struct sb_row *rows;     /* [limits.max_rows] */
    struct sb_task **owners; /* [limits.max_rows]: whose row it is */
    uint64_t *tags;          /* [limits.max_rows]: the owner's own mark */
    size_t count, tokens, logits;
};
SB_MUST_CHECK enum sb_status sb_task_batch_new(struct sb_task_batch **batch, const struct sb_session *session,
                                          struct sb_error *error);
void sb_task_batch_free(struct sb_task_batch *batch);
void sb_task_batch_reset(struct sb_task_batch *batch);
/* Adds a copy of row; false (nothing added) when it does not fit any more. */
bool sb_task_batch_add(struct sb_task_batch *batch, const struct sb_row *row, struct sb_task *owner, uint64_t tag);
/* After a forward: calls each owner's accept() for its rows in order. */
void sb_task_batch_deliver(struct sb_task_batch *batch);

struct sb_task_class {
    const char *name; /* "embed", "paraphrase": a label for metrics */
    /* Adds rows that can be computed now, until none is left or the batch is full; at most max_tokens tokens in all, but at
       least one row if the batch was empty. Returns the tokens added. */
    size_t (*offer)(struct sb_task *task, struct sb_task_batch *batch, size_t max_tokens);
    /* Takes the results of one offered row. */
    void (*accept)(struct sb_task *task, uint64_t tag, const struct sb_row *row);
    void (*free)(struct sb_task *task);
};

/* First member of every task. */
struct sb_task {
    const struct sb_task_class *class;
    bool finished;         /* the results, or the error, are complete */
    enum sb_status status; /* SB_OK or why it failed */
    struct sb_error error;
    int64_t tokens_computed;
};

static inline bool sb_task_finished(const struct sb_task *task)
{
    return task->finished;
}
size_t sb_task_offer(struct sb_task *task, struct sb_task_batch *batch, size_t max_tokens);
void sb_task_free(struct sb_task *task); /* NULL is fine */
/* Ends it with an error, for example a deadline; results so far are kept. */
void sb_task_fail(struct sb_task *task, enum sb_status status, const char *message);

/* Runs one task to its end on this thread; returns its status. */
SB_MUST_CHECK enum sb_status sb_task_run(struct sb_task *task, struct sb_session *session, struct sb_error *error);

/* Embeds rows of token ids: vectors[n, dimensions] in input order. The ids are copied. */
struct sb_embed_input {
    const int32_t *ids;
    size_t length; /* 1..sb_model_max_length, special tokens included */
};
SB_MUST_CHECK enum sb_status sb_embed_task_new(struct sb_task **task, struct sb_model *model,
                                               const struct sb_embed_input *inputs, size_t n, struct sb_error *error);
/* [n, dimensions], valid once finished with SB_OK, borrowed from the task. */
const float *sb_embed_task_vectors(const struct sb_task *task);
/* [n]: the L2 norms that the vectors had before normalisation. */
const float *sb_embed_task_norms(const struct sb_task *task);

#endif
