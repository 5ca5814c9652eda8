/*
 * The config's keys for attention variants: "attention_parts", "factor_a", "factor_b", "factor_rank".
 */
#include "base/json.h"
#include "weights/config_impl.h"

#include <string.h>

enum { FACTOR_MAX = 8192 };

/* Without the key a RoFormer turns its queries and keys, and a BERT does not. */
static enum sb_status read_parts(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "attention_parts"), *item;
    const char *names[SB_ATTENTION_PARTS + 1] = {strcmp(config->model_type, "roformer") == 0 ? "rotary" : "vanilla"};
    int count = 0;
    if (!list || cJSON_IsNull(list))
        return sb_attention_from_names(&config->attention, names, 1, error);
    if (!cJSON_IsArray(list))
        return sb_fail(error, SB_INVALID, "\"attention_parts\" must be a list of names, such as [\"vanilla\"]");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return sb_fail(error, SB_INVALID, "\"attention_parts\" holds something that is not a name");
        if (count == SB_ATTENTION_PARTS + 1)
            return sb_fail(error, SB_INVALID, "\"attention_parts\" has more than %d names", SB_ATTENTION_PARTS + 1);
        names[count++] = item->valuestring;
    }
    return sb_attention_from_names(&config->attention, names, count, error);
}

static enum sb_status read_factor(int *factor, const cJSON *json, const char *key, struct sb_error *error)
{
    int64_t value = 0; /* below the bound: the key is missing */
    enum sb_status status = sb_json_get_int(&value, 1, FACTOR_MAX, json, key, error);
    *factor = (int)value;
    return status;
}

static enum sb_status read_factors(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    struct sb_attention_config *a = &config->attention;
    enum sb_status status = read_factor(&a->factor_a, json, "factor_a", error);
    if (status == SB_OK)
        status = read_factor(&a->factor_b, json, "factor_b", error);
    if (status == SB_OK)
        status = read_factor(&a->factor_rank, json, "factor_rank", error);
    return status == SB_OK ? sb_attention_complete(a, config->max_position_embeddings, error) : status;
}

enum sb_status sb_config_read_attention(struct sb_config *config, const cJSON *json, struct sb_error *error)
{
    const struct sb_attention_config *a = &config->attention;
    enum sb_status status = read_parts(config, json, error);
    if (status == SB_OK && sb_attention_has(a, SB_PART_VANILLA) && sb_attention_has(a, SB_PART_ROTARY))
        status = sb_fail(error, SB_INVALID,
                         "\"attention_parts\" names both \"vanilla\" and \"rotary\", which share "
                         "their queries and keys: take one of them");
    if (status == SB_OK)
        status = read_factors(config, json, error);
    if (status == SB_OK && sb_attention_has(a, SB_PART_ROTARY) && config->attention_key_size % 2 != 0)
        status = sb_fail(error, SB_INVALID, "the key size %d is odd, but rotary positions turn pairs",
                         config->attention_key_size);
    return status;
}

/* False if out of memory. The value replaces another one: the model may have been made over. */
static bool put(cJSON *json, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    if (value && cJSON_AddItemToObject(json, key, value))
        return true;
    cJSON_Delete(value);
    return false;
}

bool sb_config_put_attention(cJSON *json, const struct sb_config *config)
{
    const struct sb_attention_config *a = &config->attention;
    const char *names[SB_ATTENTION_PARTS + 1];
    int count = sb_attention_names(names, a);
    bool good = put(json, "attention_parts", cJSON_CreateStringArray(names, count));
    if (sb_attention_has(a, SB_PART_FACTORISED_DENSE))
        good = good && put(json, "factor_a", cJSON_CreateNumber(a->factor_a)) &&
               put(json, "factor_b", cJSON_CreateNumber(a->factor_b));
    if (sb_attention_has(a, SB_PART_FACTORISED_RANDOM))
        good = good && put(json, "factor_rank", cJSON_CreateNumber(a->factor_rank));
    return good;
}
