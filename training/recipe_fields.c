/*
 * Every key of a recipe: type, default, bounds, help. docs/recipes.md holds this table as sb_recipe_write_table prints it.
 */
#include "training/recipe_impl.h"

#define AT(member) offsetof(struct sb_recipe, member)
#define OF_OBJECTIVE(member) offsetof(struct sb_recipe_objective, member)
/* A section has the base of what it stands in. */
#define OF_NOISE(member) (OF_OBJECTIVE(noise) + offsetof(struct sb_recipe_noise, member))
#define OF_FILE(member) offsetof(struct sb_recipe_file, member)

#define ANY 1e18 /* a bound that bounds nothing; whole numbers below it fit uint64_t */

#define INITIALISERS                                                                                                   \
    "zeros|ones|normal|truncated_normal|xavier_uniform|xavier_normal|he_uniform|he_normal|lecun_uniform|lecun_normal|" \
    "orthogonal"
#define METRICS "spearman|pearson|auc|accuracy|best_accuracy|recall_at_1|recall_at_10|mrr|nll"

static const struct sb_field schedule_fields[] = {
    {"name", SB_FIELD_NAME, AT(schedule.name), "linear", .choices = "constant|linear|cosine|inverse_root",
     .help = "how the learning rate goes on after the warm-up"},
    {"warmup", SB_FIELD_NUMBER, AT(schedule.warmup), "0.1", 0, ANY,
     .help = "steps in which it rises from 0; below 1: a share of all steps"},
    {"floor", SB_FIELD_NUMBER, AT(schedule.floor), "0", 0, 1, .help = "where it ends, as a share of the peak"},
    {0},
};

static const struct sb_field optimizer_fields[] = {
    {"name", SB_FIELD_NAME, AT(optimizer.name), "adamw", .choices = "adamw|adam|adam_keras|lamb|adafactor",
     .help = "adam: without weight decay; adam_keras: as the released SimBERT was trained"},
    {"beta1", SB_FIELD_NUMBER, AT(optimizer.beta1), NULL, 0, 0.999999,
     .help = "first moment; null: the optimizer's own, .9 (adafactor 0: none)"},
    {"beta2", SB_FIELD_NUMBER, AT(optimizer.beta2), NULL, 0, 0.999999999,
     .help = "second moment; null: .999 (adafactor 0: rising)"},
    {"epsilon", SB_FIELD_NUMBER, AT(optimizer.epsilon), NULL, 1e-40, 1,
     .help = "null: 1e-6 (adam_keras 1e-7, adafactor 1e-30)"},
    {"weight_decay", SB_FIELD_NUMBER, AT(optimizer.weight_decay), NULL, 0, 10,
     .help = "decoupled; null: .01 (adam, adam_keras and adafactor 0)"},
    {"exclusions", SB_FIELD_TEXTS, AT(optimizer.exclusions), NULL, 0, SB_RECIPE_MAX_EXCLUSIONS,
     .help = "parameters whose name contains one of these do not decay; null: biases and normalisation do not"},
    {"clip", SB_FIELD_NUMBER, AT(optimizer.clip), NULL, 0, 1e9,
     .help = "adafactor: largest root mean square of an update; null: 1"},
    {"scale_by_parameter", SB_FIELD_BOOL, AT(optimizer.scale_by_parameter), "true",
     .help = "adafactor: updates are relative to the size of the weights"},
    {"relative_step", SB_FIELD_BOOL, AT(optimizer.relative_step), "false",
     .help = "adafactor: the rate is multiplied by min(1 / sqrt(t), .01)"},
    {0},
};

static const struct sb_field dropout_fields[] = {
    {"hidden", SB_FIELD_NUMBER, AT(dropout.hidden), "0.1", 0, 0.99,
     .help = "of embeddings and of each sublayer's output"},
    {"attention", SB_FIELD_NUMBER, AT(dropout.attention), "0.1", 0, 0.99, .help = "of attention probabilities"},
    {0},
};

static const struct sb_field adversarial_fields[] = {
    {"method", SB_FIELD_NAME, AT(adversarial.method), "none", .choices = "none|fgm|fgsm|pgd|penalty|vat",
     .help = "gradients at inputs that were moved to where the loss is larger"},
    {"target", SB_FIELD_NAME, AT(adversarial.target), NULL, .choices = "matrix|occurrence",
     .help = "what is moved: the embedding matrix, or each token's embedding; null: matrix, for penalty occurrence"},
    {"epsilon", SB_FIELD_NUMBER, AT(adversarial.epsilon), NULL, 1e-12, 1e6,
     .help = "how far; penalty: its factor; null: .5 (fgsm .01, penalty .1)"},
    {"alpha", SB_FIELD_NUMBER, AT(adversarial.alpha), "0.3", 1e-12, 1e6, .help = "pgd: length of a step"},
    {"steps", SB_FIELD_COUNT, AT(adversarial.steps), "3", 1, 100, .help = "pgd: steps"},
    {"combine", SB_FIELD_NAME, AT(adversarial.combine), "replace", .choices = "replace|sum",
     .help = "the gradient at the moved input replaces the clean one, or is added to it"},
    {"length", SB_FIELD_NUMBER, AT(adversarial.length), "0.005", 1e-9, 1,
     .help = "penalty: length of the finite difference's step"},
    {"xi", SB_FIELD_NUMBER, AT(adversarial.xi), "1", 1e-9, 1e6, .help = "vat: length of the first step"},
    {"weight", SB_FIELD_NUMBER, AT(adversarial.weight), "1", 0, 1e6, .help = "vat: of the divergence"},
    {0},
};

static const struct sb_field exposure_fields[] = {
    {"method", SB_FIELD_NAME, AT(exposure_bias.method), "none", .choices = "none|random|vocabulary|scheduled",
     .help = "seq2seq and denoising: decoder inputs are replaced by tokens of the same target, of the vocabulary, or "
             "by the "
             "model's own predictions (scheduled sampling); labels stay"},
    {"row_probability", SB_FIELD_NUMBER, AT(exposure_bias.row_probability), "0.5", 0, 1,
     .help = "random, vocabulary: share of the rows that are touched"},
    {"probability", SB_FIELD_NUMBER, AT(exposure_bias.probability), "0.3", 0, 1,
     .help = "share of the tokens of such a row"},
    {"schedule", SB_FIELD_CHOICE, AT(exposure_bias.schedule), "linear", .choices = "constant|linear|inverse_sigmoid",
     .help = "scheduled: how the probability rises from 0"},
    {"schedule_steps", SB_FIELD_COUNT, AT(exposure_bias.schedule_steps), "0", 0, ANY,
     .help = "scheduled: steps until it is reached; 0: all"},
    {0},
};

static const struct sb_field average_fields[] = {
    {"decay", SB_FIELD_NUMBER, AT(average.decay), "0", 0, 0.9999999,
     .help = "exponential moving average of the weights, which is then evaluated and saved; 0: none"},
    {0},
};

static const struct sb_field lookahead_fields[] = {
    {"k", SB_FIELD_COUNT, AT(lookahead.k), "0", 0, 1e6,
     .help = "steps between two moves of the slow weights; 0: no Lookahead"},
    {"alpha", SB_FIELD_NUMBER, AT(lookahead.alpha), "0.5", 1e-6, 1, .help = "part of the way that they move"},
    {0},
};

static const struct sb_field whiten_fields[] = {
    {"dimensions", SB_FIELD_COUNT, AT(whiten.dimensions), "0", 0, 1 << 16,
     .help = "whitening of the sentence vectors when the model is saved: so many directions of largest variance stay, fewer than there are numbers; 0: none"},
    {"sentences", SB_FIELD_COUNT, AT(whiten.sentences), "10000", 2, 1e9,
     .help = "of the training data, by which mean and covariance are measured"},
    {0},
};

static const struct sb_field initialise_fields[] = {
    {"method", SB_FIELD_NAME, AT(initialise.method), "truncated_normal", .choices = INITIALISERS,
     .help = "first values of what the model does not have yet"},
    {"std", SB_FIELD_NUMBER, AT(initialise.std), "0.02", 0, 100, .help = "of the normal ones"},
    {"keep_std", SB_FIELD_BOOL, AT(initialise.keep_std), "false", .help = "truncated_normal: std holds after the cut"},
    {0},
};

static const struct sb_field resize_fields[] = {
    {"hidden_size", SB_FIELD_COUNT, AT(resize.hidden_size), "0", 0, 1 << 16, .help = "0: as it is"},
    {"attention_key_size", SB_FIELD_COUNT, AT(resize.attention_key_size), "0", 0, 1 << 16, .help = "0: as it is"},
    {"intermediate_size", SB_FIELD_COUNT, AT(resize.intermediate_size), "0", 0, 1 << 20, .help = "0: as it is"},
    {"attention_parts", SB_FIELD_TEXTS, AT(resize.attention_parts), NULL, 0, SB_ATTENTION_PARTS + 1,
     .help = "another attention (docs/models.md), such as [\"random\", \"vanilla\"]; null: as it is"},
    {"factor_a", SB_FIELD_COUNT, AT(resize.factor_a), "0", 0, 8192, .help = "of factorised_dense; 0: to suit the positions"},
    {"factor_b", SB_FIELD_COUNT, AT(resize.factor_b), "0", 0, 8192, .help = "of factorised_dense; 0: to suit the positions"},
    {"factor_rank", SB_FIELD_COUNT, AT(resize.factor_rank), "0", 0, 8192, .help = "of factorised_random; 0: 8"},
    {"vocabulary", SB_FIELD_TEXT, AT(resize.vocabulary), NULL, .help = "vocab.txt of the new model; null: as it is"},
    {0},
};

static const struct sb_field evaluation_fields[] = {
    {"files", SB_FIELD_FILES, AT(evaluation.files), "[]", .help = "data that the model is measured on, never trained"},
    {"every", SB_FIELD_COUNT, AT(evaluation.every), "0", 0, ANY, .help = "steps; 0: after each epoch"},
    {"metric", SB_FIELD_NAME, AT(evaluation.metric), NULL, .choices = METRICS,
     .help = "which measure says what is best; null: the first of spearman, mrr, nll that the files have"},
    {"patience", SB_FIELD_COUNT, AT(evaluation.patience), "0", 0, 1e6,
     .help = "early stopping: evaluations without a better value; 0: none"},
    {0},
};

static const struct sb_field checkpoint_fields[] = {
    {"every", SB_FIELD_COUNT, AT(checkpoint.every), "0", 0, ANY, .help = "steps; 0: after each epoch"},
    {"keep", SB_FIELD_COUNT, AT(checkpoint.keep), "3", 1, 1000, .help = "how many of the last ones stay"},
    {0},
};

static const struct sb_field gate_fields[] = {
    {"metric", SB_FIELD_NAME, AT(gate.metric), NULL, .choices = METRICS,
     .help = "the model is put into service if this measure says so; null: evaluation.metric; one that the files do not "
             "have is an error before training"},
    {"min_change", SB_FIELD_NUMBER, AT(gate.min_change), "0", -ANY, ANY,
     .help = "by how much it must be better than before"},
    {0},
};

static const struct sb_field bad_line_fields[] = {
    {"max_lines", SB_FIELD_COUNT, AT(bad_lines.max_lines), "100", 0, ANY, .help = "of a file; more are an error"},
    {"max_share", SB_FIELD_NUMBER, AT(bad_lines.max_share), "0.01", 0, 1,
     .help = "of a file's lines; more is an error"},
    {0},
};

const struct sb_field sb_recipe_fields[] = {
    {"seed", SB_FIELD_COUNT, AT(seed), "42", 0, 9007199254740991.0,
     .help = "same seed, data and recipe: the same weights, bit for bit"},
    {"epochs", SB_FIELD_NUMBER, AT(epochs), "3", 1e-6, 1e6, .help = "passes over the data of the first objective"},
    {"steps", SB_FIELD_COUNT, AT(steps), "0", 0, ANY, .help = "updates of the weights; 0: as many as the epochs have"},
    {"batch_size", SB_FIELD_COUNT, AT(batch_size), "32", 1, SB_BATCH_MAX_EXAMPLES,
     .help = "pairs, triplets or texts of a batch; a pair gives two rows"},
    {"accumulation", SB_FIELD_COUNT, AT(accumulation), "1", 1, 1 << 16, .help = "batches of an update"},
    {"maxlen", SB_FIELD_COUNT, AT(maxlen), "32", 3, 1 << 15, .help = "tokens of a text, special ones included"},
    {"max_length", SB_FIELD_COUNT, AT(max_length), NULL, 6, 1 << 16, .help = "tokens of a row; null: 2 maxlen"},
    {"text_characters", SB_FIELD_COUNT, AT(text_characters), NULL, 0, 1 << 20,
     .help = "longer texts are cut to their first piece; null: maxlen - 2; 0: not"},
    {"window", SB_FIELD_COUNT, AT(window), "1", 1, 1 << 12,
     .help = "batches whose examples are sorted by length; 1: none"},
    {"pair_rule", SB_FIELD_CHOICE, AT(pair_rule), "simbert", .choices = "simbert|roformer_sim",
     .help = "which script's rule says what is cut off a pair that is too long"},
    {"learning_rate", SB_FIELD_NUMBER, AT(learning_rate), "2e-5", 0, 10, .help = "the highest"},
    {"clip_norm", SB_FIELD_NUMBER, AT(clip_norm), "1", 0, 1e9,
     .help = "gradients of a larger norm are scaled to it; 0: not"},
    {"schedule", SB_FIELD_SECTION, .fields = schedule_fields, .help = "of the learning rate"},
    {"optimizer", SB_FIELD_SECTION, .fields = optimizer_fields, .help = ""},
    {"dropout", SB_FIELD_SECTION, .fields = dropout_fields, .help = ""},
    {"dtype", SB_FIELD_NAME, AT(dtype), "f32", .choices = "f32|bf16",
     .help = "arithmetic of the matrix products; weights and sums are f32"},
    {"recompute", SB_FIELD_BOOL, AT(recompute), "false",
     .help = "gradient checkpointing: less memory, a third more time"},
    {"threads", SB_FIELD_COUNT, AT(threads), "0", 0, 1024, .help = "0: as many as there are; changes no result"},
    {"objectives", SB_FIELD_OBJECTIVES, AT(objectives), "[]", .fields = sb_objective_fields,
     .help = "what is learnt; none: what suits the training file"},
    {"teacher", SB_FIELD_TEXT, AT(teacher), NULL, .help = "distil: directory of the model to learn from"},
    {"adversarial", SB_FIELD_SECTION, .fields = adversarial_fields, .help = ""},
    {"exposure_bias", SB_FIELD_SECTION, .fields = exposure_fields, .help = ""},
    {"average", SB_FIELD_SECTION, .fields = average_fields, .help = ""},
    {"lookahead", SB_FIELD_SECTION, .fields = lookahead_fields, .help = ""},
    {"pool_norm", SB_FIELD_NAME, AT(pool_norm), "none", .choices = "none|batch",
     .help = "batch normalisation of the sentence vectors, folded into the pooler when saved"},
    {"whiten", SB_FIELD_SECTION, .fields = whiten_fields, .help = ""},
    {"initialise", SB_FIELD_SECTION, .fields = initialise_fields, .help = ""},
    {"resize", SB_FIELD_SECTION, .fields = resize_fields, .help = ""},
    {"evaluation", SB_FIELD_SECTION, .fields = evaluation_fields, .help = ""},
    {"checkpoint", SB_FIELD_SECTION, .fields = checkpoint_fields, .help = ""},
    {"gate", SB_FIELD_SECTION, .fields = gate_fields, .help = ""},
    {"bad_lines", SB_FIELD_SECTION, .fields = bad_line_fields, .help = ""},
    {0},
};

static const struct sb_field noise_fields[] = {
    {"source", SB_FIELD_NUMBER, OF_NOISE(source), "0", 0, 1,
     .help = "seq2seq: share of the rows whose source is masked (RoFormer-Sim: .5)"},
    {"mask", SB_FIELD_NUMBER, OF_NOISE(mask), "0.15", 0, 1,
     .help = "share of the units that are taken (masked_lm, masked sources) or masked (denoising)"},
    {"mask_share", SB_FIELD_NUMBER, OF_NOISE(mask_share), "0.8", 0, 1, .help = "of what is taken: becomes [MASK]"},
    {"random_share", SB_FIELD_NUMBER, OF_NOISE(random_share), "0.1", 0, 1,
     .help = "of what is taken: becomes random tokens"},
    {"erase", SB_FIELD_NUMBER, OF_NOISE(erase), "0.05", 0, 1, .help = "denoising: share of the units that are deleted"},
    {"replace", SB_FIELD_NUMBER, OF_NOISE(replace), "0.05", 0, 1, .help = "denoising: share that become random tokens"},
    {"permute", SB_FIELD_NUMBER, OF_NOISE(permute), "0.1", 0, 1,
     .help = "denoising: share of the rows whose units change places"},
    {"distance", SB_FIELD_COUNT, OF_NOISE(distance), "3", 1, 1000, .help = "denoising: how far at most"},
    {"infill", SB_FIELD_BOOL, OF_NOISE(infill), "false", .help = "denoising: a masked unit is one [MASK]"},
    {"unit", SB_FIELD_CHOICE, OF_NOISE(unit), "ngram", .choices = "token|word|ngram",
     .help = "tokens; whole words (## pieces stay together); these and runs of 1 to 4 ideographs"},
    {"words", SB_FIELD_TEXT, OF_NOISE(words), NULL,
     .help = "file with a word a line: units are its words, the longest first, and what no word covers, as with unit word"},
    {0},
};

const struct sb_field sb_objective_fields[] = {
    {"name", SB_FIELD_NAME, OF_OBJECTIVE(name), NULL,
     .choices = "seq2seq|in_batch|masked_lm|causal_lm|denoising|distil|softmax|cosent|angle|multiple_negatives|"
                "multiple_negatives_symmetric|multiple_negatives_gte|cosine|contrastive|online_contrastive|triplet",
     .help = "required"},
    {"weight", SB_FIELD_NUMBER, OF_OBJECTIVE(weight), "1", 0, 1e9, .help = "of this loss in the sum"},
    {"data", SB_FIELD_FILES, OF_OBJECTIVE(data), "[]",
     .help = "files; none: it shares the rows of the objective before it"},
    {"scale", SB_FIELD_NUMBER, OF_OBJECTIVE(scale), NULL, 1e-9, 1e9,
     .help = "of the cosines; null: the loss' own (in_batch 30, distil 100, others 20)"},
    {"margin", SB_FIELD_NUMBER, OF_OBJECTIVE(margin), NULL, 0, 1e9,
     .help = "null: the loss' own (contrastive .5, triplet 5)"},
    {"distance", SB_FIELD_NAME, OF_OBJECTIVE(distance), NULL, .choices = "cosine|euclidean",
     .help = "contrastive, triplet; null: the loss' own (cosine; triplet euclidean)"},
    {"dimensions", SB_FIELD_NUMBERS, OF_OBJECTIVE(dimensions), NULL, 1, 1 << 16,
     .help = "Matryoshka: the loss is summed over so many first numbers of the vectors; null: all of them"},
    {"dimension_weights", SB_FIELD_NUMBERS, OF_OBJECTIVE(dimension_weights), NULL, 0, 1e9, .help = "null: 1 each"},
    {"classes", SB_FIELD_COUNT, OF_OBJECTIVE(classes), "5", 5, SB_LOSS_MAX_CLASSES,
     .help = "softmax: 0 and 1 are pairs' labels, 2 to 4 NLI's"},
    {"batch_size", SB_FIELD_COUNT, OF_OBJECTIVE(batch_size), NULL, 1, SB_BATCH_MAX_EXAMPLES,
     .help = "null: the recipe's"},
    {"max_length", SB_FIELD_COUNT, OF_OBJECTIVE(max_length), NULL, 6, 1 << 16, .help = "null: the recipe's"},
    {"text_characters", SB_FIELD_COUNT, OF_OBJECTIVE(text_characters), NULL, 0, 1 << 20,
     .help = "null: the recipe's; causal_lm, masked_lm and denoising: 0"},
    {"window", SB_FIELD_COUNT, OF_OBJECTIVE(window), NULL, 1, 1 << 12, .help = "null: the recipe's"},
    {"hard_negatives", SB_FIELD_BOOL, OF_OBJECTIVE(hard_negatives), "false",
     .help = "multiple_negatives: the data are triplets, their third text is a negative"},
    {"noise", SB_FIELD_SECTION, .fields = noise_fields, .help = ""},
    {0},
};

const struct sb_field sb_file_fields[] = {
    {"file", SB_FIELD_TEXT, OF_FILE(file), NULL, .help = "path; required"},
    {"format", SB_FIELD_CHOICE, OF_FILE(kind), "auto", .choices = "auto|synonyms|pairs|triplets|nli|chat|sentences",
     .help = "auto: found out from the first lines"},
    {"columns", SB_FIELD_TEXT, OF_FILE(columns), NULL, .help = "of tab-separated lines, as \"-,a,b,label\""},
    {"score_range", SB_FIELD_NUMBERS, OF_FILE(score_range), NULL, -ANY, ANY,
     .help = "[low, high] of graded labels; null: from 0 to 1, 5 or 100, whichever holds all"},
    {0},
};
