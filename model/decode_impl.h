/*
 * Inside of a decoder: what sampling and the beam searches share. Only model/decode*.c and model/beam*.c include this.
 */
#ifndef SB_MODEL_DECODE_IMPL_H
#define SB_MODEL_DECODE_IMPL_H

#include "base/arena.h"
#include "model/decode.h"
#include "model/logits_processors.h"

/* Slots are counted by how many live paths hold them. */
struct sb_slots {
    int32_t *holders;   /* [count] */
    int32_t *free_list; /* [count]; taken from the end */
    size_t count, free_count;
};

void sb_slots_init(struct sb_slots *slots);
int32_t sb_slots_take(struct sb_slots *slots); /* held once */
void sb_slots_hold(struct sb_slots *slots, const int32_t *path, size_t length);
void sb_slots_drop(struct sb_slots *slots, const int32_t *path, size_t length);

/* A live hypothesis. After its last token was fed, path[length - 1] is that token's slot. */
struct sb_live {
    int32_t *history; /* [prompt_length + max_new]: the prompt, then `length` generated tokens */
    int32_t *path;    /* [max_new]: slots of generated tokens; the last one is being filled */
    size_t length;
    double score, logprob; /* beams: score is the sum that the search ranks by, before any division by length */
    bool waiting;          /* for logits of its last token */
};

struct sb_decoder {
    struct sb_arena arena;
    struct sb_decode_options options; /* lists are our own copies */
    const struct sb_kernels *kernels;
    size_t vocab_size, prompt_length, max_new, row_count;
    int32_t end_id;
    bool finished;
    struct sb_processors processors;
    struct sb_slots slots;
    struct sb_live *live;          /* [row_count] */
    float *scratch;                /* [vocab_size]: a row while processors work on it */
    struct sb_hypothesis *results; /* [num_sequences] */
    size_t result_count;

    const struct sb_search *search;
    struct sb_sampler *sampler; /* one of the two */
    struct sb_beams *beams;
};

/* Sampling, or one of the beam searches. */
struct sb_search {
    void (*start)(struct sb_decoder *decoder, const float *logits);
    void (*accept)(struct sb_decoder *decoder, size_t row, const float *logits);
};

extern const struct sb_search sb_sampling_search, sb_beam_search;

/* Called twice each, to measure and to carve (base/arena.h). */
void sb_sampler_lay_out(struct sb_decoder *decoder);
void sb_beams_lay_out(struct sb_decoder *decoder, const int32_t *prompt);

/* [count] live hypotheses with their arrays; the prompt is in place once there is memory. */
struct sb_live *sb_live_lay_out(struct sb_decoder *decoder, size_t count, const int32_t *prompt);

static inline int32_t *sb_generated(const struct sb_decoder *decoder, const struct sb_live *live)
{
    return live->history + decoder->prompt_length;
}

/* log_softmax(logits)[i] = logits[i] - largest - log_sum, subtracted in this order. */
struct sb_normalizer {
    float largest, log_sum;
};

static inline struct sb_normalizer sb_normalizer_of(const struct sb_decoder *decoder, const float *logits)
{
    struct sb_normalizer n;
    decoder->kernels->log_sum_exp(&n.largest, &n.log_sum, logits, decoder->vocab_size);
    return n;
}

#endif
