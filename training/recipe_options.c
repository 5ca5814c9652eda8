/*
 * A resolved recipe in the terms of the parts of the trainer.
 */
#include "training/recipe_impl.h"

#include <math.h>
#include <string.h>

struct sb_loss_options sb_recipe_loss_options(const struct sb_recipe_objective *o,
                                              struct sb_loss_cut cuts[SB_LOSS_MAX_CUTS])
{
    struct sb_loss_options options = sb_loss_defaults(sb_recipe_loss_class(o));
    options.scale = o->scale;
    options.margin = o->margin;
    options.distance = strcmp(o->distance, "euclidean") == 0 ? SB_LOSS_EUCLIDEAN : SB_LOSS_COSINE;
    options.classes = o->classes;
    for (size_t i = 0; i < o->dimensions.count; i++)
        cuts[i] = (struct sb_loss_cut){
            .dimensions = (size_t)o->dimensions.items[i],
            .weight = o->dimension_weights.count ? o->dimension_weights.items[i] : 1,
        };
    options.cuts = o->dimensions.count ? cuts : NULL;
    options.cut_count = o->dimensions.count;
    return options;
}

/* Does one of the losses of these rows need this? */
static bool rows_need(const struct sb_recipe *recipe, size_t objective, unsigned needs)
{
    for (size_t i = objective; i < recipe->objectives.count && sb_recipe_rows_of(recipe, i) == objective; i++) {
        const struct sb_loss_class *class = sb_recipe_loss_class(&recipe->objectives.items[i]);
        if (class && class->needs & needs)
            return true;
    }
    return false;
}

/* Is a teacher all that these rows are compared with? Then a lone text needs no partner. */
static bool only_distils(const struct sb_recipe *recipe, size_t objective)
{
    for (size_t i = objective; i < recipe->objectives.count && sb_recipe_rows_of(recipe, i) == objective; i++) {
        const struct sb_loss_class *class = sb_recipe_loss_class(&recipe->objectives.items[i]);
        if (!class || !(class->needs & SB_LOSS_NEEDS_TEACHER))
            return false;
    }
    return true;
}

struct sb_batch_options sb_recipe_batch_options(const struct sb_recipe *recipe, size_t objective)
{
    const struct sb_recipe_objective *o = &recipe->objectives.items[objective];
    const struct sb_recipe_noise *n = &o->noise;
    struct sb_batch_options b = sb_batch_defaults(sb_objective_kind_find(o->name)->rows);
    const char *exposure = recipe->exposure_bias.method;
    bool from_vocabulary = strcmp(exposure, "vocabulary") == 0,
         replaces = from_vocabulary || strcmp(exposure, "random") == 0;
    b.examples = o->batch_size;
    b.window = o->window;
    b.seed = recipe->seed;
    b.stream = objective;
    b.text_characters = o->text_characters;
    b.max_length = o->max_length;
    b.pair_rule = (enum sb_pair_rule)recipe->pair_rule;
    b.want_negatives = o->hard_negatives;
    b.lone_once = only_distils(recipe, objective);
    b.binary_scores = rows_need(recipe, objective, SB_LOSS_NEEDS_LABELS);
    b.source_probability = n->source;
    b.mask.probability = n->mask;
    b.mask.mask = n->mask_share;
    b.mask.random = n->random_share;
    b.mask.unit = b.denoise.unit = n->words ? SB_UNIT_WORD : (enum sb_noise_unit)n->unit;
    b.words = n->words;
    b.denoise.mask = n->mask;
    b.denoise.erase = n->erase;
    b.denoise.replace = n->replace;
    b.denoise.permute = n->permute;
    b.denoise.distance = n->distance;
    b.denoise.infill = n->infill;
    b.replace_row = replaces ? recipe->exposure_bias.row_probability : 0;
    b.replace_token = replaces ? recipe->exposure_bias.probability : 0;
    b.replace_from_vocabulary = from_vocabulary;
    return b;
}

/* Is every pair taken for two texts of one meaning? Then nothing else may be read. */
static bool takes_positives(const struct sb_recipe *recipe, size_t objective)
{
    enum sb_rows rows = sb_objective_kind_find(recipe->objectives.items[objective].name)->rows;
    if (rows != SB_ROWS_SENTENCES)
        return rows == SB_ROWS_SEQ2SEQ;
    for (size_t i = objective; i < recipe->objectives.count && sb_recipe_rows_of(recipe, i) == objective; i++) {
        const struct sb_loss_class *class = sb_recipe_loss_class(&recipe->objectives.items[i]);
        if ((class->takes == SB_LOSS_ROWS || class->takes == SB_LOSS_PAIRS_AND_NEGATIVES) &&
            !(class->needs & SB_LOSS_NEEDS_TEACHER))
            return true;
    }
    return false;
}

struct sb_data_options sb_recipe_data_options(const struct sb_recipe *recipe, size_t objective)
{
    struct sb_data_options d = sb_data_defaults();
    d.bad_lines_max = recipe->bad_lines.max_lines;
    d.bad_share_max = recipe->bad_lines.max_share;
    d.positives_only = takes_positives(recipe, objective);
    return d;
}

struct sb_schedule sb_recipe_schedule(const struct sb_recipe *recipe, uint64_t steps)
{
    static const struct {
        const char *name;
        enum sb_schedule_kind kind;
    } kinds[] = {{"constant", SB_SCHEDULE_CONSTANT},
                 {"linear", SB_SCHEDULE_LINEAR},
                 {"cosine", SB_SCHEDULE_COSINE},
                 {"inverse_root", SB_SCHEDULE_INVERSE_ROOT}};
    double warmup = recipe->schedule.warmup;
    struct sb_schedule s = {
        .peak = recipe->learning_rate,
        .steps = steps,
        .warmup = (uint64_t)(warmup < 1 ? warmup * (double)steps : warmup),
        .floor = recipe->schedule.floor,
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, recipe->schedule.name) == 0)
            s.kind = kinds[i].kind;
    return s;
}

struct sb_optimizer_options sb_recipe_optimizer_options(const struct sb_recipe *recipe, const char **exclusions)
{
    struct sb_optimizer_options o;
    if (sb_optimizer_options_named(&o, recipe->optimizer.name, NULL) != SB_OK)
        o = sb_optimizer_defaults(SB_OPTIMIZER_ADAMW); /* sb_recipe_resolve saw that it is a name */
    o.beta1 = recipe->optimizer.beta1;
    o.beta2 = recipe->optimizer.beta2;
    o.epsilon = recipe->optimizer.epsilon;
    o.weight_decay = recipe->optimizer.weight_decay;
    o.clip = recipe->optimizer.clip;
    o.scale_by_parameter = recipe->optimizer.scale_by_parameter;
    o.relative_step = recipe->optimizer.relative_step;
    const struct sb_recipe_texts *list = &recipe->optimizer.exclusions;
    for (size_t i = 0; i < list->count; i++)
        exclusions[i] = list->items[i];
    exclusions[list->count] = NULL;
    o.decay_exclusions = list->given ? exclusions : NULL;
    return o;
}

struct sb_adversary_options sb_recipe_adversary_options(const struct sb_recipe *recipe)
{
    enum sb_adversary_method method = SB_ADVERSARY_NONE;
    if (sb_adversary_named(&method, recipe->adversarial.method, NULL) != SB_OK)
        method = SB_ADVERSARY_NONE;
    return (struct sb_adversary_options){
        .method = method,
        .target = strcmp(recipe->adversarial.target, "occurrence") == 0 ? SB_ADVERSARY_OCCURRENCE : SB_ADVERSARY_MATRIX,
        .epsilon = recipe->adversarial.epsilon,
        .alpha = recipe->adversarial.alpha,
        .steps = (int)recipe->adversarial.steps,
        .sum = strcmp(recipe->adversarial.combine, "sum") == 0,
        .length = recipe->adversarial.length,
        .xi = recipe->adversarial.xi,
        .weight = recipe->adversarial.weight,
    };
}

struct sb_initialiser sb_recipe_initialiser(const struct sb_recipe *recipe)
{
    struct sb_initialiser i = {
        .std = recipe->initialise.std, .keep_std = recipe->initialise.keep_std, .seed = recipe->seed};
    if (sb_init_kind_named(&i.kind, recipe->initialise.method, NULL) != SB_OK)
        i.kind = SB_INIT_TRUNCATED_NORMAL;
    return i;
}
