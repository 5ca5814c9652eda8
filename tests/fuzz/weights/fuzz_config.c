/*
 * Any bytes as config.json. A config that is accepted keeps its bounds, and written out and read again it is the same.
 * The same bytes as modules.json must not crash either.
 */
#include "base/json.h"
#include "weights/config_impl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_bounds(const struct sb_config *c)
{
    require(c->hidden_size >= 1 && c->hidden_size <= 8192);
    require(c->embedding_size >= 1 && c->embedding_size <= 8192);
    require(c->num_hidden_layers >= 1 && c->num_hidden_layers <= 256);
    require(c->num_attention_heads >= 1 && c->attention_head_size >= 1 && c->attention_key_size >= 1);
    require((int64_t)c->num_attention_heads * c->attention_head_size <= 65536);
    require((int64_t)c->num_attention_heads * c->attention_key_size <= 65536);
    require(c->intermediate_size >= 1 && c->vocab_size >= 1 && c->max_position_embeddings >= 1 &&
            c->type_vocab_size >= 1);
    require(c->layer_norm_eps > 0 && c->max_length >= 1 && c->max_length <= c->max_position_embeddings);
}

/* The struct has holes, so fields are compared by their description. */
static void check_round_trip(const struct sb_config *config)
{
    struct sb_config again;
    cJSON *json = cJSON_CreateObject(), *reread = NULL;
    require(sb_config_add_missing(json, config));
    char *text = cJSON_PrintUnformatted(json);
    require(sb_json_parse(&reread, text, strlen(text), NULL) == SB_OK);
    require(sb_config_from_json(&again, reread, false, NULL) == SB_OK);
    cJSON *first = sb_config_describe(config), *second = sb_config_describe(&again);
    char *first_text = cJSON_PrintUnformatted(first), *second_text = cJSON_PrintUnformatted(second);
    require(strcmp(first_text, second_text) == 0);
    cJSON_free(text);
    cJSON_free(first_text);
    cJSON_free(second_text);
    cJSON_Delete(json);
    cJSON_Delete(reread);
    cJSON_Delete(first);
    cJSON_Delete(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_config config;
    struct sb_modules modules;
    cJSON *json;
    if (sb_json_parse(&json, (const char *)data, size, NULL) != SB_OK)
        return 0;
    for (int google = 0; google < 2; google++) {
        if (sb_config_from_json(&config, json, google, NULL) == SB_OK) {
            check_bounds(&config);
            check_round_trip(&config);
        }
    }
    (void)!sb_modules_from_json(&modules, "no-such-folder", json, NULL);
    cJSON_Delete(json);
    return 0;
}
