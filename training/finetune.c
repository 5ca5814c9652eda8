#include "training/finetune.h"

#include "base/file.h"
#include "base/hash.h"
#include "training/whitened_model.h"
#include "weights/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The data of one objective that has some. */
struct material {
    struct sb_data *data;
    size_t objective, files;
};

struct sb_finetune {
    const struct sb_recipe *recipe;
    struct sb_pool *pool;
    struct sb_parallel *parallel;
    struct sb_network *network;
    struct sb_pass *pass;
    struct sb_teacher *teacher;
    struct sb_dense_head *dense;
    struct sb_pool_norm *norm;
    struct material materials[SB_TRAINER_LESSONS];
    struct sb_batches *batches[SB_TRAINER_LESSONS]; /* until their lesson takes them */
    size_t material_count;
    struct sb_trainer_setup setup;
    struct sb_trainer *trainer;
    uint64_t steps_in_epoch;
    size_t pass_bytes;
    char *identity;
    const char *exclusions[SB_RECIPE_MAX_EXCLUSIONS + 1];
};

static const struct sb_recipe_objective *objective_at(const struct sb_finetune *f, size_t i)
{
    return &f->recipe->objectives.items[i];
}

/* ---- The network ---- */

static bool learns_labels(const struct sb_recipe *recipe)
{
    for (size_t i = 0; i < recipe->objectives.count; i++)
        if (!sb_recipe_loss_class(&recipe->objectives.items[i]))
            return true;
    return false;
}

static size_t classes_of(const struct sb_recipe *recipe)
{
    for (size_t i = 0; i < recipe->objectives.count; i++) {
        const struct sb_loss_class *class = sb_recipe_loss_class(&recipe->objectives.items[i]);
        if (class && class->needs & SB_LOSS_NEEDS_CLASSES)
            return (size_t)recipe->objectives.items[i].classes;
    }
    return 0;
}

/* A new pooler begins as the identity: vectors are at first what they were without one. */
static void begin_pooler(struct sb_network *network)
{
    const struct sb_parameter *kernel = sb_parameters_find(sb_network_parameters(network), "bert.pooler.dense.weight");
    float *values = sb_network_values(network);
    for (size_t i = 0; kernel && kernel->is_new && i < kernel->rows; i++)
        for (size_t j = 0; j < kernel->columns; j++)
            values[kernel->offset + i * kernel->columns + j] = i == j;
}

static enum sb_status open_network(struct sb_finetune *f, const char *model, struct sb_error *error)
{
    const struct sb_recipe *r = f->recipe;
    struct sb_config config;
    struct sb_extra_parameter extras[5];
    struct sb_network_options options = {.needs_mlm = learns_labels(r), .extras = extras};
    bool norm = strcmp(r->pool_norm, "batch") == 0;
    enum sb_status status = sb_config_read(&config, model, error);
    if (status == SB_OK)
        status = sb_dense_head_open(&f->dense, model, error);
    if (status != SB_OK)
        return status;
    size_t hidden = (size_t)config.hidden_size, classes = classes_of(r);
    size_t dimensions = f->dense ? sb_dense_head_dimensions(f->dense) : hidden;
    if (classes)
        extras[options.extra_count++] = (struct sb_extra_parameter){SB_PAIR_HEAD_TENSOR, classes, 3 * dimensions, true};
    if (f->dense) {
        options.without_dense = true;
        sb_dense_head_list(f->dense, extras + options.extra_count);
        options.extra_count += 2;
    }
    if (norm) {
        options.needs_pooler = true;
        extras[options.extra_count++] = (struct sb_extra_parameter){SB_POOL_NORM_GAMMA, 0, hidden, false};
        extras[options.extra_count++] = (struct sb_extra_parameter){SB_POOL_NORM_BETA, 0, hidden, false};
    }
    struct sb_initialiser initialiser = sb_recipe_initialiser(r);
    status = sb_network_open(&f->network, model, &options, error);
    if (status == SB_OK)
        status = sb_initialise_new(sb_network_values(f->network), sb_network_parameters(f->network), &initialiser, error);
    if (status == SB_OK)
        begin_pooler(f->network);
    if (status == SB_OK && f->dense)
        sb_dense_head_begin(f->dense, f->network);
    if (status == SB_OK && norm && (config.pooling != SB_POOL_POOLER || config.pooler_activation != SB_LINEAR))
        status = sb_fail(error, SB_UNSUPPORTED, "pool_norm: only a linear pooler can take it in; %s has another, or pools "
                                                "as its modules.json says",
                         model);
    if (status == SB_OK && r->whiten.dimensions && f->dense)
        return sb_fail(error, SB_UNSUPPORTED, "whiten: %s has a Dense module behind its pooling already", model);
    if (status == SB_OK && r->whiten.dimensions)
        status = sb_whiten_check(sb_network_config(f->network), r->whiten.dimensions, error);
    return status;
}

/* ---- Data ---- */

static enum sb_status open_material(struct sb_finetune *f, size_t objective, struct sb_error *error)
{
    const struct sb_recipe_objective *o = objective_at(f, objective);
    if (f->material_count == SB_TRAINER_LESSONS)
        return sb_fail(error, SB_LIMIT, "recipe: more than %d objectives have data", SB_TRAINER_LESSONS);
    struct material *m = &f->materials[f->material_count++];
    *m = (struct material){.objective = objective, .files = o->data.count};
    struct sb_data_options options = sb_recipe_data_options(f->recipe, objective);
    enum sb_status status = sb_data_open(&m->data, o->data.items, o->data.count, &options, error);
    if (status != SB_OK)
        return status;
    struct sb_batch_options batch = sb_recipe_batch_options(f->recipe, objective);
    return sb_batches_new(&f->batches[f->material_count - 1], m->data, sb_network_tokenizer(f->network), &batch, error);
}

static enum sb_status open_materials(struct sb_finetune *f, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < f->recipe->objectives.count && status == SB_OK; i++)
        if (sb_recipe_rows_of(f->recipe, i) == i)
            status = open_material(f, i, error);
    return status;
}

static bool has_only_nli(const struct sb_finetune *f, size_t objective)
{
    for (size_t i = 0; i < f->material_count; i++)
        if (f->materials[i].objective == objective)
            return sb_data_kinds(f->materials[i].data) == 1u << SB_DATA_NLI;
    return false;
}

/* What the softmax loss teaches: same or different where pairs are among its data, else NLI. Whitened vectors are others than
   those that the head has learned from. */
static void name_pair_head(struct sb_finetune *f)
{
    enum sb_pair_head head = SB_PAIR_HEAD_NONE;
    for (size_t i = 0; i < f->recipe->objectives.count && f->recipe->whiten.dimensions == 0; i++) {
        const struct sb_loss_class *class = sb_recipe_loss_class(objective_at(f, i));
        if (class && class->needs & SB_LOSS_NEEDS_CLASSES && head != SB_PAIR_HEAD_PAIRS)
            head = has_only_nli(f, sb_recipe_rows_of(f->recipe, i)) ? SB_PAIR_HEAD_NLI : SB_PAIR_HEAD_PAIRS;
    }
    sb_network_set_pair_head(f->network, head);
}

/* Better now than after the training. */
static enum sb_status check_whitening(const struct sb_finetune *f, struct sb_error *error)
{
    size_t dimensions = f->recipe->whiten.dimensions, texts = 2 * sb_finetune_examples(f);
    if (dimensions && texts <= dimensions)
        return sb_fail(error, SB_INVALID, "recipe.whiten.dimensions %zu: the training data give %zu sentences at most, more "
                                          "than dimensions are needed",
                       dimensions, texts);
    return SB_OK;
}

/* ---- The pass ---- */

static enum sb_status open_pass(struct sb_finetune *f, struct sb_error *error)
{
    const struct sb_recipe *r = f->recipe;
    struct sb_pass_options options = {.dtype = strcmp(r->dtype, "bf16") == 0 ? SB_PACKED_BF16 : SB_PACKED_F32,
                                      .pool = f->pool,
                                      .recompute = r->recompute,
                                      .keeps_reference = strcmp(r->adversarial.method, "vat") == 0};
    for (size_t i = 0; i < f->material_count; i++) {
        struct sb_batch_options batch = sb_recipe_batch_options(r, f->materials[i].objective);
        size_t rows = sb_batches_max_rows(f->batches[i]), tokens = rows * batch.max_length;
        options.max_rows = rows > options.max_rows ? rows : options.max_rows;
        options.max_tokens = tokens > options.max_tokens ? tokens : options.max_tokens;
        if (batch.max_length > (size_t)sb_network_config(f->network)->max_position_embeddings)
            return sb_fail(error, SB_INVALID, "recipe: max_length %zu; the model's rows have at most %d tokens",
                           batch.max_length, sb_network_config(f->network)->max_position_embeddings);
    }
    f->setup.max_tokens = options.max_tokens;
    enum sb_status status = sb_pass_new(&f->pass, f->network, &options, error);
    if (status == SB_OK && strcmp(r->pool_norm, "batch") == 0)
        status = sb_pool_norm_new(&f->norm, (size_t)sb_network_dimensions(f->network), options.max_rows, error);
    if (status == SB_OK && f->dense)
        status = sb_dense_head_reserve(f->dense, options.max_rows, error);
    if (status == SB_OK && r->teacher)
        status = sb_teacher_open(&f->teacher, r->teacher, f->pool, error);
    return status;
}

/* ---- Lessons ---- */

static void add_objective(struct sb_lesson_setup *setup, const struct sb_recipe_objective *o,
                          struct sb_loss_cut cuts[SB_LOSS_MAX_CUTS])
{
    const struct sb_loss_class *class = sb_recipe_loss_class(o);
    if (!class) {
        setup->name = o->name;
        setup->label_weight = o->weight;
        return;
    }
    setup->losses[setup->loss_count++] =
        (struct sb_lesson_loss){class, sb_recipe_loss_options(o, cuts), o->weight};
}

static enum sb_status make_lesson(struct sb_finetune *f, size_t index, struct sb_error *error)
{
    const struct sb_recipe *r = f->recipe;
    struct sb_loss_cut cuts[SB_LESSON_LOSSES][SB_LOSS_MAX_CUTS];
    struct sb_lesson_setup setup = {.network = f->network,
                                    .pass = f->pass,
                                    .kernels = sb_kernels_choose(NULL, NULL),
                                    .parallel = f->parallel,
                                    .teacher = f->teacher,
                                    .dense = f->dense,
                                    .norm = f->norm,
                                    .hidden_dropout = (float)r->dropout.hidden,
                                    .attention_dropout = (float)r->dropout.attention,
                                    .seed = r->seed};
    if (strcmp(r->exposure_bias.method, "scheduled") == 0) {
        setup.scheduled_probability = r->exposure_bias.probability;
        setup.schedule = (enum sb_probability_schedule)r->exposure_bias.schedule;
        setup.schedule_steps = r->exposure_bias.schedule_steps ? r->exposure_bias.schedule_steps : f->setup.steps;
    }
    for (size_t i = 0; i < r->objectives.count; i++) {
        if (sb_recipe_rows_of(r, i) != f->materials[index].objective)
            continue;
        if (setup.loss_count == SB_LESSON_LOSSES)
            return sb_fail(error, SB_LIMIT, "recipe: more than %d losses on the same rows", SB_LESSON_LOSSES);
        add_objective(&setup, objective_at(f, i), cuts[setup.loss_count]);
    }
    struct sb_batches *batches = f->batches[index];
    f->batches[index] = NULL; /* the lesson takes them, also when it fails */
    enum sb_status status = sb_lesson_new(&f->setup.lessons[index], &setup, batches, error);
    f->setup.lesson_count += status == SB_OK;
    return status;
}

/* Whole batches per step, rounded up: the last step of an epoch may reach into the next. */
static void count_steps(struct sb_finetune *f)
{
    const struct sb_recipe *r = f->recipe;
    uint64_t batches = sb_batches_in_epoch(f->batches[0]);
    f->steps_in_epoch = (batches + r->accumulation - 1) / r->accumulation;
    f->setup.steps = r->steps ? r->steps : (uint64_t)ceil(r->epochs * (double)batches / (double)r->accumulation);
    f->setup.steps = f->setup.steps ? f->setup.steps : 1;
}

static enum sb_status hash_words(struct sb_hash *hash, const struct sb_recipe *recipe, struct sb_error *error)
{
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < recipe->objectives.count && status == SB_OK; i++) {
        const char *path = recipe->objectives.items[i].noise.words;
        char *text = NULL;
        size_t size = 0;
        if (!path)
            continue;
        status = sb_read_file(&text, &size, path, SB_WORD_LIST_MAX_BYTES, error);
        if (status == SB_OK)
            sb_hash_bytes(hash, text, size);
        free(text);
    }
    return status;
}

/* What numbers depend on: the recipe without the rest of it, the data, lists of words and the model. */
static enum sb_status make_identity(struct sb_finetune *f, const char *model, struct sb_error *error)
{
    struct sb_hash hash;
    struct sb_weights *weights = NULL;
    struct sb_buffer recipe = {0};
    char digits[SB_HASH_DIGITS + 1];
    enum sb_status status = sb_weights_open(&weights, model, error);
    if (status != SB_OK)
        return status;
    struct sb_recipe part = *f->recipe;
    part.threads = part.checkpoint.every = part.evaluation.every = part.evaluation.files.count = 0;
    part.checkpoint.keep = 1;
    part.gate.min_change = 0;
    part.whiten.dimensions = 0;
    part.whiten.sentences = 2;
    sb_recipe_write_json(&part, &recipe);
    sb_hash_begin(&hash);
    sb_hash_bytes(&hash, recipe.data, recipe.length);
    for (size_t i = 0; i < f->material_count; i++) {
        uint64_t data = sb_data_hash(f->materials[i].data);
        sb_hash_bytes(&hash, &data, sizeof data);
    }
    status = hash_words(&hash, f->recipe, error);
    sb_hash_bytes(&hash, sb_weights_hash(weights), strlen(sb_weights_hash(weights)));
    sb_hash_end(&hash, digits);
    bool failed = recipe.failed;
    sb_weights_close(weights);
    sb_buffer_free(&recipe);
    if (status != SB_OK)
        return status;
    f->identity = failed ? NULL : strdup(digits);
    return f->identity ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory");
}

static enum sb_status make_trainer(struct sb_finetune *f, struct sb_error *error)
{
    const struct sb_recipe *r = f->recipe;
    f->setup.network = f->network;
    f->setup.pool = f->pool;
    f->setup.parallel = f->parallel;
    f->setup.norm = f->norm;
    f->setup.optimizer = sb_recipe_optimizer_options(r, f->exclusions);
    f->setup.schedule = sb_recipe_schedule(r, f->setup.steps);
    f->setup.accumulation = r->accumulation;
    f->setup.clip_norm = r->clip_norm;
    f->setup.adversary = sb_recipe_adversary_options(r);
    f->setup.average_momentum = r->average.decay;
    f->setup.lookahead = (struct sb_lookahead_options){.interval = r->lookahead.k, .rate = r->lookahead.alpha};
    f->setup.identity = f->identity;
    return sb_trainer_new(&f->trainer, &f->setup, error);
}

enum sb_status sb_finetune_new(struct sb_finetune **run, const struct sb_recipe *recipe, const char *model,
                               struct sb_pool *pool, struct sb_parallel *parallel, struct sb_error *error)
{
    *run = NULL;
    struct sb_finetune *f = calloc(1, sizeof *f);
    if (!f)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    f->recipe = recipe;
    f->pool = pool;
    f->parallel = parallel;
    enum sb_status status = open_network(f, model, error);
    if (status == SB_OK)
        status = open_materials(f, error);
    if (status == SB_OK)
        name_pair_head(f);
    if (status == SB_OK)
        status = check_whitening(f, error);
    if (status == SB_OK)
        status = open_pass(f, error);
    if (status == SB_OK)
        status = make_identity(f, model, error);
    if (status == SB_OK)
        count_steps(f);
    for (size_t i = 0; i < f->material_count && status == SB_OK; i++)
        status = make_lesson(f, i, error);
    if (status == SB_OK)
        status = make_trainer(f, error);
    if (status != SB_OK) {
        sb_finetune_free(f);
        return status;
    }
    *run = f;
    return SB_OK;
}

void sb_finetune_free(struct sb_finetune *run)
{
    if (!run)
        return;
    sb_trainer_free(run->trainer);
    for (size_t i = 0; i < SB_TRAINER_LESSONS; i++) {
        sb_lesson_free(run->setup.lessons[i]);
        sb_batches_free(run->batches[i]);
        sb_data_close(run->materials[i].data);
    }
    sb_teacher_free(run->teacher);
    sb_dense_head_free(run->dense);
    sb_pool_norm_free(run->norm);
    sb_pass_free(run->pass);
    sb_network_free(run->network);
    free(run->identity);
    free(run);
}

struct sb_trainer *sb_finetune_trainer(struct sb_finetune *run)
{
    return run->trainer;
}

uint64_t sb_finetune_steps(const struct sb_finetune *run)
{
    return run->setup.steps;
}

uint64_t sb_finetune_steps_in_epoch(const struct sb_finetune *run)
{
    return run->steps_in_epoch;
}

const struct sb_data_report *sb_finetune_data(const struct sb_finetune *run, size_t i)
{
    for (size_t m = 0; m < run->material_count; i -= run->materials[m++].files)
        if (i < run->materials[m].files)
            return sb_data_report(run->materials[m].data, i);
    return NULL;
}

size_t sb_finetune_examples(const struct sb_finetune *run)
{
    size_t examples = 0;
    for (size_t i = 0; i < run->material_count; i++)
        examples += sb_data_count(run->materials[i].data);
    return examples;
}

size_t sb_finetune_bytes(const struct sb_finetune *run)
{
    size_t parameters = sb_network_parameters(run->network)->size * sizeof(float);
    return 2 * parameters + sb_trainer_optimizer_bytes(run->trainer) + sb_pass_bytes(run->pass);
}

enum sb_status sb_finetune_save(struct sb_finetune *run, const char *dir, enum sb_dtype dtype, struct sb_error *error)
{
    const struct sb_parameters *parameters = sb_network_parameters(run->network);
    float *weights = calloc(parameters->size, sizeof *weights);
    if (!weights)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to save %zu parameters", dir, parameters->size);
    sb_trainer_read_weights(run->trainer, weights);
    if (run->norm) {
        const struct sb_parameter *kernel = sb_parameters_find(parameters, "bert.pooler.dense.weight"),
                                  *bias = sb_parameters_find(parameters, "bert.pooler.dense.bias"),
                                  *gamma = sb_parameters_find(parameters, SB_POOL_NORM_GAMMA),
                                  *beta = sb_parameters_find(parameters, SB_POOL_NORM_BETA);
        sb_pool_norm_fold(run->norm, weights + kernel->offset, weights + bias->offset, kernel->columns,
                          weights + gamma->offset, weights + beta->offset);
    }
    enum sb_status status = run->dense ? sb_dense_head_save(run->dense, dir, run->network, weights, error) : SB_OK;
    if (status == SB_OK)
        status = sb_network_save(run->network, weights, dtype, dir, error);
    free(weights);
    return status;
}

enum sb_status sb_finetune_whiten(struct sb_finetune *run, const char *dir, struct sb_error *error)
{
    const struct sb_recipe *r = run->recipe;
    const struct sb_data *data[SB_TRAINER_LESSONS];
    for (size_t i = 0; i < run->material_count; i++)
        data[i] = run->materials[i].data;
    const struct sb_whiten_options options = {.dimensions = r->whiten.dimensions,
                                              .sentences = r->whiten.sentences,
                                              .seed = r->seed,
                                              .text_characters = r->text_characters,
                                              .max_length = r->max_length};
    return sb_whiten_model(dir, data, run->material_count, &options, run->pool, error);
}
