/* The names by which the choices of a collection are stored and asked for. */
#include "retrieval/store.h"

#include <string.h>

static const char *const vectors_names[SB_VECTORS_FORMS] = {"f32", "f16", "int16", "int8"};
static const char *const search_names[SB_SEARCH_KINDS] = {"auto", "exact"};

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; name && i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

const char *sb_vectors_name(enum sb_vectors vectors)
{
    return vectors_names[vectors];
}

bool sb_vectors_parse(const char *name, enum sb_vectors *vectors)
{
    int found = find_name(vectors_names, SB_VECTORS_FORMS, name);
    if (found >= 0)
        *vectors = (enum sb_vectors)found;
    return found >= 0;
}

const char *sb_search_kind_name(enum sb_search_kind kind)
{
    return search_names[kind];
}

bool sb_search_kind_parse(const char *name, enum sb_search_kind *kind)
{
    int found = find_name(search_names, SB_SEARCH_KINDS, name);
    if (found >= 0)
        *kind = (enum sb_search_kind)found;
    return found >= 0;
}
