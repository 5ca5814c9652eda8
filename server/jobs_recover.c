/* What the last run of the server left half-done, and where a job's folder goes. */
#include "server/jobs_impl.h"

#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "server/model_folders.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *sb_job_folder(const char *data, const char *id)
{
    char *path;
    return asprintf(&path, "%s/jobs/%s", data, id) < 0 ? NULL : path;
}

void sb_job_folder_remove(const char *data, const char *id)
{
    struct sb_error error;
    char *path = sb_job_folder(data, id);
    if (path && sb_folder_remove(path, &error) != SB_OK)
        sb_job_log_failure(id, &error);
    free(path);
}

static enum sb_status move_model(const char *from, const char *data, const char *name, struct sb_error *error)
{
    char *models = sb_path_join(data, "models"), *to = sb_model_folder(data, name);
    enum sb_status status = models && to ? sb_make_folders(models, error)
                                         : sb_fail(error, SB_NO_MEMORY, "no memory to move model %s", name);
    if (status == SB_OK)
        status = sb_folder_move(from, to, error);
    free(models);
    free(to);
    return status;
}

enum sb_status sb_job_settle(const char *data, const struct sb_job_record *job, struct sb_error *error)
{
    char *dir = sb_job_folder(data, job->id);
    char *model = dir ? sb_path_join(dir, "model") : NULL, *checkpoints = dir ? sb_path_join(dir, "checkpoints") : NULL;
    enum sb_status status = model && checkpoints ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory to settle %s", job->id);
    if (status == SB_OK && sb_folder_exists(model))
        status = move_model(model, data, job->name, error);
    if (status == SB_OK)
        status = sb_folder_remove(checkpoints, error);
    free(dir);
    free(model);
    free(checkpoints);
    return status;
}

/* ---- at the start ---- */

static enum sb_status queue_again(struct sb_records *records, struct sb_error *error)
{
    const struct sb_job_change queued = {
        .from = 1u << SB_JOB_RUNNING,
        .to = SB_JOB_QUEUED,
        .message = "The server was restarted; the job goes on from its last checkpoint",
    };
    bool found = true;
    enum sb_status status = SB_OK;
    for (int64_t after = 0; found && status == SB_OK;) {
        struct sb_job_record job;
        bool changed;
        status = sb_records_next_job(records, SB_JOB_RUNNING, after, &job, &found, error);
        after = job.key;
        if (status == SB_OK && found)
            status = sb_records_change_job(records, job.id, &queued, &changed, error);
        sb_job_record_clear(&job);
    }
    return status;
}

/* A job's folder: that of a success is settled, that of a cancelled or unknown one removed. */
static void sweep_job(const char *data, const char *id, void *context)
{
    struct sb_job_record job;
    struct sb_error error;
    enum sb_status status = sb_records_job(context, id, &job, &error);
    if (status == SB_NOT_FOUND || (status == SB_OK && job.status == SB_JOB_CANCELLED))
        sb_job_folder_remove(data, id);
    else if (status == SB_OK && job.status == SB_JOB_SUCCEEDED && sb_job_settle(data, &job, &error) != SB_OK)
        sb_job_log_failure(id, &error);
    sb_job_record_clear(&job);
}

/* A file that no record names: its upload was not acknowledged. */
static void sweep_file(const char *data, const char *name, void *context)
{
    struct sb_file_record file;
    char id[SB_ID_SIZE], *path;
    snprintf(id, sizeof id, "%.*s", (int)strcspn(name, "."), name);
    enum sb_status status = sb_records_file(context, id, &file, NULL);
    if ((status != SB_NOT_FOUND && (status != SB_OK || strcmp(file.stored, name) == 0)) ||
        asprintf(&path, "%s/files/%s", data, name) < 0)
        return;
    if (unlink(path) != 0)
        sb_log(SB_LOG_WARN, "jobs", "cannot remove %s: %s", path, strerror(errno));
    free(path);
}

static enum sb_status sweep(const char *data, const char *folder, void (*each)(const char *, const char *, void *),
                            void *context, struct sb_error *error)
{
    struct dirent **entries = NULL;
    char *path = sb_path_join(data, folder);
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to look through %s", data);
    int count = scandir(path, &entries, NULL, alphasort);
    enum sb_status status =
        count >= 0 || errno == ENOENT ? SB_OK : sb_fail(error, SB_IO, "cannot read %s: %s", path, strerror(errno));
    free(path);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            each(data, entries[i]->d_name, context);
        free(entries[i]);
    }
    free(entries);
    return status;
}

enum sb_status sb_jobs_recover(const char *data, struct sb_records *records, struct sb_error *error)
{
    enum sb_status status = queue_again(records, error);
    if (status == SB_OK)
        status = sweep(data, "jobs", sweep_job, records, error);
    return status == SB_OK ? sweep(data, "files", sweep_file, records, error) : status;
}
