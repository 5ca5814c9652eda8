/* simbert COMMAND: the table of commands. */
#include "cli/command.h"
#include "base/nearest.h"
#include "cli/output.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    sb_command_run run;
    const char *summary;
} commands[] = {
    {"serve", sb_command_serve, "answer over HTTP: embeddings, similar sentences, paraphrases"},
    {"embed", sb_command_embed, "turn texts into vectors"},
    {"similar", sb_command_similar, "find the texts that are closest in meaning"},
    {"duplicates", sb_command_duplicates, "find the pairs of texts that mean nearly the same"},
    {"clusters", sb_command_clusters, "group texts by meaning"},
    {"coverage", sb_command_coverage, "find the questions that nothing in a list answers"},
    {"import", sb_command_import, "read sentences into a collection"},
    {"export", sb_command_export, "print a collection's sentences"},
    {"check", sb_command_check, "see whether a data directory is sound, and repair it"},
    {"paraphrase", sb_command_paraphrase, "say texts in other words"},
    {"tokenize", sb_command_tokenize, "show the tokens that a model sees"},
    {"inspect", sb_command_inspect, "say what a model directory holds, and what does not fit"},
    {"finetune", sb_command_finetune, "train the model on your own examples"},
    {"eval", sb_command_eval, "measure a model on pairs and paraphrases"},
    {"study", sb_command_study, "show what a technique of training does, run beside run"},
    {"convert", sb_command_convert, "rewrite a model directory as safetensors"},
    {"bench", sb_command_bench, "measure speed"},
    {"doctor", sb_command_doctor, "say what this machine offers, and check the model"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void put_help(struct sb_buffer *out)
{
    sb_buffer_text(out, "Usage: simbert COMMAND [OPTION]... [ARGUMENT]...\n"
                        "       simbert COMMAND --help\n"
                        "       simbert --version\n"
                        "\n"
                        "Embeds Chinese sentences, finds similar ones, and writes paraphrases.\n"
                        "\n"
                        "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        sb_buffer_format(out, "  %-12s%s\n", commands[i].name, commands[i].summary);
    sb_buffer_text(out,
                   "\n"
                   "Examples:\n"
                   "  simbert embed 怎么申请退货\n"
                   "  simbert similar --query 怎么把东西退掉 怎么申请退货 怎么开发票 忘记密码怎么办\n"
                   "  simbert paraphrase 怎么申请退货\n"
                   "  simbert serve --port 8080\n"
                   "\n"
                   "The model is --model DIR, else $SIMBERT_MODEL, else models/simbert-small-zh here or beside the\n"
                   "program. Every option --some-name can also be set in the environment: SIMBERT_SOME_NAME.\n"
                   "Exit status: 0 done, 1 failed, 2 the command line is wrong.\n");
}

static sb_command_run find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run;
    return NULL;
}

/* The error of a name that is no command. */
static int unknown(const char *name, struct sb_error *error)
{
    struct sb_nearest nearest = {.typed = name};
    for (size_t i = 0; i < COMMANDS; i++)
        sb_nearest_offer(&nearest, commands[i].name);
    if (nearest.name)
        sb_fail(error, SB_INVALID, "there is no command \"%s\"; did you mean %s?", name, nearest.name);
    else
        sb_fail(error, SB_INVALID, "there is no command \"%s\"", name);
    return SB_EXIT_USAGE;
}

static int print(void (*put)(struct sb_buffer *out), struct sb_error *error)
{
    struct sb_buffer text = {0};
    put(&text);
    enum sb_status status = sb_output_write(&text, error);
    sb_buffer_free(&text);
    return sb_exit(status);
}

static void put_version(struct sb_buffer *out)
{
    sb_buffer_text(out, "simbert " SB_VERSION "\n");
}

/* simbert help [COMMAND] */
static int help(const char *name, struct sb_error *error)
{
    char *argv[] = {"--help", NULL};
    if (!name)
        return print(put_help, error);
    sb_command_run run = find(name);
    return run ? run(argv, error) : unknown(name, error);
}

static int dispatch(char **argv, struct sb_error *error)
{
    const char *name = argv[1];
    if (!name) {
        sb_fail(error, SB_INVALID, "what shall it do? \"simbert help\" lists the commands");
        return SB_EXIT_USAGE;
    }
    if (strcmp(name, "--version") == 0)
        return print(put_version, error);
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argv[2], error);
    sb_command_run run = find(name);
    return run ? run(argv + 2, error) : unknown(name, error);
}

int main(int argc, char **argv)
{
    struct sb_error error = {0};
    if (argc < 1)
        return SB_EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of write() */
    int status = dispatch(argv, &error);
    if (status == SB_EXIT_OK)
        return status;
    bool known = argc > 1 && find(argv[1]);
    fprintf(stderr, "simbert%s%s: %s\n", known ? " " : "", known ? argv[1] : "", error.message);
    if (status == SB_EXIT_USAGE && argc > 1)
        fprintf(stderr, "\"simbert %s%s--help\" explains it.\n", known ? argv[1] : "", known ? " " : "");
    return status;
}
