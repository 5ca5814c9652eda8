/* simbert convert: any model directory as safetensors with Hugging Face's names. */
#include "cli/command.h"
#include "weights/convert.h"

struct settings {
    const char *dtype;
};

static const struct sb_option options[] = {
    {"dtype", "f32|f16|bf16", SB_OPTION_STRING, offsetof(struct settings, dtype), 0, 0, "how weights are stored"},
    {0},
};
static const struct sb_option_group groups[] = {{options, 0}, {0}};

static void defaults(void *settings)
{
    ((struct settings *)settings)->dtype = "f32";
}

static enum sb_exit run(const void *given, const struct sb_arguments *arguments)
{
    const struct settings *settings = given;
    struct sb_error error;
    enum sb_dtype dtype;
    if (arguments->count != 2)
        return sb_exit_usage("two directories are needed, SRC and DST, not %zu", arguments->count);
    if (!sb_dtype_parse(settings->dtype, &dtype))
        return sb_exit_usage("--dtype %s is unknown", settings->dtype);
    if (sb_convert(arguments->items[0], arguments->items[1], dtype, &error) != SB_OK)
        return sb_exit_failure(&error);
    return SB_EXIT_OK;
}

const struct sb_command sb_command_convert = {
    .name = "convert",
    .summary = "writes a model directory as safetensors",
    .usage = "SRC DST",
    .details = "Reads TensorFlow, PyTorch and safetensors checkpoints and writes DST/model.safetensors with its config and\n"
               "tokenizer files; opening DST gives the model of SRC. DST may be SRC.\n",
    .examples = "  simbert convert chinese_simbert_L-12_H-768_A-12 simbert-base --dtype f16\n",
    .groups = groups,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .run = run,
};
