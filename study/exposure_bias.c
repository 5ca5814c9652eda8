#include "study/study.h"

const struct sb_study sb_study_exposure_bias = {
    .name = "exposure-bias",
    .title = "Exposure bias",
    .summary = "teacher forcing, random replacement, scheduled sampling: do they narrow the gap of free running?",
    .about =
        "A seq2seq model learns behind the right words (teacher forcing) and writes behind its own: what it never "
        "saw in training, its own mistakes, is what it meets then (Ranzato et al., 2016). Two remedies change the "
        "decoder's input while the labels stay. Random replacement puts tokens of the same target, or of the "
        "vocabulary, in place of some. Scheduled sampling (Bengio et al., 2015) puts the model's own predictions "
        "there, more and more of them; for a transformer in two passes (Mihaylova and Martins, 2019).\n"
        "\n"
        "The gap is measured in nats a token on held-out paraphrases: how much less likely the right word becomes "
        "when the words before it are the model's own in place of the right ones. [Measuring](eval.md#likelihood) "
        "defines both: behind what it writes (which also holds that another paraphrase was begun) and behind its "
        "guesses (wrong words alone). What the model then writes, greedily and by a beam search of 4, is compared "
        "with the given paraphrase: F1 of neighbouring characters, and how often it ends by itself.",
    .recipe = "{\"batch_size\": 8, \"dtype\": \"bf16\", \"learning_rate\": 2e-4, \"objectives\": [{\"name\": \"seq2seq\"}]}",
    .steps = 120,
    .parts = SB_STUDY_LIKELIHOOD | SB_STUDY_DECODING,
    .curve = "gap_guessed",
    .curve_part = SB_STUDY_LIKELIHOOD,
    .curve_label = "gap behind its guesses, nats a token",
    .checks = 3,
    .runs = {{.label = "teacher forcing"},
             {.label = "replaced by the target's", .recipe = "{\"exposure_bias\": {\"method\": \"random\"}}"},
             {.label = "replaced by the vocabulary's", .recipe = "{\"exposure_bias\": {\"method\": \"vocabulary\"}}"},
             {.label = "scheduled sampling to .3", .recipe = "{\"exposure_bias\": {\"method\": \"scheduled\", \"probability\": 0.3}}"},
             {.label = "scheduled sampling to .8", .recipe = "{\"exposure_bias\": {\"method\": \"scheduled\", \"probability\": 0.8}}"}},
    .columns = {{"nll", "held-out NLL, teacher-forced", 3},
                {"gap_written", "gap behind what it writes", 3},
                {"gap_guessed", "gap behind its guesses", 3},
                {"greedy_f1", "greedy: F1", 4},
                {"greedy_ended", "greedy: ends", 3},
                {"beam_f1", "beam: F1", 4},
                {"beam_ended", "beam: ends", 3},
                {"step_ms", "ms a step", 0}},
};
