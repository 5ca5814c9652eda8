#include "model/task.h"

#include <stdlib.h>

enum sb_status sb_task_batch_new(struct sb_task_batch **batch, const struct sb_session *session, struct sb_error *error)
{
    struct sb_task_batch *b = calloc(1, sizeof *b);
    *batch = b;
    if (b) {
        b->limits = sb_session_limits(session);
        b->rows = calloc(b->limits.max_rows, sizeof *b->rows);
        b->owners = calloc(b->limits.max_rows, sizeof *b->owners);
        b->tags = calloc(b->limits.max_rows, sizeof *b->tags);
    }
    if (b && b->rows && b->owners && b->tags)
        return SB_OK;
    sb_task_batch_free(b);
    *batch = NULL;
    return sb_fail(error, SB_NO_MEMORY, "batch: no memory");
}

void sb_task_batch_free(struct sb_task_batch *batch)
{
    if (!batch)
        return;
    free(batch->rows);
    free(batch->owners);
    free(batch->tags);
    free(batch);
}

void sb_task_batch_reset(struct sb_task_batch *batch)
{
    batch->count = batch->tokens = batch->logits = 0;
}

bool sb_task_batch_add(struct sb_task_batch *batch, const struct sb_row *row, struct sb_task *owner, uint64_t tag)
{
    size_t logits = row->want & SB_WANT_ALL_LOGITS ? row->length : row->want & SB_WANT_LOGITS ? 1 : 0;
    if (batch->count == batch->limits.max_rows || row->length > batch->limits.max_tokens - batch->tokens ||
        logits > batch->limits.max_logits - batch->logits)
        return false;
    batch->rows[batch->count] = *row;
    batch->owners[batch->count] = owner;
    batch->tags[batch->count] = tag;
    batch->count++;
    batch->tokens += row->length;
    batch->logits += logits;
    return true;
}

void sb_task_batch_deliver(struct sb_task_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct sb_task *owner = batch->owners[i];
        owner->tokens_computed += (int64_t)batch->rows[i].length;
        owner->class->accept(owner, batch->tags[i], &batch->rows[i]);
    }
}

size_t sb_task_offer(struct sb_task *task, struct sb_task_batch *batch, size_t max_tokens)
{
    return task->finished ? 0 : task->class->offer(task, batch, max_tokens);
}

void sb_task_free(struct sb_task *task)
{
    if (task)
        task->class->free(task);
}

void sb_task_fail(struct sb_task *task, enum sb_status status, const char *message)
{
    task->status = sb_fail(&task->error, status, "%s", message);
    task->finished = true;
}

enum sb_status sb_task_run(struct sb_task *task, struct sb_session *session, struct sb_error *error)
{
    struct sb_task_batch *batch;
    enum sb_status status = sb_task_batch_new(&batch, session, error);
    while (status == SB_OK && !task->finished) {
        sb_task_batch_reset(batch);
        if (sb_task_offer(task, batch, batch->limits.max_tokens) == 0 && !task->finished) {
            status = sb_fail(error, SB_LIMIT, "%s: a row does not fit the session's %zu tokens", task->class->name,
                             batch->limits.max_tokens);
            break;
        }
        status = sb_session_forward(session, batch->rows, batch->count, error);
        if (status == SB_OK)
            sb_task_batch_deliver(batch);
    }
    sb_task_batch_free(batch);
    if (status == SB_OK && task->status != SB_OK) {
        status = task->status;
        if (error)
            *error = task->error;
    }
    return status;
}
