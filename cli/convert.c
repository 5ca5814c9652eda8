/* simbert convert */
#include "weights/convert.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/output.h"
#include "weights/checkpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The source's own number format where it is one that is written, f32 where there are several. */
static enum sb_status stored_dtype(enum sb_dtype *dtype, const char *dir, struct sb_error *error)
{
    struct sb_checkpoint *checkpoint;
    bool found = false;
    enum sb_status status = sb_checkpoint_open(&checkpoint, dir, error);
    *dtype = SB_F32;
    for (size_t i = 0; status == SB_OK && i < sb_checkpoint_count(checkpoint); i++) {
        enum sb_dtype one = sb_checkpoint_at(checkpoint, i)->dtype;
        if (one != SB_F32 && one != SB_F64 && one != SB_F16 && one != SB_BF16)
            continue; /* counters, position numbers */
        *dtype = one == SB_F64 || (found && one != *dtype) ? SB_F32 : one;
        if (*dtype == SB_F32)
            break;
        found = true;
    }
    if (status == SB_OK)
        sb_checkpoint_close(checkpoint);
    return status;
}

static enum sb_status report(const char *dst, const char *name, enum sb_dtype dtype, struct sb_error *error)
{
    struct sb_buffer out = {0};
    struct stat file;
    char *path = sb_path_join(dst, name);
    if (!path)
        return sb_fail(error, SB_NO_MEMORY, "no memory");
    if (stat(path, &file) == 0)
        sb_buffer_format(&out, "wrote %s: %.1f MB of %s\n", path, (double)file.st_size / 1e6, sb_dtype_name(dtype));
    enum sb_status status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    free(path);
    return status;
}

static enum sb_status convert(const char *src, const char *dst, bool to_tensorflow, const char *dtype_name,
                              struct sb_error *error)
{
    enum sb_dtype dtype = SB_F32;
    enum sb_status status = SB_OK;
    if (dtype_name && !sb_dtype_parse(dtype_name, &dtype))
        status = sb_fail(error, SB_INVALID, "--dtype %s is unknown", dtype_name);
    else if (!dtype_name && !to_tensorflow)
        status = stored_dtype(&dtype, src, error);
    if (status == SB_OK)
        status = to_tensorflow ? sb_convert_to_tensorflow(src, dst, dtype, error) : sb_convert(src, dst, dtype, error);
    if (status != SB_OK)
        return status;
    return report(dst, to_tensorflow ? "bert_model.ckpt.data-00000-of-00001" : "model.safetensors", dtype, error);
}

int sb_command_convert(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert convert [OPTION]... SRC DST\n"
        "\n"
        "Writes the model of directory SRC to directory DST. Formats:\n"
        "  safetensors  config.json, the vocabulary, model.safetensors under Hugging Face's names, and\n"
        "               sentence-transformers' modules.json where SRC has it\n"
        "  tensorflow   bert_config.json, the vocabulary and bert_model.ckpt.* under the names of Google's BERT and\n"
        "               SimBERT, which Keras scripts (bert4keras) load\n"
        "Embeddings and paraphrases from DST are those from SRC, but for the rounding when --dtype is smaller than\n"
        "what is stored.\n";
    static const char examples[] = "  simbert convert chinese_simbert_L-6_H-384_A-12 models/simbert --dtype f16\n"
                                   "  simbert convert --format tensorflow models/finetuned for-keras\n"
                                   "  simbert convert models/old models/new && simbert inspect models/new\n";
    const char *dtype = NULL, *format = "safetensors";
    const struct sb_option options[] = {
        {.name = "format", .type = SB_OPTION_CHOICE, .value = &format, .choices = "safetensors, tensorflow",
         .argument = "FORMAT", .default_text = "safetensors", .help = "kind of files that are written"},
        {.name = "dtype", .type = SB_OPTION_CHOICE, .value = &dtype, .choices = "f32, f16, bf16", .argument = "TYPE",
         .default_text = "as SRC, f32 if it mixes several; f32 for tensorflow", .help = "number format of the weights"},
        {0},
    };
    const struct sb_option_group groups[] = {{"Options", options}, {0}};
    int count, exit;
    if (!sb_command_begin(about, groups, examples, argv, &count, &exit, error))
        return exit;
    if (count != 2) {
        sb_fail(error, SB_INVALID, "it takes two directories, SRC and DST, not %d", count);
        return SB_EXIT_USAGE;
    }
    return sb_exit(convert(argv[0], argv[1], strcmp(format, "tensorflow") == 0, dtype, error));
}
