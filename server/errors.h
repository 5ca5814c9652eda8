/*
 * What can be wrong with a request, and how each kind of client is told: OpenAI's shape below /v1,
 * text-embeddings-inference's on its routes, bert4keras WebServing's on /gen_synonyms.
 *
 *     sb_error_body(&body, SB_STYLE_OPENAI, SB_PROBLEM_INVALID, "input", "input is missing");
 *     status = sb_problem_http_status(SB_PROBLEM_INVALID, SB_STYLE_OPENAI);      // 400
 *
 * Thread rule: every call from any thread.
 */
#ifndef SB_SERVER_ERRORS_H
#define SB_SERVER_ERRORS_H

#include "base/buffer.h"
#include "base/status.h"

#include <stddef.h>

enum sb_style {
    SB_STYLE_OPENAI,  /* {"error":{"message","type","param","code"}} */
    SB_STYLE_TEI,     /* {"error","error_type"} */
    SB_STYLE_SERVING, /* {"code","desc","data"} */
};

enum sb_problem {
    SB_PROBLEM_INVALID,
    SB_PROBLEM_EMPTY, /* no input, or an empty text */
    SB_PROBLEM_TOKENIZER,
    SB_PROBLEM_UNSUPPORTED, /* nothing is wrong with it, but this model can not do it */
    SB_PROBLEM_UNAUTHORIZED,
    SB_PROBLEM_NOT_FOUND,
    SB_PROBLEM_METHOD,
    SB_PROBLEM_ARRIVAL, /* it took too long to arrive */
    SB_PROBLEM_CONFLICT,
    SB_PROBLEM_TOO_LARGE,
    SB_PROBLEM_MEDIA_TYPE,
    SB_PROBLEM_OVERLOADED,
    SB_PROBLEM_STOPPING, /* the service is ending, or out of memory */
    SB_PROBLEM_DEADLINE,
    SB_PROBLEM_STORAGE, /* the disk refused */
    SB_PROBLEM_INTERNAL,
    SB_PROBLEM_COUNT,
};

enum sb_problem sb_problem_of(enum sb_status status); /* SB_OK is SB_PROBLEM_INTERNAL */
int sb_problem_http_status(enum sb_problem problem, enum sb_style style);
const char *sb_problem_name(enum sb_problem problem); /* the label of te_request_failure, and OpenAI's code */

/* Appends the body; param may be NULL: the field that is wrong. */
void sb_error_body(struct sb_buffer *body, enum sb_style style, enum sb_problem problem, const char *param,
                   const char *message);

#endif
