#include "training/loss_impl.h"

#include "base/buffer.h"

#include <string.h>

static const struct sb_loss_class classes[] = {
    {.name = "in_batch_similarity",
     .summary = "SimBERT's: a row is to be nearest to its partner among all rows of the batch",
     .takes = SB_LOSS_ROWS,
     .splits = true,
     .defaults = {.scale = 30},
     .method = &sb_loss_in_batch_similarity},
    {.name = "distillation",
     .summary = "RoFormer-Sim's second stage: the similarities are to be a teacher's",
     .takes = SB_LOSS_ROWS,
     .needs = SB_LOSS_NEEDS_TEACHER,
     .splits = true,
     .defaults = {.scale = 100},
     .method = &sb_loss_distillation},
    {.name = "softmax",
     .summary = "classes of pairs by a linear layer over [u; v; |u - v|]",
     .takes = SB_LOSS_PAIRS,
     .needs = SB_LOSS_NEEDS_CLASSES,
     .defaults = {.scale = 1, .classes = 2},
     .method = &sb_loss_softmax},
    {.name = "cosent",
     .summary = "cosines are to be in the order of the scores",
     .takes = SB_LOSS_PAIRS,
     .needs = SB_LOSS_NEEDS_SCORES,
     .defaults = {.scale = 20},
     .method = &sb_loss_cosent},
    {.name = "angle",
     .summary = "AnglE: differences of complex angles are to be in the order of the scores",
     .takes = SB_LOSS_PAIRS,
     .needs = SB_LOSS_NEEDS_SCORES,
     .defaults = {.scale = 20},
     .method = &sb_loss_angle},
    {.name = "multiple_negatives",
     .summary = "u is to be nearest to its v among all v of the batch and the hard negatives",
     .takes = SB_LOSS_PAIRS_AND_NEGATIVES,
     .splits = true,
     .defaults = {.scale = 20},
     .method = &sb_loss_multiple_negatives},
    {.name = "multiple_negatives_symmetric",
     .summary = "the same, and v to its u among all u",
     .takes = SB_LOSS_PAIRS_AND_NEGATIVES,
     .splits = true,
     .defaults = {.scale = 20},
     .method = &sb_loss_multiple_negatives_symmetric},
    {.name = "multiple_negatives_gte",
     .summary = "GTE's: u is to be nearer to its v than any other two of the batch are that u or v is one of",
     .takes = SB_LOSS_PAIRS_AND_NEGATIVES,
     .splits = true,
     .defaults = {.scale = 20},
     .method = &sb_loss_multiple_negatives_gte},
    {.name = "cosine_similarity",
     .summary = "the cosine is to be the score",
     .takes = SB_LOSS_PAIRS,
     .needs = SB_LOSS_NEEDS_SCORES,
     .defaults = {.scale = 1},
     .method = &sb_loss_cosine_similarity},
    {.name = "contrastive",
     .summary = "pairs of label 1 near, those of label 0 apart by a margin",
     .takes = SB_LOSS_PAIRS,
     .needs = SB_LOSS_NEEDS_LABELS,
     .defaults = {.scale = 1, .margin = 0.5},
     .method = &sb_loss_contrastive},
    {.name = "online_contrastive",
     .summary = "the same for the hard pairs of the batch only",
     .takes = SB_LOSS_PAIRS,
     .needs = SB_LOSS_NEEDS_LABELS,
     .defaults = {.scale = 1, .margin = 0.5},
     .method = &sb_loss_online_contrastive},
    {.name = "triplet",
     .summary = "u nearer to v than to its negative, by a margin",
     .takes = SB_LOSS_TRIPLETS,
     .defaults = {.scale = 1, .margin = 5, .distance = SB_LOSS_EUCLIDEAN},
     .method = &sb_loss_triplet},
};

enum { CLASSES = sizeof classes / sizeof *classes };

const struct sb_loss_class *sb_loss_at(size_t index)
{
    return index < CLASSES ? &classes[index] : NULL;
}

const struct sb_loss_class *sb_loss_find(const char *name, struct sb_error *error)
{
    struct sb_buffer names = {0};
    for (size_t i = 0; i < CLASSES; i++)
        if (strcmp(classes[i].name, name) == 0)
            return &classes[i];
    for (size_t i = 0; i < CLASSES; i++)
        sb_buffer_format(&names, "%s%s", i ? ", " : "", classes[i].name);
    sb_fail(error, SB_INVALID, "there is no loss \"%s\"; there are %s", name, names.data ? names.data : "others");
    sb_buffer_free(&names);
    return NULL;
}

struct sb_loss_options sb_loss_defaults(const struct sb_loss_class *class)
{
    return class->defaults;
}

bool sb_loss_takes_twos(const struct sb_loss_class *class)
{
    return class->takes == SB_LOSS_ROWS && !(class->needs & SB_LOSS_NEEDS_TEACHER);
}

size_t sb_loss_matrices(const struct sb_loss_class *class)
{
    static const size_t counts[] = {
        [SB_LOSS_ROWS] = 1, [SB_LOSS_PAIRS] = 2, [SB_LOSS_PAIRS_AND_NEGATIVES] = 2, [SB_LOSS_TRIPLETS] = 3};
    return counts[class->takes];
}
