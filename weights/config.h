/*
 * The validated model config: what config.json / bert_config.json say, checked once, so that no code behind it needs to
 * check again. Values that cannot be are refused with the file, the key, the value and the bound.
 */
#ifndef SB_WEIGHTS_CONFIG_H
#define SB_WEIGHTS_CONFIG_H

#include "base/status.h"
#include "weights/attention.h"

#include <stdbool.h>
#include <stdint.h>

enum sb_activation { SB_GELU_ERF, SB_GELU_TANH, SB_RELU, SB_SWISH, SB_TANH, SB_LINEAR };

/* How a row becomes one vector. */
enum sb_pooling {
    SB_POOL_POOLER, /* dense of [CLS] (SimBERT: linear, BERT: tanh; see pooler_activation) */
    SB_POOL_CLS,    /* [CLS] of the last layer */
    SB_POOL_MEAN,   /* mean over the row's tokens of the last layer */
};

/* What a pair head's classes are: a layer over two sentence vectors, [u; v; |u - v|], that says how their texts relate
   (Reimers and Gurevych, "Sentence-BERT", 2019). The first two classes are those of labelled pairs, different and same; the next
   three those of NLI: entailment, neutral, contradiction. A head may have learned only some of them. */
enum sb_pair_head {
    SB_PAIR_HEAD_NONE,
    SB_PAIR_HEAD_PAIRS, /* classes 0 and 1 */
    SB_PAIR_HEAD_NLI,   /* classes 2, 3 and 4 */
};

#define SB_PAIR_HEAD_TENSOR "classifier.weight" /* [classes, 3 * dimensions of a vector], without a bias */

struct sb_config {
    char model_type[32];         /* "bert", "roformer" */
    int hidden_size;             /* H, 1..8192 */
    int embedding_size;          /* E; equal to H when the file does not say */
    int num_hidden_layers;       /* 1..256 */
    int num_attention_heads;     /* A */
    int attention_head_size;     /* D: V projected to A*D; H/A unless said */
    int attention_key_size;      /* Dk: Q, K projected to A*Dk, scale 1/sqrt(Dk); D unless said */
    int intermediate_size;       /* I */
    int vocab_size;              /* V */
    int max_position_embeddings; /* P: rows are at most this long */
    int type_vocab_size;
    float layer_norm_eps;
    enum sb_activation hidden_act;
    enum sb_activation pooler_activation; /* SB_LINEAR or SB_TANH */
    enum sb_pooling pooling;
    struct sb_attention_config attention;
    enum sb_pair_head pair_head; /* key pair_head: "pairs" or "nli"; the head is the tensor SB_PAIR_HEAD_TENSOR */
    bool normalize;                                                       /* vectors are divided by their L2 norm */
    float hidden_dropout_prob, attention_dropout_prob, initializer_range; /* for training */
    int max_length; /* tokens of a row to embed: sentence_bert_config's max_seq_length, else P */
};

/* Reads the directory's config.json or bert_config.json, and modules.json + pooling config + sentence_bert_config.json
   where present. pooler_activation defaults to linear when the checkpoint is a SimBERT (bert_config.json only, or said
   so in config.json), tanh for stock BERT; pooling defaults to SB_POOL_POOLER (sb_weights_open falls back to CLS when
   the checkpoint has no pooler). */
SB_MUST_CHECK enum sb_status sb_config_read(struct sb_config *config, const char *dir, struct sb_error *error);

#endif
