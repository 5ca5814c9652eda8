#include "weights/convert.h"

#include "weights/checkpoint_impl.h"
#include "weights/config_impl.h"
#include "weights/dense_impl.h"
#include "weights/grow_impl.h"
#include "weights/pair_head_impl.h"
#include "weights/parameters_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that there is to say about a directory. */
struct inspection {
    const char *dir;
    struct sb_checkpoint *checkpoint;
    struct sb_config config;
    bool has_config, has_pair_head;
    struct sb_match match; /* empty without a config */
    struct sb_dense dense;
    struct sb_problem *problems;
    size_t problem_count, problem_capacity;
};

static const char *const use_names[] = {
    [SB_TENSOR_UNKNOWN] = "unknown", [SB_TENSOR_USED] = "used",     [SB_TENSOR_IGNORED] = "ignored",
    [SB_TENSOR_TIED] = "tied",       [SB_TENSOR_MISFIT] = "misfit",
};

static enum sb_status add_problem(struct inspection *in, const char *kind, const struct sb_error *problem,
                                  struct sb_error *error)
{
    if (!sb_grow((void **)&in->problems, &in->problem_capacity, in->problem_count, sizeof *in->problems))
        return sb_fail(error, SB_NO_MEMORY, "no memory to inspect %s", in->dir);
    in->problems[in->problem_count++] = (struct sb_problem){kind, *problem};
    return SB_OK;
}

/* A failure of one part is a problem to report; running out of memory is a failure of the inspection. */
static enum sb_status note(struct inspection *in, const char *kind, enum sb_status status,
                           const struct sb_error *problem, struct sb_error *error)
{
    if (status == SB_OK)
        return SB_OK;
    if (status == SB_NO_MEMORY)
        return sb_fail(error, status, "%s", problem->message);
    return add_problem(in, kind, problem, error);
}

static enum sb_status inspect_parameters(struct inspection *in, struct sb_error *error)
{
    enum sb_status status = sb_match_parameters(&in->match, in->checkpoint, &in->config, in->dir, error);
    for (size_t i = 0; i < in->match.problem_count && status == SB_OK; i++)
        status = add_problem(in, in->match.problems[i].kind, &in->match.problems[i].error, error);
    return status;
}

static enum sb_status inspect_dense(struct inspection *in, struct sb_error *error)
{
    struct sb_modules modules;
    struct sb_error problem;
    enum sb_status status = sb_modules_read(&modules, in->dir, &problem);
    if (status == SB_OK && modules.dense[0])
        status = sb_dense_open(&in->dense, in->dir, modules.dense, (size_t)in->config.hidden_size, &problem);
    return note(in, "dense", status, &problem, error);
}

static enum sb_status inspect_pair_head(struct inspection *in, struct sb_error *error)
{
    struct sb_param head;
    struct sb_error problem;
    size_t dimensions = in->dense.checkpoint ? in->dense.kernel.rows : (size_t)in->config.hidden_size;
    enum sb_status status = sb_pair_head_find(&head, in->checkpoint, &in->config, dimensions, in->dir, &problem);
    in->has_pair_head = status == SB_OK && in->config.pair_head != SB_PAIR_HEAD_NONE;
    return note(in, "pair_head", status, &problem, error);
}

static enum sb_status inspect_data(struct inspection *in, struct sb_error *error)
{
    struct sb_error problem;
    const char *missing = sb_checkpoint_missing_data(in->checkpoint);
    enum sb_status status = SB_OK;
    if (missing) {
        sb_fail(&problem, SB_UNSUPPORTED, "the data file %s is missing: tensors are listed, but can not be read",
                missing);
        status = add_problem(in, "missing_data", &problem, error);
    }
    for (size_t i = 0; i < sb_checkpoint_count(in->checkpoint) && status == SB_OK; i++)
        status =
            note(in, "checksum", sb_checkpoint_verify(in->checkpoint, sb_checkpoint_at(in->checkpoint, i), &problem),
                 &problem, error);
    return status;
}

static enum sb_status inspect(struct inspection *in, struct sb_error *error)
{
    struct sb_error problem;
    enum sb_status status = sb_checkpoint_open(&in->checkpoint, in->dir, error);
    if (status != SB_OK)
        return status;
    status = sb_config_read(&in->config, in->dir, &problem);
    in->has_config = status == SB_OK;
    status = note(in, "config", status, &problem, error);
    if (status == SB_OK && in->has_config)
        status = inspect_parameters(in, error);
    if (status == SB_OK && in->has_config)
        status = inspect_dense(in, error);
    if (status == SB_OK && in->has_config)
        status = inspect_pair_head(in, error);
    if (status == SB_OK)
        status = inspect_data(in, error);
    return status;
}

static bool has_param(const struct inspection *in, enum sb_param_role role)
{
    return in->has_config && in->match.tensors[sb_match_index(&in->match, role, 0)] != NULL;
}

/* As sb_weights_open decides it. */
static enum sb_pooling pooling_of(const struct inspection *in)
{
    return in->config.pooling == SB_POOL_POOLER && !has_param(in, SB_POOLER_KERNEL) ? SB_POOL_CLS : in->config.pooling;
}

static const char *use_of(const struct inspection *in, size_t index)
{
    bool is_pair_head =
        in->has_pair_head && strcmp(sb_checkpoint_at(in->checkpoint, index)->name, SB_PAIR_HEAD_TENSOR) == 0;
    return is_pair_head ? use_names[SB_TENSOR_USED] : in->has_config ? use_names[in->match.uses[index]] : "unknown";
}

static void add_shape(struct sb_buffer *text, const struct sb_tensor *tensor, const char *between)
{
    sb_buffer_text(text, "[");
    for (int i = 0; i < tensor->rank; i++)
        sb_buffer_format(text, "%s%zu", i ? between : "", tensor->shape[i]);
    sb_buffer_text(text, "]");
}

static void print_attention(struct sb_buffer *report, const struct sb_config *config)
{
    const struct sb_attention_config *a = &config->attention;
    const char *names[SB_ATTENTION_PARTS + 1];
    int count = sb_attention_names(names, a);
    sb_buffer_text(report, "attention  ");
    for (int i = 0; i < count; i++)
        sb_buffer_format(report, "%s%s", i ? ", " : "", names[i]);
    if (a->factor_a)
        sb_buffer_format(report, " (factors of %d and %d)", a->factor_a, a->factor_b);
    if (a->factor_rank)
        sb_buffer_format(report, " (rank %d)", a->factor_rank);
    sb_buffer_text(report, "\n");
}

static void print_config(struct sb_buffer *report, const struct inspection *in)
{
    const struct sb_config *c = &in->config;
    enum sb_pooling pooling = pooling_of(in);
    sb_buffer_format(
        report, "model      %s, %d layers, hidden %d, embedding %d, %d heads of %d (keys %d), intermediate %d, %s\n",
        c->model_type, c->num_hidden_layers, c->hidden_size, c->embedding_size, c->num_attention_heads,
        c->attention_head_size, c->attention_key_size, c->intermediate_size, sb_activation_name(c->hidden_act));
    print_attention(report, c);
    sb_buffer_format(report, "vocabulary %d, positions %d, segments %d\n", c->vocab_size, c->max_position_embeddings,
                     c->type_vocab_size);
    sb_buffer_format(report, "vector     %s", sb_pooling_name(pooling));
    if (pooling == SB_POOL_POOLER)
        sb_buffer_format(report, " (%s)", sb_activation_name(c->pooler_activation));
    if (in->dense.checkpoint)
        sb_buffer_format(report, ", dense to %zu (%s)", in->dense.kernel.rows,
                         sb_activation_name(in->dense.activation));
    sb_buffer_format(report, "%s, rows of at most %d tokens\n", c->normalize ? ", normalized" : "", c->max_length);
    sb_buffer_format(report, "generates  %s\n",
                     has_param(in, SB_MLM_KERNEL) ? "yes" : "no (there is no masked language model head)");
    if (in->has_pair_head)
        sb_buffer_format(report, "pairs      scored by a head that learned from %s\n",
                         c->pair_head == SB_PAIR_HEAD_NLI ? "NLI" : "labelled pairs");
}

static void print_tensors(struct sb_buffer *report, const struct inspection *in)
{
    size_t count = sb_checkpoint_count(in->checkpoint), width = 4;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(sb_checkpoint_at(in->checkpoint, i)->name);
        width = length > width ? length : width;
    }
    sb_buffer_format(report, "\n%-*s  %-16s %-12s %s\n", (int)width, "name", "shape", "dtype", "use");
    for (size_t i = 0; i < count; i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(in->checkpoint, i);
        struct sb_buffer shape = {0};
        add_shape(&shape, tensor, ", ");
        sb_buffer_format(report, "%-*s  %-16s %-12s %s\n", (int)width, tensor->name, shape.failed ? "" : shape.data,
                         tensor->stored_dtype, use_of(in, i));
        sb_buffer_free(&shape);
    }
}

static void print_text(struct sb_buffer *report, const struct inspection *in)
{
    sb_buffer_format(report, "directory  %s\nformat     %s\n", in->dir, sb_checkpoint_format(in->checkpoint));
    if (in->has_config)
        print_config(report, in);
    sb_buffer_format(report, "tensors    %zu\n", sb_checkpoint_count(in->checkpoint));
    print_tensors(report, in);
    sb_buffer_text(report, in->problem_count ? "\nproblems\n" : "\nno problems: the model can be opened\n");
    for (size_t i = 0; i < in->problem_count; i++)
        sb_buffer_format(report, "  %-12s %s\n", in->problems[i].kind, in->problems[i].error.message);
}

static void add_member(struct sb_buffer *report, const char *key, const char *value)
{
    sb_buffer_format(report, "\"%s\":", key);
    sb_buffer_json_string(report, value, strlen(value));
}

static void print_json_config(struct sb_buffer *report, const struct inspection *in)
{
    struct sb_config config = in->config;
    cJSON *json = NULL;
    char *text = NULL;
    if (in->has_config) {
        config.pooling = pooling_of(in);
        json = sb_config_describe(&config);
        text = json ? cJSON_PrintUnformatted(json) : NULL;
        report->failed = report->failed || !text;
    }
    sb_buffer_text(report, text ? text : "null");
    cJSON_free(text);
    cJSON_Delete(json);
    sb_buffer_text(report, ",\"dense\":");
    if (in->dense.checkpoint)
        sb_buffer_format(report, "{\"in\":%zu,\"out\":%zu,\"activation\":\"%s\"}", in->dense.kernel.columns,
                         in->dense.kernel.rows, sb_activation_name(in->dense.activation));
    else
        sb_buffer_text(report, "null");
}

static void print_json(struct sb_buffer *report, const struct inspection *in)
{
    sb_buffer_text(report, "{");
    add_member(report, "directory", in->dir);
    sb_buffer_text(report, ",");
    add_member(report, "format", sb_checkpoint_format(in->checkpoint));
    sb_buffer_format(report, ",\"fits\":%s,\"generates\":%s,\"config\":", in->problem_count ? "false" : "true",
                     has_param(in, SB_MLM_KERNEL) ? "true" : "false");
    print_json_config(report, in);
    sb_buffer_text(report, ",\"tensors\":[");
    for (size_t i = 0; i < sb_checkpoint_count(in->checkpoint); i++) {
        const struct sb_tensor *tensor = sb_checkpoint_at(in->checkpoint, i);
        sb_buffer_text(report, i ? ",{" : "{");
        add_member(report, "name", tensor->name);
        sb_buffer_text(report, ",\"shape\":");
        add_shape(report, tensor, ",");
        sb_buffer_format(report, ",\"dtype\":\"%s\",\"stored_dtype\":\"%s\",\"use\":\"%s\"}",
                         sb_dtype_name(tensor->dtype), tensor->stored_dtype, use_of(in, i));
    }
    sb_buffer_text(report, "],\"problems\":[");
    for (size_t i = 0; i < in->problem_count; i++) {
        sb_buffer_format(report, "%s{\"kind\":\"%s\",", i ? "," : "", in->problems[i].kind);
        add_member(report, "message", in->problems[i].error.message);
        sb_buffer_text(report, "}");
    }
    sb_buffer_text(report, "]}");
}

enum sb_status sb_inspect(struct sb_buffer *report, bool *fits, const char *dir, bool as_json, struct sb_error *error)
{
    struct inspection in = {.dir = dir};
    *fits = false;
    enum sb_status status = inspect(&in, error);
    if (status == SB_OK) {
        if (as_json)
            print_json(report, &in);
        else
            print_text(report, &in);
        *fits = in.problem_count == 0;
        if (report->failed)
            status = sb_fail(error, SB_NO_MEMORY, "no memory for the report on %s", dir);
    }
    sb_dense_close(&in.dense);
    sb_match_free(&in.match);
    sb_checkpoint_close(in.checkpoint);
    free(in.problems);
    return status;
}
