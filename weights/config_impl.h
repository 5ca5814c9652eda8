/* Inside the config: parsing from memory, writing back, and the sentence-transformers modules that belong to it. */
#ifndef SB_WEIGHTS_CONFIG_IMPL_H
#define SB_WEIGHTS_CONFIG_IMPL_H

#include "weights/config.h"

#include <cjson/cJSON.h>
#include <stddef.h>

enum { SB_MAX_CONFIG_BYTES = 1 << 20 };

/* The config file of a directory: config.json, else bert_config.json, which is how Google and SimBERT name theirs.
   SB_NOT_FOUND when there is none. The caller frees *path with free(). */
SB_MUST_CHECK enum sb_status sb_config_find(char **path, bool *is_google, const char *dir, struct sb_error *error);

/* Checks the keys of one config file. What other files may change (pooling, normalize, max_length) gets its default. */
SB_MUST_CHECK enum sb_status sb_config_from_json(struct sb_config *config, const cJSON *json, bool is_google,
                                                 struct sb_error *error);

/* Adds every key that a config file can hold and json does not have yet. False when out of memory. */
bool sb_config_add_missing(cJSON *json, const struct sb_config *config);

/* All fields, also those that stand in other files; NULL when out of memory. */
cJSON *sb_config_describe(const struct sb_config *config);

/* config_attention.c: the keys of weights/attention.h, after all sizes are known; and back. put: false when out of memory. */
SB_MUST_CHECK enum sb_status sb_config_read_attention(struct sb_config *config, const cJSON *json,
                                                      struct sb_error *error);
bool sb_config_put_attention(cJSON *json, const struct sb_config *config);

const char *sb_pair_head_name(enum sb_pair_head head);         /* "pairs", "nli"; NULL: none */
const char *sb_pooling_name(enum sb_pooling pooling);          /* "pooler", "cls", "mean" */
const char *sb_activation_name(enum sb_activation activation); /* as hidden_act says it */

/* What modules.json says. Only the order Transformer, Pooling, [Dense], [Normalize] has a meaning here. */
struct sb_modules {
    bool present;
    enum sb_pooling pooling;
    bool normalize;
    char dense[64]; /* folder of the Dense module; empty: none */
};

SB_MUST_CHECK enum sb_status sb_modules_read(struct sb_modules *modules, const char *dir, struct sb_error *error);

/* modules.json in memory; folders of the modules are read from dir. */
SB_MUST_CHECK enum sb_status sb_modules_from_json(struct sb_modules *modules, const char *dir, const cJSON *json,
                                                  struct sb_error *error);

#endif
