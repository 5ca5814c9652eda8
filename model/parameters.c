#include "model/parameters.h"

#include <string.h>

const struct sb_parameter *sb_parameters_find(const struct sb_parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; i++)
        if (strcmp(parameters->items[i].name, name) == 0)
            return &parameters->items[i];
    return NULL;
}
