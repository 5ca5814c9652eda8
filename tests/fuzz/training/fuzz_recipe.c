/* A recipe that is read is printed, read again and printed to the same text, before and after it is resolved. */
#include "training/recipe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printed(const struct sb_recipe *recipe)
{
    struct sb_buffer first = {0}, second = {0};
    struct sb_recipe *again;
    sb_recipe_write_json(recipe, &first);
    if (first.failed || sb_recipe_read(&again, first.data, first.length, NULL) != SB_OK)
        abort();
    sb_recipe_write_json(again, &second);
    if (second.failed || strcmp(first.data, second.data) != 0)
        abort();
    sb_recipe_free(again);
    sb_buffer_free(&first);
    sb_buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_recipe *recipe;
    if (sb_recipe_read(&recipe, (const char *)data, size, NULL) != SB_OK)
        return 0;
    check_printed(recipe);
    if (sb_recipe_resolve(recipe, NULL) == SB_OK) {
        check_printed(recipe);
        for (size_t i = 0; i < recipe->objectives.count; i++) {
            struct sb_loss_cut cuts[SB_LOSS_MAX_CUTS];
            const struct sb_recipe_objective *o = &recipe->objectives.items[i];
            if (sb_recipe_loss_class(o))
                (void)sb_recipe_loss_options(o, cuts);
            (void)sb_recipe_batch_options(recipe, i);
            (void)sb_recipe_data_options(recipe, sb_recipe_rows_of(recipe, i));
        }
    }
    sb_recipe_free(recipe);
    return 0;
}
