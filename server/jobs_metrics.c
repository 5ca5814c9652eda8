/* The progress of jobs that run, for others: time to go, Prometheus metrics. */
#include "server/jobs_impl.h"

#include "base/cpu.h"

#include <math.h>
#include <string.h>

bool sb_jobs_eta(struct sb_jobs *jobs, const char *id, double *seconds)
{
    bool known = false;
    pthread_mutex_lock(&jobs->lock);
    for (int i = 0; i < jobs->options.max_running && !known; i++) {
        const struct sb_job_run *run = &jobs->runs[i];
        if (run->used && run->progress.told_ns && strcmp(run->job.id, id) == 0) {
            double passed = (double)(sb_now_ns() - run->progress.told_ns) / 1e9;
            *seconds = fmax(run->progress.eta_seconds - passed, 0);
            known = true;
        }
    }
    pthread_mutex_unlock(&jobs->lock);
    return known;
}

static void print_gauge(struct sb_jobs *jobs, struct sb_buffer *text, const char *name,
                        double (*value)(const struct sb_job_progress *progress))
{
    sb_buffer_format(text, "# TYPE simbert_finetuning_%s gauge\n", name);
    for (int i = 0; i < jobs->options.max_running; i++) {
        const struct sb_job_run *run = &jobs->runs[i];
        if (run->used && run->progress.told_ns)
            sb_buffer_format(text, "simbert_finetuning_%s{job=\"%s\"} %.9g\n", name, run->job.id,
                             value(&run->progress));
    }
}

/* name: of a child's measure, which may hold anything. */
static void print_label(struct sb_buffer *text, const char *name)
{
    for (; *name; name++)
        sb_buffer_format(text, "%s%c", *name == '"' || *name == '\\' ? "\\" : "", *name == '\n' ? ' ' : *name);
}

static void print_measures(struct sb_buffer *text, const char *metric, const char *label, const char *job,
                           const struct sb_job_measure *measures, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sb_buffer_format(text, "simbert_finetuning_%s{job=\"%s\",%s=\"", metric, job, label);
        print_label(text, measures[i].name);
        sb_buffer_format(text, "\"} %.9g\n", measures[i].value);
    }
}

static double step_of(const struct sb_job_progress *p)
{
    return (double)p->step;
}

static double steps_of(const struct sb_job_progress *p)
{
    return (double)p->steps;
}

static double loss_of(const struct sb_job_progress *p)
{
    return p->loss;
}

static double eta_of(const struct sb_job_progress *p)
{
    return p->eta_seconds;
}

static double rate_of(const struct sb_job_progress *p)
{
    return p->rows_per_second;
}

static double tokens_of(const struct sb_job_progress *p)
{
    return (double)p->tokens;
}

void sb_jobs_print_metrics(struct sb_jobs *jobs, struct sb_buffer *text)
{
    int64_t counts[SB_JOB_STATUSES];
    if (sb_records_count_jobs(jobs->options.records, counts, NULL) == SB_OK) {
        sb_buffer_text(text, "# TYPE simbert_finetuning_jobs gauge\n");
        for (int i = 0; i < SB_JOB_STATUSES; i++)
            sb_buffer_format(text, "simbert_finetuning_jobs{status=\"%s\"} %lld\n",
                             sb_job_status_name((enum sb_job_status)i), (long long)counts[i]);
    }
    pthread_mutex_lock(&jobs->lock);
    print_gauge(jobs, text, "step", step_of);
    print_gauge(jobs, text, "steps", steps_of);
    print_gauge(jobs, text, "loss", loss_of);
    print_gauge(jobs, text, "eta_seconds", eta_of);
    print_gauge(jobs, text, "rows_per_second", rate_of);
    print_gauge(jobs, text, "tokens", tokens_of);
    sb_buffer_text(text, "# TYPE simbert_finetuning_objective_loss gauge\n");
    for (int i = 0; i < jobs->options.max_running; i++)
        if (jobs->runs[i].used)
            print_measures(text, "objective_loss", "objective", jobs->runs[i].job.id, jobs->runs[i].progress.losses,
                           jobs->runs[i].progress.loss_count);
    sb_buffer_text(text, "# TYPE simbert_finetuning_evaluation gauge\n");
    for (int i = 0; i < jobs->options.max_running; i++)
        if (jobs->runs[i].used)
            print_measures(text, "evaluation", "metric", jobs->runs[i].job.id, jobs->runs[i].progress.metrics,
                           jobs->runs[i].progress.metric_count);
    pthread_mutex_unlock(&jobs->lock);
}
