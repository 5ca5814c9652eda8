/*
 * What a recipe's objectives are: which rows they want and which loss is taken of them, whether they go together, and
 * which ones suit a file when the recipe has none.
 */
#include "training/recipe_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct sb_objective_kind kinds[] = {
    {"seq2seq", SB_ROWS_SEQ2SEQ, NULL},
    {"masked_lm", SB_ROWS_MASKED_LM, NULL},
    {"causal_lm", SB_ROWS_CAUSAL_LM, NULL},
    {"denoising", SB_ROWS_DENOISING, NULL},
    {"in_batch", SB_ROWS_SENTENCES, "in_batch_similarity"},
    {"distil", SB_ROWS_SENTENCES, "distillation"},
    {"softmax", SB_ROWS_SENTENCES, "softmax"},
    {"cosent", SB_ROWS_SENTENCES, "cosent"},
    {"angle", SB_ROWS_SENTENCES, "angle"},
    {"multiple_negatives", SB_ROWS_SENTENCES, "multiple_negatives"},
    {"multiple_negatives_symmetric", SB_ROWS_SENTENCES, "multiple_negatives_symmetric"},
    {"multiple_negatives_gte", SB_ROWS_SENTENCES, "multiple_negatives_gte"},
    {"cosine", SB_ROWS_SENTENCES, "cosine_similarity"},
    {"contrastive", SB_ROWS_SENTENCES, "contrastive"},
    {"online_contrastive", SB_ROWS_SENTENCES, "online_contrastive"},
    {"triplet", SB_ROWS_SENTENCES, "triplet"},
};

const struct sb_objective_kind *sb_objective_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

const struct sb_loss_class *sb_recipe_loss_class(const struct sb_recipe_objective *objective)
{
    const char *loss = sb_objective_kind_find(objective->name)->loss;
    return loss ? sb_loss_find(loss, NULL) : NULL;
}

size_t sb_recipe_rows_of(const struct sb_recipe *recipe, size_t objective)
{
    while (objective > 0 && recipe->objectives.items[objective].data.count == 0)
        objective--;
    return objective;
}

/* ---- Which suit a file ---- */

static enum sb_status add_objective(struct sb_recipe *recipe, const char *name, struct sb_error *error)
{
    struct sb_recipe_objectives *list = &recipe->objectives;
    struct sb_recipe_objective *items = sb_list_grow(list->items, list->count, sizeof *items);
    if (!items)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the objective %s", name);
    list->items = items;
    items[list->count] = (struct sb_recipe_objective){0};
    sb_fields_default(sb_objective_fields, &items[list->count]);
    items[list->count++].name = name;
    return SB_OK;
}

static enum sb_status choose_objectives(struct sb_recipe *recipe, enum sb_data_kind kind, bool labelled, bool generates,
                                        struct sb_error *error)
{
    bool means_the_same = kind == SB_DATA_SYNONYMS || (kind == SB_DATA_PAIRS && !labelled);
    const char *first = kind == SB_DATA_PAIRS && labelled                                     ? "cosent"
                        : kind == SB_DATA_NLI                                                 ? "softmax"
                        : kind == SB_DATA_SENTENCES && generates                              ? "denoising"
                        : kind == SB_DATA_SENTENCES || kind == SB_DATA_TRIPLETS || !generates ? "multiple_negatives"
                                                                                              : "seq2seq";
    enum sb_status status = add_objective(recipe, first, error);
    if (status == SB_OK && means_the_same && generates)
        status = add_objective(recipe, "in_batch", error);
    if (status == SB_OK && kind == SB_DATA_TRIPLETS)
        recipe->objectives.items[0].hard_negatives = true;
    return status;
}

static enum sb_status copy_text(struct sb_recipe *recipe, const char **copy, const char *text, struct sb_error *error)
{
    struct sb_recipe_texts *list = &recipe->copies;
    *copy = NULL;
    if (!text)
        return SB_OK;
    const char **items = sb_list_grow(list->items, list->count, sizeof *items);
    list->items = items ? items : list->items;
    *copy = items ? strdup(text) : NULL;
    if (!*copy)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the name %s", text);
    list->items[list->count++] = *copy;
    return SB_OK;
}

static enum sb_status add_file(struct sb_recipe *recipe, struct sb_recipe_files *list, const struct sb_data_file *file,
                               struct sb_error *error)
{
    struct sb_data_file *items = sb_list_grow(list->items, list->count, sizeof *items), copy = *file;
    if (!items)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the name %s", file->path);
    list->items = items;
    enum sb_status status = copy_text(recipe, &copy.path, file->path, error);
    if (status == SB_OK)
        status = copy_text(recipe, &copy.columns, file->columns, error);
    if (status == SB_OK)
        items[list->count++] = copy;
    return status;
}

enum sb_status sb_recipe_train_on(struct sb_recipe *recipe, const struct sb_data_file *files, size_t count,
                                  bool generates, struct sb_error *error)
{
    enum sb_data_kind kind;
    bool labelled;
    enum sb_status status = SB_OK;
    if (count == 0)
        return SB_OK;
    if (recipe->objectives.count == 0) {
        status = sb_data_detect(&files[0], &kind, &labelled, error);
        if (status == SB_OK)
            status = choose_objectives(recipe, kind, labelled, generates, error);
    } else if (recipe->objectives.items[0].data.count > 0) {
        return sb_fail(error, SB_INVALID,
                       "the recipe's first objective has data of its own; train on that, or leave its "
                       "\"data\" out");
    }
    for (size_t i = 0; status == SB_OK && i < count; i++)
        status = add_file(recipe, &recipe->objectives.items[0].data, &files[i], error);
    return status;
}

/* ---- Do they go together ---- */

static enum sb_status check_rider(const struct sb_recipe *recipe, size_t i, const struct sb_loss_class *class,
                                  struct sb_error *error)
{
    const struct sb_recipe_objective *o = &recipe->objectives.items[i];
    const struct sb_recipe_objective *owner = &recipe->objectives.items[sb_recipe_rows_of(recipe, i)];
    enum sb_rows rows = sb_objective_kind_find(owner->name)->rows;
    if (!class)
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu]: %s needs rows of its own: give it \"data\"", i,
                       o->name);
    if (class->needs & SB_LOSS_NEEDS_TEACHER && rows != SB_ROWS_CAUSAL_LM) /* whose vectors have seen no text */
        return SB_OK;
    if (rows != SB_ROWS_SEQ2SEQ && rows != SB_ROWS_SENTENCES)
        return sb_fail(error, SB_INVALID,
                       "recipe.objectives[%zu]: %s needs pairs, and the rows of %s are none: give it "
                       "\"data\"",
                       i, o->name, owner->name);
    if (rows == SB_ROWS_SEQ2SEQ && class->needs & (SB_LOSS_NEEDS_SCORES | SB_LOSS_NEEDS_LABELS | SB_LOSS_NEEDS_CLASSES))
        return sb_fail(error, SB_INVALID,
                       "recipe.objectives[%zu]: %s needs labels, and seq2seq takes pairs of one meaning "
                       "only: give it \"data\"",
                       i, o->name);
    if (class->takes == SB_LOSS_TRIPLETS && (rows != SB_ROWS_SENTENCES || !owner->hard_negatives))
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu]: triplet needs triplets: give it \"data\"", i);
    return SB_OK;
}

static enum sb_status check_objective(const struct sb_recipe *recipe, size_t i, struct sb_error *error)
{
    const struct sb_recipe_objective *o = &recipe->objectives.items[i];
    const struct sb_loss_class *class = sb_recipe_loss_class(o);
    const struct sb_recipe_noise *n = &o->noise;
    if (i == 0 && o->data.count == 0)
        return sb_fail(error, SB_INVALID, "recipe.objectives[0] has no \"data\", and no training file was given");
    if (o->data.count == 0) {
        enum sb_status status = check_rider(recipe, i, class, error);
        if (status != SB_OK)
            return status;
    }
    if (class && class->needs & SB_LOSS_NEEDS_TEACHER && !recipe->teacher)
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu]: %s needs a \"teacher\", a model directory", i,
                       o->name);
    if (o->dimensions.count > 0 && (!class || strcmp(o->name, "softmax") == 0))
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu].dimensions: %s has none", i, o->name);
    if (o->dimension_weights.count > 0 && o->dimension_weights.count != o->dimensions.count)
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu].dimension_weights: %zu for %zu dimensions", i,
                       o->dimension_weights.count, o->dimensions.count);
    if (n->mask_share + n->random_share > 1 + 1e-9)
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu].noise: mask_share and random_share are more than 1",
                       i);
    if (n->mask + n->erase + n->replace > 1 + 1e-9 && strcmp(o->name, "denoising") == 0)
        return sb_fail(error, SB_INVALID, "recipe.objectives[%zu].noise: mask, erase and replace are more than 1", i);
    return SB_OK;
}

/* ---- What was left to be worked out ---- */

static void complete_count(uint64_t *value, uint64_t otherwise)
{
    if (*value == SB_RECIPE_AUTO)
        *value = otherwise;
}

static void complete_objective(const struct sb_recipe *recipe, struct sb_recipe_objective *o)
{
    const struct sb_loss_class *class = sb_recipe_loss_class(o);
    bool language_model = !class && strcmp(o->name, "seq2seq") != 0;
    complete_count(&o->batch_size, recipe->batch_size);
    complete_count(&o->max_length, recipe->max_length);
    complete_count(&o->text_characters, language_model ? 0 : recipe->text_characters);
    complete_count(&o->window, recipe->window);
    if (class && class->takes == SB_LOSS_TRIPLETS)
        o->hard_negatives = true;
    if (!class)
        return;
    struct sb_loss_options standard = sb_loss_defaults(class);
    if (isnan(o->scale))
        o->scale = standard.scale;
    if (isnan(o->margin))
        o->margin = standard.margin;
    if (!o->distance)
        o->distance = standard.distance == SB_LOSS_EUCLIDEAN ? "euclidean" : "cosine";
}

static void complete_number(double *value, double otherwise)
{
    if (isnan(*value))
        *value = otherwise;
}

static enum sb_status complete_optimizer(struct sb_recipe *recipe, struct sb_error *error)
{
    struct sb_optimizer_options standard;
    enum sb_status status = sb_optimizer_options_named(&standard, recipe->optimizer.name, error);
    if (status != SB_OK)
        return status;
    complete_number(&recipe->optimizer.beta1, standard.beta1);
    complete_number(&recipe->optimizer.beta2, standard.beta2);
    complete_number(&recipe->optimizer.epsilon, standard.epsilon);
    complete_number(&recipe->optimizer.weight_decay, standard.weight_decay);
    complete_number(&recipe->optimizer.clip, standard.clip);
    return SB_OK;
}

static enum sb_status complete_adversary(struct sb_recipe *recipe, struct sb_error *error)
{
    enum sb_adversary_method method;
    enum sb_status status = sb_adversary_named(&method, recipe->adversarial.method, error);
    if (status != SB_OK)
        return status;
    complete_number(&recipe->adversarial.epsilon, sb_adversary_defaults(method).epsilon);
    if (!recipe->adversarial.target)
        recipe->adversarial.target = method == SB_ADVERSARY_PENALTY ? "occurrence" : "matrix";
    return SB_OK;
}

enum sb_status sb_recipe_resolve(struct sb_recipe *recipe, struct sb_error *error)
{
    struct sb_recipe_objectives *list = &recipe->objectives;
    if (list->count == 0)
        return sb_fail(error, SB_INVALID, "the recipe has no \"objectives\", and no training file was given");
    complete_count(&recipe->max_length, 2 * recipe->maxlen);
    complete_count(&recipe->text_characters, recipe->maxlen - 2);
    if (!recipe->gate.metric)
        recipe->gate.metric = recipe->evaluation.metric;
    enum sb_status status = complete_optimizer(recipe, error);
    if (status == SB_OK)
        status = complete_adversary(recipe, error);
    for (size_t i = 0; i < list->count; i++)
        complete_objective(recipe, &list->items[i]);
    if (status == SB_OK && recipe->whiten.sentences <= recipe->whiten.dimensions)
        status = sb_fail(error, SB_INVALID, "recipe.whiten.sentences is %ju; more than the %ju dimensions are needed",
                         (uintmax_t)recipe->whiten.sentences, (uintmax_t)recipe->whiten.dimensions);
    for (size_t i = 0; status == SB_OK && i < list->count; i++)
        status = check_objective(recipe, i, error);
    return status;
}
