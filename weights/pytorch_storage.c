#include "weights/pytorch_impl.h"

#include <string.h>

static const struct sb_storage_type types[] = {
    {"FloatStorage", SB_F32, 4},        {"HalfStorage", SB_F16, 2}, {"BFloat16Storage", SB_BF16, 2},
    {"DoubleStorage", SB_F64, 8},       {"LongStorage", SB_I64, 8}, {"IntStorage", SB_I32, 4},
    {"CharStorage", SB_I8, 1},          {"ByteStorage", SB_U8, 1},  {"ShortStorage", SB_DTYPE_OTHER, 2},
    {"BoolStorage", SB_DTYPE_OTHER, 1},
};

size_t sb_tuple_items(int32_t *items, size_t room, const struct sb_pickle *pickle, const struct sb_pickle_value *tuple)
{
    size_t n = 0;
    if (tuple->kind != SB_PICKLE_TUPLE)
        return 0;
    for (int32_t i = tuple->first; i != SB_PICKLE_NOTHING && n < room; i = pickle->items[i].next)
        items[n++] = pickle->items[i].value;
    return tuple->count;
}

bool sb_pickle_text_is(const struct sb_pickle_value *value, const char *text)
{
    return value->kind == SB_PICKLE_STRING && value->size == strlen(text) &&
           memcmp(value->text, text, value->size) == 0;
}

bool sb_storage_id(struct sb_storage_id *id, const struct sb_pickle *pickle, const struct sb_pickle_value *value)
{
    int32_t items[6];
    const struct sb_pickle_value *v = pickle->values;
    size_t count = value->kind == SB_PICKLE_PERSISTENT ? sb_tuple_items(items, 6, pickle, &v[value->argument]) : 0;
    if (count < 5 || !sb_pickle_text_is(&v[items[0]], "storage") || v[items[1]].kind != SB_PICKLE_GLOBAL ||
        v[items[2]].kind != SB_PICKLE_STRING || v[items[2]].size > SB_STORAGE_KEY_MAX ||
        v[items[4]].kind != SB_PICKLE_INT || v[items[4]].integer < 0)
        return false;
    if (count > 5 && v[items[5]].kind != SB_PICKLE_NONE) /* a view of another storage */
        return false;
    *id = (struct sb_storage_id){
        .key = v[items[2]].text, .key_size = v[items[2]].size, .elements = (size_t)v[items[4]].integer};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(v[items[1]].global->name, types[i].name) == 0)
            id->type = &types[i];
    return id->type != NULL;
}
