/*
 * Conditions on a sentence's metadata, parsed once from JSON into a small program that is then run over the metadata as
 * it is stored, as text: a sentence costs one walk over its metadata and no allocation.
 *
 *     struct sb_filter *filter;
 *     if (sb_filter_parse(&filter, json, &error) == SB_OK)         // {"topic": "退货", "price": {"lt": 100}}
 *         kept = sb_filter_keeps(filter, metadata, strlen(metadata));
 *     sb_filter_free(filter);
 *
 * Grammar (JSON):
 *
 *     filter    = { member, ... }                 every member must hold; {} keeps everything
 *     member    = "and": [filter, ...]            all of them; of none: true
 *               | "or": [filter, ...]             one of them at least; of none: false
 *               | "not": filter
 *               | FIELD: scalar                   equals
 *               | FIELD: { operator, ... }        every operator must hold
 *     operator  = "eq": scalar | "ne": scalar | "in": [scalar, ...] | "exists": true or false
 *               | "gt": bound | "gte": bound | "lt": bound | "lte": bound
 *     scalar    = text | number | true | false | null
 *     bound     = text | number
 *
 * FIELD is a path, its steps separated by dots: "shop.city" is city within shop. A backslash before a character takes
 * it as it is: "a\.b" is one step, "\and" is a field called and. (In JSON the backslash itself is written twice.)
 *
 * A condition on a field that is a list holds if one of its elements meets it. Numbers compare with numbers, texts with
 * texts by their bytes (so ISO 8601 times are in order); of different types neither is less, nor are they equal. `ne`
 * is the opposite of `eq`, so it holds too where the field is missing. `exists` asks whether the field is there, even
 * as null. Of a name that an object holds twice the first counts.
 *
 * Thread rule: a filter is immutable; any number of threads may use one.
 */
#ifndef SB_RETRIEVAL_FILTER_H
#define SB_RETRIEVAL_FILTER_H

#include "base/json.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct sb_filter;

enum {
    SB_FILTER_MAX_DEPTH = 16,     /* and, or and not within each other; steps of a path */
    SB_FILTER_MAX_TESTS = 128,    /* operators in all */
    SB_FILTER_MAX_VALUES = 10000, /* operands in all */
};

/* SB_INVALID names the place, "filter.and[1].price: unknown operator "below"", and what would be possible. The filter
   keeps nothing of json. */
SB_MUST_CHECK enum sb_status sb_filter_parse(struct sb_filter **filter, const cJSON *json, struct sb_error *error);
void sb_filter_free(struct sb_filter *filter); /* NULL is fine */

/* metadata[0, size): a JSON object. What is not one has no fields. */
bool sb_filter_keeps(const struct sb_filter *filter, const char *metadata, size_t size);

#endif
