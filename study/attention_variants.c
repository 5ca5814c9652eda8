#include "study/study.h"

const struct sb_study sb_study_attention_variants = {
    .name = "attention-variants",
    .title = "Variants of attention",
    .summary = "larger keys, talking heads, rotary positions, Synthesizers and mixtures: loss and speed",
    .about =
        "Where may the logits of attention come from? Vaswani et al. (2017) take products of queries and keys. "
        "Larger keys (Bhojanapalli et al., 2020) lift the rank of a head's logits, talking heads (Shazeer et al., "
        "2020) mix the heads before and after the softmax, rotary positions (Su et al., 2021) turn queries and keys "
        "by where they stand. Synthesizers (Tay et al., 2020) do without the product: dense logits from the query's "
        "token alone, random ones from a table that is trained or not, both also factorised, and mixtures of these "
        "with the product.\n"
        "\n"
        "Everything but queries and keys comes trained from the default model, which learnt it beside attention of "
        "the first kind; queries and keys are drawn anew in all runs, so that no variant has learnt to look when it "
        "starts.",
    .recipe = "{\"batch_size\": 8, \"dtype\": \"bf16\", \"learning_rate\": 2e-4, "
              "\"objectives\": [{\"name\": \"seq2seq\"}, {\"name\": \"in_batch\"}]}",
    .steps = 50,
    .redraws = {"attention.self.query", "attention.self.key"},
    .parts = SB_STUDY_PAIRS | SB_STUDY_LIKELIHOOD,
    .runs = {{.label = "vanilla"},
             {.label = "keys of 128", .config = "{\"attention_key_size\": 128}"},
             {.label = "talking heads", .config = "{\"attention_parts\": [\"vanilla\", \"+talking\"]}"},
             {.label = "rotary", .config = "{\"attention_parts\": [\"rotary\"]}"},
             {.label = "dense", .config = "{\"attention_parts\": [\"dense\"]}"},
             {.label = "factorised dense", .config = "{\"attention_parts\": [\"factorised_dense\"]}"},
             {.label = "random", .config = "{\"attention_parts\": [\"random\"]}"},
             {.label = "fixed random", .config = "{\"attention_parts\": [\"fixed_random\"]}"},
             {.label = "factorised random", .config = "{\"attention_parts\": [\"factorised_random\"]}"},
             {.label = "random and vanilla", .config = "{\"attention_parts\": [\"random\", \"vanilla\"]}"},
             {.label = "dense and vanilla", .config = "{\"attention_parts\": [\"dense\", \"vanilla\"]}"}},
    .columns = {{"loss", "training loss, last fifth", 3},
                {"nll", "held-out NLL", 3},
                {"spearman", "dev Spearman", 4},
                {"auc", "dev AUC", 4},
                {"step_ms", "ms a step", 0}},
};
