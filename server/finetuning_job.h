/* What the routes of fine-tuning jobs share. */
#ifndef SB_SERVER_FINETUNING_JOB_H
#define SB_SERVER_FINETUNING_JOB_H

#include "server/jobs.h"

/* The third part of a fine-tuned model's name. OpenAI has the client's organization there; a server here has one owner. */
#define SB_ORGANIZATION "simbert"

/* OpenAI's fine_tuning.job object. */
void sb_finetuning_job_print(struct sb_buffer *out, struct sb_server *server, const struct sb_job_record *job);

#endif
