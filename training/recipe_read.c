/*
 * JSON -> recipe, by the tables of recipe_fields.c.
 */
#include "base/json.h"
#include "base/nearest.h"
#include "training/recipe_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_BYTES = 160, LIST_MAX = 1000 };

/* ---- Did you mean ---- */

static const char *nearest_name(const struct sb_field *fields, const char *written)
{
    struct sb_nearest nearest = {.typed = written};
    for (const struct sb_field *f = fields; f->name; f++)
        sb_nearest_offer(&nearest, f->name);
    return nearest.name;
}

/* Appends ", " and so on for a message that lists. */
static void list_names(struct sb_buffer *out, const struct sb_field *fields)
{
    for (const struct sb_field *f = fields; f->name; f++)
        sb_buffer_format(out, "%s%s", f == fields ? "" : ", ", f->name);
}

static enum sb_status fail_unknown(const struct sb_field *fields, const char *key, const char *path,
                                   struct sb_error *error)
{
    const char *nearest = nearest_name(fields, key);
    if (nearest)
        return sb_fail(error, SB_INVALID, "%s has no \"%.60s\"; did you mean \"%s\"?", path, key, nearest);
    struct sb_buffer known = {0};
    list_names(&known, fields);
    enum sb_status status =
        sb_fail(error, SB_INVALID, "%s has no \"%.60s\"; there are %s", path, key, known.data ? known.data : "others");
    sb_buffer_free(&known);
    return status;
}

/* ---- Values ---- */

/* Where a value stands: "recipe.objectives[1].scale". */
struct place {
    char path[PATH_MAX_BYTES];
};

static struct place place_of(const char *path, const char *name)
{
    struct place p;
    snprintf(p.path, sizeof p.path, "%s.%.64s", path, name);
    return p;
}

static struct place place_at(const char *path, size_t index)
{
    struct place p;
    snprintf(p.path, sizeof p.path, "%.*s[%zu]", (int)sizeof p.path - 24, path, index);
    return p;
}

static enum sb_status fail_type(const cJSON *json, const char *path, const char *wanted, struct sb_error *error)
{
    char *text = cJSON_PrintUnformatted(json);
    enum sb_status status =
        sb_fail(error, SB_INVALID, "%s: %s is wanted, not %.80s", path, wanted, text ? text : "what is there");
    free(text);
    return status;
}

static enum sb_status read_number(double *value, const struct sb_field *f, const cJSON *json, const char *path,
                                  struct sb_error *error)
{
    if (!cJSON_IsNumber(json))
        return fail_type(json, path, "a number", error);
    if (!(json->valuedouble >= f->low && json->valuedouble <= f->high))
        return sb_fail(error, SB_INVALID, "%s: %g is not in [%g, %g]", path, json->valuedouble, f->low, f->high);
    *value = json->valuedouble;
    return SB_OK;
}

static enum sb_status read_count(uint64_t *value, const struct sb_field *f, const cJSON *json, const char *path,
                                 struct sb_error *error)
{
    double number = 0;
    enum sb_status status = read_number(&number, f, json, path, error);
    if (status != SB_OK)
        return status;
    if (number != floor(number))
        return fail_type(json, path, "a whole number", error);
    *value = (uint64_t)number;
    return SB_OK;
}

static enum sb_status read_choice(int *value, const struct sb_field *f, const cJSON *json, const char *path,
                                  struct sb_error *error)
{
    if (!cJSON_IsString(json))
        return fail_type(json, path, "a string", error);
    *value = sb_choice_find(f->choices, json->valuestring, strlen(json->valuestring));
    if (*value >= 0)
        return SB_OK;
    return sb_fail(error, SB_INVALID, "%s: \"%.60s\" is none of %s", path, json->valuestring, f->choices);
}

static enum sb_status read_text(const char **value, const cJSON *json, const char *path, struct sb_error *error)
{
    if (!cJSON_IsString(json) || !*json->valuestring)
        return fail_type(json, path, "a text", error);
    *value = json->valuestring;
    return SB_OK;
}

/* ---- Lists ---- */

static enum sb_status start_list(const cJSON *json, size_t most, const char *path, struct sb_error *error)
{
    if (!cJSON_IsArray(json))
        return fail_type(json, path, "a list", error);
    if ((size_t)cJSON_GetArraySize(json) > most)
        return sb_fail(error, SB_INVALID, "%s has %d entries, more than %zu", path, cJSON_GetArraySize(json), most);
    return SB_OK;
}

static enum sb_status no_memory(const char *path, struct sb_error *error)
{
    return sb_fail(error, SB_NO_MEMORY, "no memory for %s", path);
}

static enum sb_status read_texts(struct sb_recipe_texts *list, const struct sb_field *f, const cJSON *json,
                                 const char *path, struct sb_error *error)
{
    const cJSON *item;
    enum sb_status status = start_list(json, (size_t)f->high, path, error);
    list->given = status == SB_OK;
    for (item = status == SB_OK ? json->child : NULL; status == SB_OK && item; item = item->next) {
        const char **items = sb_list_grow(list->items, list->count, sizeof *items);
        if (!items)
            return no_memory(path, error);
        list->items = items;
        status = read_text(&items[list->count], item, place_at(path, list->count).path, error);
        list->count += status == SB_OK;
    }
    return status;
}

static enum sb_status read_numbers(struct sb_recipe_numbers *list, const struct sb_field *f, const cJSON *json,
                                   const char *path, struct sb_error *error)
{
    enum sb_status status = start_list(json, SB_LOSS_MAX_CUTS, path, error);
    list->given = status == SB_OK;
    for (const cJSON *item = status == SB_OK ? json->child : NULL; status == SB_OK && item; item = item->next) {
        double *items = sb_list_grow(list->items, list->count, sizeof *items);
        if (!items)
            return no_memory(path, error);
        list->items = items;
        status = read_number(&items[list->count], f, item, place_at(path, list->count).path, error);
        list->count += status == SB_OK;
    }
    return status;
}

/* A path, or an object that says more. */
static enum sb_status read_file(struct sb_data_file *file, const cJSON *json, const char *path, struct sb_error *error)
{
    struct sb_recipe_file fields = {0};
    *file = (struct sb_data_file){0};
    if (cJSON_IsString(json))
        return read_text(&file->path, json, path, error);
    sb_fields_default(sb_file_fields, &fields);
    enum sb_status status = sb_fields_read(sb_file_fields, &fields, json, path, error);
    const double *range = fields.score_range.items;
    if (status == SB_OK && !fields.file)
        status = sb_fail(error, SB_INVALID, "%s has no \"file\"", path);
    if (status == SB_OK && fields.score_range.given && (fields.score_range.count != 2 || !(range[0] < range[1])))
        status = sb_fail(error, SB_INVALID, "%s.score_range is not [low, high] with low < high", path);
    if (status == SB_OK)
        *file = (struct sb_data_file){
            .path = fields.file,
            .kind = (enum sb_data_kind)fields.kind,
            .columns = fields.columns,
            .score_low = range ? range[0] : 0,
            .score_high = range ? range[1] : 0,
        };
    sb_fields_free(sb_file_fields, &fields);
    return status;
}

static enum sb_status read_files(struct sb_recipe_files *list, const cJSON *json, const char *path,
                                 struct sb_error *error)
{
    enum sb_status status = start_list(json, LIST_MAX, path, error);
    for (const cJSON *item = status == SB_OK ? json->child : NULL; status == SB_OK && item; item = item->next) {
        struct sb_data_file *items = sb_list_grow(list->items, list->count, sizeof *items);
        if (!items)
            return no_memory(path, error);
        list->items = items;
        status = read_file(&items[list->count], item, place_at(path, list->count).path, error);
        list->count += status == SB_OK;
    }
    return status;
}

static enum sb_status read_objectives(struct sb_recipe_objectives *list, const struct sb_field *f, const cJSON *json,
                                      const char *path, struct sb_error *error)
{
    enum sb_status status = start_list(json, SB_RECIPE_MAX_OBJECTIVES, path, error);
    for (const cJSON *item = status == SB_OK ? json->child : NULL; status == SB_OK && item; item = item->next) {
        struct sb_recipe_objective *items = sb_list_grow(list->items, list->count, sizeof *items), *objective;
        if (!items)
            return no_memory(path, error);
        list->items = items;
        objective = &items[list->count];
        *objective = (struct sb_recipe_objective){0};
        sb_fields_default(f->fields, objective);
        struct place place = place_at(path, list->count++);
        status = sb_fields_read(f->fields, objective, item, place.path, error);
        if (status == SB_OK && !objective->name)
            status = sb_fail(error, SB_INVALID, "%s has no \"name\"", place.path);
    }
    return status;
}

/* ---- Objects ---- */

static enum sb_status read_value(const struct sb_field *f, void *base, const cJSON *json, const char *path,
                                 struct sb_error *error)
{
    void *at = (char *)base + f->offset;
    enum sb_status status = SB_OK;
    int choice = 0;
    switch (f->type) {
    case SB_FIELD_COUNT: return read_count(at, f, json, path, error);
    case SB_FIELD_NUMBER: return read_number(at, f, json, path, error);
    case SB_FIELD_BOOL:
        if (!cJSON_IsBool(json))
            return fail_type(json, path, "true or false", error);
        *(bool *)at = cJSON_IsTrue(json);
        return SB_OK;
    case SB_FIELD_TEXT: return read_text(at, json, path, error);
    case SB_FIELD_NAME:
        status = read_choice(&choice, f, json, path, error);
        if (status == SB_OK)
            *(const char **)at = json->valuestring;
        return status;
    case SB_FIELD_CHOICE: return read_choice(at, f, json, path, error);
    case SB_FIELD_TEXTS: return read_texts(at, f, json, path, error);
    case SB_FIELD_NUMBERS: return read_numbers(at, f, json, path, error);
    case SB_FIELD_FILES: return read_files(at, json, path, error);
    case SB_FIELD_OBJECTIVES: return read_objectives(at, f, json, path, error);
    case SB_FIELD_SECTION: return sb_fields_read(f->fields, base, json, path, error);
    }
    return SB_OK;
}

enum sb_status sb_fields_read(const struct sb_field *fields, void *base, const cJSON *object, const char *path,
                              struct sb_error *error)
{
    if (!cJSON_IsObject(object))
        return fail_type(object, path, "an object", error);
    for (const cJSON *item = object->child; item; item = item->next) {
        const struct sb_field *f = fields;
        while (f->name && strcmp(f->name, item->string) != 0)
            f++;
        if (!f->name)
            return fail_unknown(fields, item->string, path, error);
        if (cJSON_GetObjectItemCaseSensitive(object, f->name) != item)
            return sb_fail(error, SB_INVALID, "%s has \"%s\" twice", path, f->name);
        if (cJSON_IsNull(item))
            continue;
        enum sb_status status = read_value(f, base, item, place_of(path, f->name).path, error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}

enum sb_status sb_recipe_read(struct sb_recipe **recipe, const char *text, size_t size, struct sb_error *error)
{
    *recipe = NULL;
    if (size > SB_RECIPE_MAX_BYTES)
        return sb_fail(error, SB_LIMIT, "a recipe of %zu bytes: %d are possible", size, SB_RECIPE_MAX_BYTES);
    struct sb_recipe *r = calloc(1, sizeof *r);
    if (!r)
        return no_memory("a recipe", error);
    sb_fields_default(sb_recipe_fields, r);
    cJSON *json = NULL;
    enum sb_status status = sb_json_parse(&json, text, size, error);
    r->json = json;
    if (status != SB_OK)
        sb_fail_context(error, status, "recipe");
    else
        status = sb_fields_read(sb_recipe_fields, r, json, "recipe", error);
    if (status == SB_OK)
        *recipe = r;
    else
        sb_recipe_free(r);
    return status;
}

enum sb_status sb_recipe_new(struct sb_recipe **recipe, struct sb_error *error)
{
    return sb_recipe_read(recipe, "{}", 2, error);
}

void sb_recipe_free(struct sb_recipe *recipe)
{
    if (!recipe)
        return;
    sb_fields_free(sb_recipe_fields, recipe);
    for (size_t i = 0; i < recipe->copies.count; i++)
        free((void *)(uintptr_t)recipe->copies.items[i]);
    free(recipe->copies.items);
    cJSON_Delete(recipe->json);
    free(recipe);
}
