/*
 * Defaults of a recipe's tables, and the ends of what they allocated.
 */
#include "training/recipe_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *sb_choice_at(const char *choices, int i, size_t *size)
{
    for (; i > 0; i--) {
        const char *bar = strchr(choices, '|');
        if (!bar)
            return NULL;
        choices = bar + 1;
    }
    *size = strcspn(choices, "|");
    return choices;
}

int sb_choice_find(const char *choices, const char *text, size_t size)
{
    size_t found;
    for (int i = 0;; i++) {
        const char *choice = sb_choice_at(choices, i, &found);
        if (!choice || (found == size && memcmp(choice, text, size) == 0))
            return choice ? i : -1;
    }
}

void *sb_list_grow(void *items, size_t count, size_t size)
{
    return realloc(items, (count + 1) * size);
}

static void set_default(const struct sb_field *f, void *at)
{
    const char *standard = f->standard;
    switch (f->type) {
    case SB_FIELD_COUNT: *(uint64_t *)at = standard ? strtoull(standard, NULL, 10) : SB_RECIPE_AUTO; break;
    case SB_FIELD_NUMBER: *(double *)at = standard ? strtod(standard, NULL) : (double)NAN; break;
    case SB_FIELD_BOOL: *(bool *)at = strcmp(standard, "true") == 0; break;
    case SB_FIELD_TEXT:
    case SB_FIELD_NAME: *(const char **)at = standard; break;
    case SB_FIELD_CHOICE: *(int *)at = sb_choice_find(f->choices, standard, strlen(standard)); break;
    default: break; /* lists are empty, as zeroed */
    }
}

void sb_fields_default(const struct sb_field *fields, void *base)
{
    for (const struct sb_field *f = fields; f->name; f++)
        if (f->type == SB_FIELD_SECTION)
            sb_fields_default(f->fields, base);
        else
            set_default(f, (char *)base + f->offset);
}

static void free_field(const struct sb_field *f, void *at)
{
    switch (f->type) {
    case SB_FIELD_TEXTS: free(((struct sb_recipe_texts *)at)->items); break;
    case SB_FIELD_NUMBERS: free(((struct sb_recipe_numbers *)at)->items); break;
    case SB_FIELD_FILES: free(((struct sb_recipe_files *)at)->items); break;
    case SB_FIELD_OBJECTIVES: {
        struct sb_recipe_objectives *list = at;
        for (size_t i = 0; i < list->count; i++)
            sb_fields_free(f->fields, &list->items[i]);
        free(list->items);
        break;
    }
    default: break;
    }
}

void sb_fields_free(const struct sb_field *fields, void *base)
{
    for (const struct sb_field *f = fields; f->name; f++)
        if (f->type == SB_FIELD_SECTION)
            sb_fields_free(f->fields, base);
        else
            free_field(f, (char *)base + f->offset);
}
