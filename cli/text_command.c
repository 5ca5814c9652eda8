#include "cli/text_command.h"

bool sb_text_command_begin(const char *about, const struct sb_option *options, const char *examples,
                           struct sb_text_choice *texts, struct sb_model_choice *model, char **argv, int *count,
                           int *exit, struct sb_error *error)
{
    struct sb_option text_options[SB_TEXT_OPTIONS], model_options[SB_MODEL_OPTIONS];
    const struct sb_option_group groups[] = {
        {"Options", options}, {"Texts", text_options}, {"Model", model_options}, {0}};
    sb_text_options_table(text_options, texts);
    sb_model_options_table(model_options, model);
    return sb_command_begin(about, groups, examples, argv, count, exit, error);
}

enum sb_status sb_text_command_mine(const struct sb_text_choice *texts, const struct sb_model_choice *model_choice,
                                    char **arguments, int count,
                                    enum sb_status (*work)(void *context, const struct sb_text_vectors *all,
                                                           const struct sb_mining *set, struct sb_error *error),
                                    void *context, struct sb_error *error)
{
    struct sb_model *model = NULL;
    struct sb_text_vectors all = {0};
    int threads = sb_model_choice_threads(model_choice);
    enum sb_status status = sb_model_choice_open(&model, model_choice, error);
    if (status == SB_OK)
        status = sb_text_vectors_load(&all, model, threads, texts, arguments, count, error);
    if (status == SB_OK) {
        struct sb_pool *pool = sb_pool_new(threads);
        struct sb_mining set = sb_text_vectors_set(&all, pool);
        status = work(context, &all, &set, error);
        sb_pool_free(pool);
    }
    sb_text_vectors_free(&all);
    sb_model_release(model);
    return status;
}
