#include "weights/attention.h"

#include <string.h>

static const char *const part_names[SB_ATTENTION_PARTS] = {
    [SB_PART_VANILLA] = "vanilla",
    [SB_PART_ROTARY] = "rotary",
    [SB_PART_DENSE] = "dense",
    [SB_PART_RANDOM] = "random",
    [SB_PART_FIXED_RANDOM] = "fixed_random",
    [SB_PART_FACTORISED_DENSE] = "factorised_dense",
    [SB_PART_FACTORISED_RANDOM] = "factorised_random",
};

static const char talking[] = "+talking";

bool sb_attention_has(const struct sb_attention_config *config, enum sb_attention_part part)
{
    for (int i = 0; i < config->part_count; i++)
        if (config->parts[i] == part)
            return true;
    return false;
}

const char *sb_attention_part_name(enum sb_attention_part part)
{
    return part_names[part];
}

static enum sb_status add_part(struct sb_attention_config *config, const char *name, struct sb_error *error)
{
    int part = 0;
    while (part < SB_ATTENTION_PARTS && strcmp(name, part_names[part]) != 0)
        part++;
    if (part == SB_ATTENTION_PARTS)
        return sb_fail(error, SB_UNSUPPORTED,
                       "\"attention_parts\" names \"%.60s\"; known are vanilla, rotary, dense, random, fixed_random, "
                       "factorised_dense, factorised_random, and +talking",
                       name);
    if (sb_attention_has(config, (enum sb_attention_part)part))
        return sb_fail(error, SB_INVALID, "\"attention_parts\" names \"%s\" twice", name);
    config->parts[config->part_count++] = (enum sb_attention_part)part;
    return SB_OK;
}

enum sb_status sb_attention_from_names(struct sb_attention_config *config, const char *const *names, int count,
                                       struct sb_error *error)
{
    enum sb_status status = SB_OK;
    config->part_count = 0;
    config->talking_heads = false;
    for (int i = 0; i < count && status == SB_OK; i++) {
        bool talks = strcmp(names[i], talking) == 0;
        if (talks && config->talking_heads)
            return sb_fail(error, SB_INVALID, "\"attention_parts\" names \"%s\" twice", talking);
        config->talking_heads = config->talking_heads || talks;
        if (!talks)
            status = add_part(config, names[i], error);
    }
    if (status == SB_OK && config->part_count == 0)
        return sb_fail(error, SB_INVALID, "\"attention_parts\" names no part that gives logits, such as \"vanilla\"");
    return status;
}

/* The smallest square's side that covers every position. */
static int square_side(int positions)
{
    int side = 1;
    while (side * side < positions)
        side++;
    return side;
}

enum sb_status sb_attention_complete(struct sb_attention_config *config, int positions, struct sb_error *error)
{
    enum { RANK_DEFAULT = 8 };
    if (config->factor_rank == 0)
        config->factor_rank = RANK_DEFAULT;
    if (config->factor_a == 0)
        config->factor_a = square_side(positions);
    if (config->factor_b == 0)
        config->factor_b = (positions + config->factor_a - 1) / config->factor_a;
    if (!sb_attention_has(config, SB_PART_FACTORISED_RANDOM))
        config->factor_rank = 0;
    if (!sb_attention_has(config, SB_PART_FACTORISED_DENSE))
        config->factor_a = config->factor_b = 0;
    else if (config->factor_a * config->factor_b < positions)
        return sb_fail(error, SB_INVALID,
                       "\"factor_a\" %d times \"factor_b\" %d is less than the %d of \"max_position_embeddings\": the "
                       "factorised logits do not reach the end of the longest row",
                       config->factor_a, config->factor_b, positions);
    return SB_OK;
}

int sb_attention_names(const char *names[SB_ATTENTION_PARTS + 1], const struct sb_attention_config *config)
{
    int count = 0;
    for (; count < config->part_count; count++)
        names[count] = part_names[config->parts[count]];
    if (config->talking_heads)
        names[count++] = talking;
    return count;
}
