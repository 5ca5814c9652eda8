#include "study/study.h"

const struct sb_study sb_study_adversarial = {
    .name = "adversarial",
    .title = "Adversarial training",
    .summary = "FGM, FGSM, PGD, gradient penalty, VAT: what they do for similarity, and what they cost",
    .about =
        "Training at inputs that were moved, by little, to where the loss is larger. FGM (Miyato et al., 2017) "
        "moves the embedding matrix along its gradient, FGSM (Goodfellow et al., 2015) along the gradient's signs, "
        "PGD (Madry et al., 2018) in several steps within a ball. The gradient penalty adds the squared norm of the "
        "gradient to the loss. VAT (Miyato et al., 2018) needs no labels: it asks that what the model says does not "
        "change when the embeddings move. [Recipes](recipes.md#all-keys) has the keys; here all have their "
        "defaults.",
    .recipe = "{\"batch_size\": 8, \"dtype\": \"bf16\", \"learning_rate\": 1e-4, "
              "\"objectives\": [{\"name\": \"seq2seq\"}, {\"name\": \"in_batch\"}]}",
    .steps = 40,
    .parts = SB_STUDY_PAIRS | SB_STUDY_LIKELIHOOD,
    .runs = {{.label = "none"},
             {.label = "FGM", .recipe = "{\"adversarial\": {\"method\": \"fgm\"}}"},
             {.label = "FGSM", .recipe = "{\"adversarial\": {\"method\": \"fgsm\"}}"},
             {.label = "PGD", .recipe = "{\"adversarial\": {\"method\": \"pgd\"}}"},
             {.label = "gradient penalty", .recipe = "{\"adversarial\": {\"method\": \"penalty\"}}"},
             {.label = "VAT", .recipe = "{\"adversarial\": {\"method\": \"vat\"}}"}},
    .columns = {{"loss", "training loss, last fifth", 3},
                {"nll", "held-out NLL", 3},
                {"spearman", "dev Spearman", 4},
                {"auc", "dev AUC", 4},
                {"mrr", "dev MRR", 4},
                {"step_ms", "ms a step", 0}},
};
