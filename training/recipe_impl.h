/*
 * Inside of recipes: the table of keys, and the walks over it. Only training/recipe*.c include this.
 */
#ifndef SB_TRAINING_RECIPE_IMPL_H
#define SB_TRAINING_RECIPE_IMPL_H

#include "training/recipe.h"

#include <cjson/cJSON.h>

enum sb_field_type {
    SB_FIELD_COUNT,      /* uint64_t, a whole number in [low, high] */
    SB_FIELD_NUMBER,     /* double in [low, high] */
    SB_FIELD_BOOL,       /* bool */
    SB_FIELD_TEXT,       /* const char *, NULL: none */
    SB_FIELD_NAME,       /* const char *, one of choices */
    SB_FIELD_CHOICE,     /* int, the place in choices */
    SB_FIELD_TEXTS,      /* struct sb_recipe_texts, at most high */
    SB_FIELD_NUMBERS,    /* struct sb_recipe_numbers in [low, high], at most SB_LOSS_MAX_CUTS */
    SB_FIELD_FILES,      /* struct sb_recipe_files: paths, or objects of sb_file_fields */
    SB_FIELD_OBJECTIVES, /* struct sb_recipe_objectives: objects of sb_objective_fields */
    SB_FIELD_SECTION,    /* an object of `fields`, whose offsets count from the same base */
};

struct sb_field {
    const char *name; /* NULL ends a table */
    enum sb_field_type type;
    size_t offset;
    /* The default as it stands in JSON, texts without their quotes; of a list "[]". NULL: null, which is SB_RECIPE_AUTO for a
       count, NaN for a number, NULL for a text, and a list that is not given. */
    const char *standard;
    double low, high;
    const char *choices; /* "a|b|c" */
    const struct sb_field *fields;
    const char *help;
};

/* recipe_fields.c */
extern const struct sb_field sb_recipe_fields[], sb_objective_fields[], sb_file_fields[];

/* What an entry of "data" can say beside a path. */
struct sb_recipe_file {
    const char *file, *columns;
    int kind; /* enum sb_data_kind */
    struct sb_recipe_numbers score_range;
};

/* recipe_defaults.c: sets the fields of a table to their defaults. */
void sb_fields_default(const struct sb_field *fields, void *base);
/* Frees the lists of a table. */
void sb_fields_free(const struct sb_field *fields, void *base);
/* Number of text[size] among the choices "a|b|c", -1: none of them. */
int sb_choice_find(const char *choices, const char *text, size_t size);
/* Choice number i, *size bytes long; NULL past the last. */
const char *sb_choice_at(const char *choices, int i, size_t *size);

/* One more item behind items[count] of this size; NULL: no memory, the list is as it was. */
void *sb_list_grow(void *items, size_t count, size_t size);

/* recipe_read.c: reads an object by its table into base, which holds the defaults; path names the object in messages. */
enum sb_status sb_fields_read(const struct sb_field *fields, void *base, const cJSON *object, const char *path,
                              struct sb_error *error);

/* recipe_objectives.c */
struct sb_objective_kind {
    const char *name;
    enum sb_rows rows;
    const char *loss; /* of training/losses.h; NULL: of logits */
};
const struct sb_objective_kind *sb_objective_kind_find(const char *name);

#endif
