#include "study/study.h"

const struct sb_study sb_study_optimizers = {
    .name = "optimizers",
    .title = "Optimizers",
    .summary = "AdamW, AdaFactor, LAMB, Lookahead: loss, memory of their state, time",
    .about =
        "AdamW (Loshchilov and Hutter, 2019) keeps two moments a weight, 8 bytes. AdaFactor (Shazeer and Stern, "
        "2018) keeps of a matrix only the means of the squared gradients over its rows and over its columns, and no "
        "first moment unless asked: almost no memory. LAMB (You et al., 2020) makes AdamW's step of each matrix as "
        "long as a share of the matrix itself, for large batches. Lookahead (Zhang et al., 2019) lets slow weights "
        "follow another optimizer's.\n"
        "\n"
        "Each has a learning rate of its own: that of the smallest training loss after 100 steps with one seed, among "
        "1e-4, 2e-4, 4e-4 and 8e-4 for AdamW, 4e-4 and 8e-4 for Lookahead, 2e-3, 4e-3 and 8e-3 for LAMB and AdaFactor "
        "with a first moment, and without one also 1.6e-2.",
    .recipe = "{\"batch_size\": 8, \"dtype\": \"bf16\", \"learning_rate\": 4e-4, "
              "\"objectives\": [{\"name\": \"seq2seq\"}, {\"name\": \"in_batch\"}]}",
    .steps = 100,
    .parts = SB_STUDY_PAIRS | SB_STUDY_LIKELIHOOD,
    .runs = {{.label = "AdamW"},
             {.label = "AdamW with Lookahead", .recipe = "{\"lookahead\": {\"k\": 5}, \"learning_rate\": 8e-4}"},
             {.label = "LAMB", .recipe = "{\"optimizer\": {\"name\": \"lamb\"}, \"learning_rate\": 2e-3}"},
             {.label = "AdaFactor", .recipe = "{\"optimizer\": {\"name\": \"adafactor\"}, \"learning_rate\": 8e-3}"},
             {.label = "AdaFactor with a first moment",
              .recipe = "{\"optimizer\": {\"name\": \"adafactor\", \"beta1\": 0.9}, \"learning_rate\": 8e-3}"}},
    .columns = {{"loss", "training loss, last fifth", 3},
                {"nll", "held-out NLL", 3},
                {"spearman", "dev Spearman", 4},
                {"auc", "dev AUC", 4},
                {"state_mb", "state, MB", 1},
                {"step_ms", "ms a step", 0}},
};
