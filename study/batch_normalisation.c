#include "study/study.h"

const struct sb_study sb_study_batch_normalisation = {
    .name = "batch-normalisation",
    .title = "Batch normalisation of the sentence vector",
    .summary = "sentence vectors with and without batch normalisation, and whitened",
    .about =
        "Sentence vectors lie in a narrow cone: texts that have nothing to do with each other have a large cosine. "
        "Batch normalisation (Ioffe and Szegedy, 2015) of the sentence vector gives each of its dimensions mean 0 "
        "and variance 1 over the batch while training, and by running statistics afterwards, which are folded into "
        "the pooler. Whitening (Su et al., 2021) is its big sister: one linear map, from a corpus and after "
        "training, that also makes the dimensions uncorrelated; here it keeps the half of the directions in which "
        "the vectors vary most.",
    .recipe = "{\"batch_size\": 16, \"dtype\": \"bf16\", \"learning_rate\": 1e-4, \"objectives\": [{\"name\": \"in_batch\"}]}",
    .steps = 100,
    .parts = SB_STUDY_PAIRS | SB_STUDY_SPREAD,
    .runs = {{.label = "without"},
             {.label = "batch normalisation", .recipe = "{\"pool_norm\": \"batch\"}"},
             {.label = "whitened afterwards", .whitens = true},
             {.label = "untrained, whitened", .is_untrained = true, .whitens = true}},
    .columns = {{"loss", "training loss, last fifth", 3},
                {"spearman", "dev Spearman", 4},
                {"auc", "dev AUC", 4},
                {"mrr", "dev MRR", 4},
                {"mean_cosine", "mean cosine of different texts", 3},
                {"step_ms", "ms a step", 0}},
};
