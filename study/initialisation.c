#include "study/study.h"

const struct sb_study sb_study_initialisation = {
    .name = "initialisation",
    .title = "Initialisation",
    .summary = "truncated normal, Xavier, He, LeCun, orthogonal: how a fresh model begins to learn",
    .about =
        "What a weight is before the first step. BERT draws all matrices from a normal of .02 cut at two standard "
        "deviations, whatever their sizes. Xavier (Glorot and Bengio, 2010) makes the variance 2 / (fan in + fan "
        "out), He (He et al., 2015) 2 / fan in for relu, LeCun (1998) 1 / fan in, which keeps the variance of a "
        "layer's output; a random orthogonal matrix (Saxe et al., 2014) keeps lengths exactly, and at variance 1 / "
        "n a square random matrix is close to one. Embeddings are truncated normals of .02, but where a run names "
        "another number: it is theirs, too.",
    .recipe = "{\"batch_size\": 16, \"dtype\": \"bf16\", \"learning_rate\": 1e-3, \"dropout\": {\"hidden\": 0, \"attention\": 0}, "
              "\"objectives\": [{\"name\": \"seq2seq\"}]}",
    .steps = 150,
    .redraws = {""},
    .config = "{\"hidden_size\": 128, \"intermediate_size\": 512, \"num_attention_heads\": 4, "
              "\"embedding_size\": null, \"attention_head_size\": null, \"attention_key_size\": null}",
    .parts = SB_STUDY_LIKELIHOOD,
    .runs = {{.label = "truncated normal, .02"},
             {.label = "truncated normal, .005", .recipe = "{\"initialise\": {\"std\": 0.005}}"},
             {.label = "truncated normal, .2", .recipe = "{\"initialise\": {\"std\": 0.2}}"},
             {.label = "Xavier, normal", .recipe = "{\"initialise\": {\"method\": \"xavier_normal\"}}"},
             {.label = "He, normal", .recipe = "{\"initialise\": {\"method\": \"he_normal\"}}"},
             {.label = "LeCun, normal", .recipe = "{\"initialise\": {\"method\": \"lecun_normal\"}}"},
             {.label = "LeCun, uniform", .recipe = "{\"initialise\": {\"method\": \"lecun_uniform\"}}"},
             {.label = "orthogonal", .recipe = "{\"initialise\": {\"method\": \"orthogonal\"}}"}},
    .columns = {{"loss", "training loss, last fifth", 3}, {"nll", "held-out NLL", 3}},
};
