/*
 * POST /v1/fine_tuning/jobs. method.type "supervised" has OpenAI's hyperparameters, which become members of a recipe;
 * "simbert" carries a recipe of our own (training/recipe.h). A client names no files of the server: the data is what it
 * has uploaded.
 */
#include "server/embedding.h"
#include "server/finetuning_job.h"
#include "server/finetuning_recipe.h"
#include "base/random.h"
#include "server/parse.h"
#include "server/routes.h"
#include "server/server_impl.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUFFIX_MAX = 64, METADATA_MAX = 16, METADATA_KEY_MAX = 64, METADATA_VALUE_MAX = 512, SEED_MAX = INT32_MAX };

#define AT_SUPERVISED "method.supervised.hyperparameters"

/* OpenAI's hyperparameters, and the recipe's keys that they set. */
enum { N_EPOCHS, BATCH_SIZE, LEARNING_RATE_MULTIPLIER, HYPERPARAMETERS };
static const struct hyperparameter {
    const char *name, *param, *key;
    bool whole;
    double low, high;
} hyperparameters[HYPERPARAMETERS] = {
    [N_EPOCHS] = {"n_epochs", AT_SUPERVISED ".n_epochs", "epochs", true, 1, 1000},
    [BATCH_SIZE] = {"batch_size", AT_SUPERVISED ".batch_size", "batch_size", true, 1, 4096},
    [LEARNING_RATE_MULTIPLIER] = {"learning_rate_multiplier", AT_SUPERVISED ".learning_rate_multiplier",
                                  "learning_rate", false, 1e-3, 1e3}, /* times the recipe's default */
};

struct create {
    struct sb_parse parse;
    struct sb_job_record job;
    cJSON *recipe;
    double values[HYPERPARAMETERS]; /* NaN: "auto" */
    double default_learning_rate;
    const char *model, *training_file, *validation_file, *suffix;
};

static void create_free(void *state)
{
    struct create *c = state;
    sb_job_record_clear(&c->job);
    cJSON_Delete(c->recipe);
    free(c);
}

static bool wrong(struct create *c, const char *param, const char *message)
{
    c->parse.param = param;
    return sb_parse_fail(&c->parse, SB_PROBLEM_INVALID, "%s", message);
}

static bool no_memory(struct create *c)
{
    return sb_parse_fail(&c->parse, SB_PROBLEM_STOPPING, "no memory for the job");
}

/* ---- hyperparameters ---- */

/* "auto" and what is missing are left to the trainer. */
static bool take_hyperparameter(struct create *c, const cJSON *object, size_t index)
{
    const struct hyperparameter *h = &hyperparameters[index];
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, h->name);
    const char *text = cJSON_GetStringValue(value);
    if (!value || cJSON_IsNull(value) || (text && strcmp(text, "auto") == 0))
        return true;
    double number = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    if (!(number >= h->low && number <= h->high) || (h->whole && number != floor(number))) {
        c->parse.param = h->param;
        return sb_parse_fail(&c->parse, SB_PROBLEM_INVALID, "%s must be \"auto\" or a %snumber from %g to %g", h->name,
                             h->whole ? "whole " : "", h->low, h->high);
    }
    c->values[index] = number;
    if (index == LEARNING_RATE_MULTIPLIER)
        number *= c->default_learning_rate;
    return cJSON_AddNumberToObject(c->recipe, h->key, number) != NULL || no_memory(c);
}

static char *print_hyperparameters(const double values[HYPERPARAMETERS])
{
    struct sb_buffer out = {0};
    size_t length;
    for (size_t i = 0; i < HYPERPARAMETERS; i++) {
        sb_buffer_format(&out, "%s\"%s\":", i ? "," : "{", hyperparameters[i].name);
        if (isnan(values[i]))
            sb_buffer_text(&out, "\"auto\"");
        else
            sb_buffer_format(&out, "%.9g", values[i]);
    }
    sb_buffer_text(&out, "}");
    return sb_buffer_take(&out, &length);
}

static bool parse_supervised(struct create *c, const cJSON *method)
{
    const cJSON *supervised = cJSON_GetObjectItemCaseSensitive(method, "supervised");
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(supervised, "hyperparameters");
    if (supervised && !cJSON_IsNull(supervised) && !cJSON_IsObject(supervised))
        return wrong(c, "method.supervised", "method.supervised is not an object");
    if (!object || cJSON_IsNull(object)) /* the older place */
        object = sb_parse_field(&c->parse, "hyperparameters");
    if (object && !cJSON_IsObject(object))
        return wrong(c, AT_SUPERVISED, "hyperparameters is not an object");
    for (size_t i = 0; i < HYPERPARAMETERS; i++)
        if (!take_hyperparameter(c, object, i))
            return false;
    return true;
}

/* ---- method ---- */

static bool parse_simbert(struct create *c, const cJSON *method)
{
    const cJSON *recipe = cJSON_GetObjectItemCaseSensitive(method, "simbert");
    if (!recipe || cJSON_IsNull(recipe))
        return true;
    if (!cJSON_IsObject(recipe))
        return wrong(c, "method.simbert", "method.simbert is not an object: the recipe");
    cJSON_Delete(c->recipe);
    c->recipe = cJSON_Duplicate(recipe, true);
    return c->recipe || no_memory(c);
}

static bool parse_method(struct create *c)
{
    const cJSON *method = sb_parse_field(&c->parse, "method");
    if (method && !cJSON_IsObject(method))
        return wrong(c, "method", "method is not an object");
    const char *type = method ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(method, "type")) : "supervised";
    if (!type)
        return wrong(c, "method.type", "method.type is missing; \"supervised\" and \"simbert\" are possible");
    bool supervised = strcmp(type, "supervised") == 0;
    if (!supervised && strcmp(type, "simbert") != 0) {
        c->parse.param = "method.type";
        return sb_parse_fail(&c->parse, SB_PROBLEM_UNSUPPORTED,
                             "method.type is \"%.64s\"; \"supervised\" and \"simbert\" are possible", type);
    }
    c->recipe = cJSON_CreateObject();
    if (!c->recipe)
        return no_memory(c);
    if (!(supervised ? parse_supervised(c, method) : parse_simbert(c, method)))
        return false;
    c->job.hyperparameters = print_hyperparameters(c->values);
    if (!supervised)
        c->job.method = cJSON_PrintUnformatted(method);
    else if (c->job.hyperparameters &&
             asprintf(&c->job.method, "{\"type\":\"supervised\",\"supervised\":{\"hyperparameters\":%s}}",
                      c->job.hyperparameters) < 0)
        c->job.method = NULL;
    return (c->job.hyperparameters && c->job.method) || no_memory(c);
}

/* ---- the other fields ---- */

static bool parse_suffix(struct create *c)
{
    if (!sb_parse_string(&c->parse, "suffix", &c->suffix))
        return false;
    c->suffix = c->suffix ? c->suffix : "";
    bool good = strlen(c->suffix) <= SUFFIX_MAX;
    for (const char *at = c->suffix; good && *at; at++)
        good = isalnum((unsigned char)*at) || strchr("-_.", *at);
    return good || sb_parse_fail(&c->parse, SB_PROBLEM_INVALID,
                                 "suffix \"%.100s\": up to %d letters, digits and \"-_.\" are possible", c->suffix,
                                 SUFFIX_MAX);
}

static bool parse_metadata(struct create *c)
{
    const cJSON *metadata = sb_parse_field(&c->parse, "metadata");
    if (!metadata)
        return true;
    if (!cJSON_IsObject(metadata) || cJSON_GetArraySize(metadata) > METADATA_MAX)
        return sb_parse_fail(&c->parse, SB_PROBLEM_INVALID, "metadata must be an object of at most %d texts",
                             METADATA_MAX);
    for (const cJSON *item = metadata->child; item; item = item->next)
        if (!cJSON_IsString(item) || strlen(item->string) > METADATA_KEY_MAX ||
            strlen(item->valuestring) > METADATA_VALUE_MAX)
            return sb_parse_fail(&c->parse, SB_PROBLEM_INVALID,
                                 "metadata \"%.64s\": keys of up to %d bytes and texts of up to %d are possible",
                                 item->string, METADATA_KEY_MAX, METADATA_VALUE_MAX);
    c->job.metadata = cJSON_PrintUnformatted(metadata);
    return c->job.metadata || no_memory(c);
}

static bool parse_integrations(struct create *c)
{
    const cJSON *list = sb_parse_field(&c->parse, "integrations");
    return !list || cJSON_GetArraySize(list) == 0 ||
           sb_parse_fail(&c->parse, SB_PROBLEM_UNSUPPORTED, "integrations are not supported");
}

/* The recipe's seed is the request's, else its own, else a fresh one. */
static bool parse_seed(struct create *c)
{
    int64_t seed = -1;
    if (!sb_parse_int(&c->parse, "seed", 0, SEED_MAX, &seed))
        return false;
    if (seed < 0 && !sb_json_as_int(&seed, 0, SEED_MAX, cJSON_GetObjectItemCaseSensitive(c->recipe, "seed")))
        seed = (int64_t)(sb_random_fresh_seed() & SEED_MAX);
    c->job.seed = seed;
    cJSON_DeleteItemFromObjectCaseSensitive(c->recipe, "seed");
    return cJSON_AddNumberToObject(c->recipe, "seed", (double)seed) || no_memory(c);
}

static bool parse_names(struct create *c)
{
    if (!sb_parse_string(&c->parse, "model", &c->model))
        return false;
    if (!c->model || !c->model[0])
        return sb_parse_fail(&c->parse, SB_PROBLEM_INVALID, "model is missing: the base to start from");
    if (!sb_parse_string(&c->parse, "validation_file", &c->validation_file) ||
        !sb_parse_string(&c->parse, "training_file", &c->training_file))
        return false;
    return c->training_file ||
           sb_parse_fail(&c->parse, SB_PROBLEM_INVALID, "training_file is missing: the id of an uploaded file");
}

/* ---- the recipe ---- */

static bool check_recipe(struct create *c, struct sb_server *server)
{
    struct sb_error error;
    enum sb_status status = sb_finetuning_recipe(&c->job.recipe, c->recipe, server->registry, &error);
    c->parse.param = "method.simbert";
    return status == SB_OK || sb_parse_fail(&c->parse, sb_problem_of(status), "%s", error.message);
}

static bool begin(struct create *c)
{
    for (size_t i = 0; i < HYPERPARAMETERS; i++)
        c->values[i] = NAN;
    return sb_finetuning_default_rate(&c->default_learning_rate, NULL) == SB_OK || no_memory(c);
}

/* ---- creation ---- */

/* ft:<base>:<organization>:<suffix>:<id>; what was fine-tuned before keeps its base. */
static bool make_name(struct create *c)
{
    struct sb_job_record *job = &c->job;
    bool tuned = strncmp(job->model, "ft:", 3) == 0;
    const char *base = job->model + (tuned ? 3 : 0);
    int length = (int)(tuned ? strcspn(base, ":") : strlen(base));
    int n = snprintf(job->name, sizeof job->name, "ft:%.*s:%s:%s:%s", length, base, SB_ORGANIZATION, c->suffix,
                     job->id + strlen(job->id) - 8);
    return (n > 0 && (size_t)n < sizeof job->name) ||
           wrong(c, "suffix", "the fine-tuned model's name would be too long; take a shorter suffix");
}

static bool take_file(struct create *c, struct sb_request *request, const char *param, const char *id,
                      char field[SB_ID_SIZE])
{
    struct sb_file_record file;
    struct sb_error error;
    c->parse.param = param;
    enum sb_status status = sb_records_file(request->server->records, id, &file, &error);
    if (status != SB_OK)
        return sb_parse_fail(&c->parse, status == SB_NOT_FOUND ? SB_PROBLEM_INVALID : sb_problem_of(status), "%s: %s",
                             param, error.message);
    if (strcmp(file.purpose, "fine-tune") != 0)
        return sb_parse_fail(&c->parse, SB_PROBLEM_INVALID, "%s: file %s has the purpose \"%s\"; \"fine-tune\" is needed",
                             param, file.id, file.purpose);
    memcpy(field, file.id, SB_ID_SIZE);
    return true;
}

static void create(struct sb_request *request)
{
    struct create *c = request->state;
    struct sb_job_record *job = &c->job;
    struct sb_error error;
    struct sb_model *model = sb_request_model(request, c->model);
    if (!model)
        return;
    snprintf(job->model, sizeof job->model, "%s", sb_model_name(model)); /* an alias may stand for another one later */
    sb_model_release(model);
    job->status = SB_JOB_VALIDATING;
    job->created_at = sb_records_now();
    sb_records_new_id(job->id, "ftjob-");
    if (!take_file(c, request, "training_file", c->training_file, job->training_file) ||
        (c->validation_file && !take_file(c, request, "validation_file", c->validation_file, job->validation_file)) ||
        !make_name(c)) {
        sb_request_parse_failed(request, &c->parse);
        return;
    }
    enum sb_status status = sb_records_add_job(request->server->records, job, &error);
    if (status != SB_OK) {
        sb_request_fail(request, status, NULL, &error);
        return;
    }
    sb_jobs_wake(request->server->jobs);
    sb_finetuning_job_print(&request->reply.body, request->server, job);
    sb_request_send(request, 200);
}

void sb_handle_job_create(struct sb_request *request)
{
    const cJSON *json;
    if (!sb_request_json(request, &json))
        return;
    struct create *c = sb_request_state(request, sizeof *c, create_free);
    if (!c)
        return;
    c->parse.object = json;
    if (begin(c) && parse_names(c) && parse_suffix(c) && parse_integrations(c) && parse_metadata(c) &&
        parse_method(c) && parse_seed(c) && check_recipe(c, request->server))
        sb_request_later(request, create);
    else
        sb_request_parse_failed(request, &c->parse);
}
