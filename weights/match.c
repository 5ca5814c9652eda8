#include "weights/parameters_impl.h"

#include "weights/checkpoint_impl.h"
#include "weights/grow_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One pass over the table. */
struct matcher {
    struct sb_match *match;
    const struct sb_checkpoint *checkpoint;
    const struct sb_config *config;
    const char *dir;
    bool out_of_memory;
};

size_t sb_match_index(const struct sb_match *match, enum sb_param_role role, int layer)
{
    return (size_t)role * (size_t)match->layers + (size_t)(sb_param_info(role)->per_layer ? layer : 0);
}

static void add_problem(struct matcher *m, const char *kind, enum sb_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add_problem(struct matcher *m, const char *kind, enum sb_status status, const char *format, ...)
{
    struct sb_match *match = m->match;
    char message[sizeof((struct sb_error *)0)->message];
    va_list args;
    if (!sb_grow((void **)&match->problems, &match->problem_capacity, match->problem_count, sizeof *match->problems)) {
        m->out_of_memory = true;
        return;
    }
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct sb_problem *problem = &match->problems[match->problem_count++];
    problem->kind = kind;
    sb_fail(&problem->error, status, "%s", message);
}

/* The file that a tensor of this checkpoint is in: it is the first member of what the list holds. */
static const char *file_of(const struct sb_tensor *tensor)
{
    return ((const struct sb_stored *)(const void *)tensor)->file;
}

static enum sb_tensor_use *use_of(const struct matcher *m, const struct sb_tensor *tensor)
{
    return &m->match->uses[(const struct sb_stored *)(const void *)tensor - m->checkpoint->tensors];
}

static void describe_shape(char *text, size_t room, const size_t *shape, int rank)
{
    size_t used = (size_t)snprintf(text, room, "[");
    for (int i = 0; i < rank && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < room)
        snprintf(text + used, room - used, "]");
}

/* Checks dtype and shape; a TensorFlow kernel is stored the other way round. */
static bool fits(struct matcher *m, const struct sb_tensor *tensor, enum sb_param_role role, bool is_transposed)
{
    char have[200], want[100];
    size_t stored[3], other[2];
    int rank = sb_param_stored_shape(stored, m->config, role);
    if (is_transposed) {
        memcpy(other, stored, sizeof other);
        stored[0] = other[1];
        stored[1] = other[0];
    }
    bool same = tensor->rank == rank;
    for (int i = 0; i < rank && same; i++)
        same = tensor->shape[i] == stored[i];
    if (!same) {
        describe_shape(have, sizeof have, tensor->shape, tensor->rank);
        describe_shape(want, sizeof want, stored, rank);
        bool is_short = rank == 3 && tensor->rank == 3 && tensor->shape[1] < stored[1] &&
                        stored[1] == (size_t)m->config->max_position_embeddings;
        add_problem(m, "shape", SB_CORRUPT, "%s: tensor \"%s\" has shape %s, but the config asks for %s%s",
                    file_of(tensor), tensor->name, have, want,
                    is_short ? ": its rows end before \"max_position_embeddings\"" : "");
        return false;
    }
    if (!sb_is_float(tensor->dtype))
        add_problem(m, "dtype", SB_UNSUPPORTED, "%s: tensor \"%s\" has dtype %s; weights must be f32, f16, bf16 or f64",
                    file_of(tensor), tensor->name, tensor->stored_dtype);
    return sb_is_float(tensor->dtype);
}

static struct sb_param make_param(const struct sb_tensor *tensor, const size_t shape[2], int rank, bool is_transposed)
{
    size_t rows = rank == 2 ? shape[0] : 1, columns = rank == 2 ? shape[1] : shape[0];
    return (struct sb_param){
        .data = tensor->data,
        .dtype = tensor->dtype,
        .rows = rows,
        .columns = columns,
        .stride_row = is_transposed ? 1 : columns,
        .stride_column = is_transposed ? rows : 1,
    };
}

/* Finds one parameter. False if no tensor has any of its names. */
static bool match_one(struct matcher *m, enum sb_param_role role, int layer)
{
    size_t shape[2];
    bool is_tensorflow;
    int rank = sb_param_shape(shape, m->config, role);
    const struct sb_tensor *tensor = sb_param_find(m->checkpoint, role, layer, &is_tensorflow);
    if (!tensor)
        return false;
    bool is_transposed = is_tensorflow && sb_param_info(role)->is_kernel;
    if (!fits(m, tensor, role, is_transposed)) {
        *use_of(m, tensor) = SB_TENSOR_MISFIT;
        return true;
    }
    size_t index = sb_match_index(m->match, role, layer);
    m->match->params[index] = make_param(tensor, shape, rank, is_transposed);
    m->match->tensors[index] = tensor;
    *use_of(m, tensor) = SB_TENSOR_USED;
    return true;
}

/* What a missing tensor often means. */
static const char *hint(const struct sb_config *config, enum sb_param_role role)
{
    bool is_roformer = strcmp(config->model_type, "roformer") == 0;
    if (role == SB_POSITION_EMBEDDING)
        return "; a RoFormer has none, but its config must say \"model_type\": \"roformer\"";
    if (role == SB_EMBEDDING_NORM_BETA && is_roformer)
        return "; a RoFormer-V2 has none, but is not supported";
    return "";
}

static void report_missing(struct matcher *m, enum sb_param_role role, int layer)
{
    char name[SB_MAX_PARAM_NAME];
    sb_param_name(name, m->config, role, layer);
    add_problem(m, "missing", SB_CORRUPT, "%s: tensor \"%s\" is missing%s", m->dir, name, hint(m->config, role));
}

/* A head is there as a whole or not at all. */
static void match_head(struct matcher *m, enum sb_param_role first, enum sb_param_role last)
{
    bool found[SB_PARAM_ROLES], any = false;
    for (int role = (int)first; role <= (int)last; role++) {
        found[role] = match_one(m, (enum sb_param_role)role, 0);
        any = any || found[role];
    }
    for (int role = (int)first; role <= (int)last && any; role++)
        if (!found[role])
            report_missing(m, (enum sb_param_role)role, 0);
}

/* Tensors that are no part of the model, but that its files commonly hold. */
static bool is_ignored(const char *name)
{
    static const char *const exact[] = {"global_step", "beta1_power", "beta2_power", "_CHECKPOINTABLE_OBJECT_GRAPH"};
    static const char *const heads[] = {"cls/seq_relationship/", "cls.seq_relationship.", "save_counter/"};
    static const char *const tails[] = {"/adam_m",
                                        "/adam_v",
                                        "/Adam",
                                        "/Adam_1",
                                        "embeddings.position_ids",
                                        "encoder.embed_positions.weight",
                                        "cls.predictions.decoder.bias"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (strcmp(name, exact[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (strncmp(name, heads[i], strlen(heads[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (length >= strlen(tails[i]) && strcmp(name + length - strlen(tails[i]), tails[i]) == 0)
            return true;
    return false;
}

/* The output layer is tied to the word embedding; a file may hold it once more, but not another one. */
static void match_decoder(struct matcher *m)
{
    const struct sb_tensor *decoder = sb_checkpoint_find(m->checkpoint, "cls.predictions.decoder.weight");
    const struct sb_tensor *words = m->match->tensors[sb_match_index(m->match, SB_WORD_EMBEDDING, 0)];
    if (!decoder || !words)
        return;
    bool same = decoder->dtype == words->dtype && decoder->rank == 2 && decoder->shape[0] == words->shape[0] &&
                decoder->shape[1] == words->shape[1];
    if (same && decoder->data && words->data && decoder->data != words->data)
        same = memcmp(decoder->data, words->data, words->count * sb_dtype_size(words->dtype)) == 0;
    *use_of(m, decoder) = same ? SB_TENSOR_TIED : SB_TENSOR_MISFIT;
    if (!same)
        add_problem(m, "untied", SB_UNSUPPORTED,
                    "%s: \"%s\" differs from the word embedding \"%s\"; an output layer of its own is not supported",
                    file_of(decoder), decoder->name, words->name);
}

enum sb_status sb_match_parameters(struct sb_match *match, const struct sb_checkpoint *checkpoint,
                                   const struct sb_config *config, const char *dir, struct sb_error *error)
{
    struct matcher m = {.match = match, .checkpoint = checkpoint, .config = config, .dir = dir};
    size_t shape[2];
    *match = (struct sb_match){.layers = config->num_hidden_layers};
    size_t slots = (size_t)SB_PARAM_ROLES * (size_t)match->layers;
    match->params = calloc(slots, sizeof *match->params);
    match->tensors = calloc(slots, sizeof *match->tensors);
    match->uses = calloc(checkpoint->count + 1, sizeof *match->uses);
    if (!match->params || !match->tensors || !match->uses)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the parameters of %s", dir);
    for (int role = 0; role < SB_PARAM_ROLES; role++) {
        const struct sb_param_info *info = sb_param_info((enum sb_param_role)role);
        if (info->is_optional || sb_param_shape(shape, config, (enum sb_param_role)role) == 0)
            continue;
        for (int layer = 0; layer < (info->per_layer ? match->layers : 1); layer++)
            if (!match_one(&m, (enum sb_param_role)role, layer))
                report_missing(&m, (enum sb_param_role)role, layer);
    }
    match_head(&m, SB_POOLER_KERNEL, SB_POOLER_BIAS);
    match_head(&m, SB_MLM_KERNEL, SB_MLM_OUTPUT_BIAS);
    match_decoder(&m);
    for (size_t i = 0; i < checkpoint->count; i++)
        if (match->uses[i] == SB_TENSOR_UNKNOWN && is_ignored(checkpoint->tensors[i].name))
            match->uses[i] = SB_TENSOR_IGNORED;
    return m.out_of_memory ? sb_fail(error, SB_NO_MEMORY, "no memory for the problems of %s", dir) : SB_OK;
}

void sb_match_free(struct sb_match *match)
{
    free(match->params);
    free(match->tensors);
    free(match->uses);
    free(match->problems);
    *match = (struct sb_match){0};
}
