/*
 * Reading a filter's JSON into tests, rules and steps. Every refusal names its place: "filter.and[1].price".
 */
#include "retrieval/filter_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_MAX = 512 };

struct parser {
    struct sb_filter *filter;
    struct sb_error *error;
    char place[256]; /* where it stands, for messages; cut when longer */
    size_t place_size;
    int depth;
};

static enum sb_status parse_filter(struct parser *p, const cJSON *json, int *rule);

/* ---- places and failures ---- */

/* Goes one step further; the result is what leave() takes. */
static size_t enter(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static size_t enter(struct parser *p, const char *format, ...)
{
    size_t before = p->place_size, room = sizeof p->place - before;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(p->place + before, room, format, args);
    va_end(args);
    p->place_size += written < 0 ? 0 : (size_t)written < room ? (size_t)written : room - 1;
    return before;
}

static void leave(struct parser *p, size_t before)
{
    p->place_size = before;
    p->place[before] = '\0';
}

static enum sb_status fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum sb_status fail(struct parser *p, const char *format, ...)
{
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return sb_fail(p->error, SB_INVALID, "%s: %s", p->place, message);
}

static enum sb_status no_memory(struct parser *p)
{
    return sb_fail(p->error, SB_NO_MEMORY, "no memory for the filter");
}

/* ---- the arrays ---- */

static enum sb_status add_rule(struct parser *p, enum sb_filter_rule_kind kind, int *rule)
{
    struct sb_filter *f = p->filter;
    if (f->rule_count == SB_FILTER_MAX_RULES)
        return fail(p, "the filter has more than %d parts", SB_FILTER_MAX_RULES);
    *rule = f->rule_count++;
    f->rules[*rule] = (struct sb_filter_rule){.kind = kind, .test = SB_NONE, .child = SB_NONE, .next = SB_NONE};
    return SB_OK;
}

/* Puts child before the other operands: their order does not matter. */
static void add_operand(struct sb_filter *f, int rule, int child)
{
    f->rules[child].next = f->rules[rule].child;
    f->rules[rule].child = child;
}

static enum sb_status add_test(struct parser *p, int step, enum sb_filter_test_kind kind, int rule, int *test)
{
    struct sb_filter *f = p->filter;
    int rule_of_test = SB_NONE;
    if (f->test_count == SB_FILTER_MAX_TESTS)
        return fail(p, "the filter has more than %d operators", SB_FILTER_MAX_TESTS);
    enum sb_status status = add_rule(p, SB_RULE_TEST, &rule_of_test);
    if (status != SB_OK)
        return status;
    *test = f->test_count++;
    f->fields += f->steps[step].test == SB_NONE;
    f->tests[*test] = (struct sb_filter_test){.kind = kind, .next = f->steps[step].test};
    f->steps[step].test = *test;
    f->rules[rule_of_test].test = *test;
    add_operand(f, rule, rule_of_test);
    return SB_OK;
}

/* The step called name below parent, made if it is new. */
static enum sb_status find_step(struct parser *p, int parent, const char *name, size_t size, int *step)
{
    struct sb_filter *f = p->filter;
    for (int i = f->steps[parent].child; i != SB_NONE; i = f->steps[i].next)
        if (f->steps[i].size == size && memcmp(f->steps[i].name, name, size) == 0) {
            *step = i;
            return SB_OK;
        }
    if (f->step_count == SB_FILTER_MAX_STEPS)
        return fail(p, "the filter names more than %d fields", SB_FILTER_MAX_STEPS);
    char *copy = malloc(size + 1);
    if (!copy)
        return no_memory(p);
    memcpy(copy, name, size);
    *step = f->step_count++;
    f->steps[*step] = (struct sb_filter_step){
        .name = copy, .size = size, .child = SB_NONE, .next = f->steps[parent].child, .test = SB_NONE};
    f->steps[parent].child = *step;
    return SB_OK;
}

/* "shop.city" to its step; a backslash takes the next character as it is. */
static enum sb_status find_field(struct parser *p, const char *path, int *step)
{
    char name[FIELD_MAX];
    int depth = 0;
    *step = 0;
    if (strlen(path) >= sizeof name)
        return fail(p, "the field's name has %zu bytes; at most %d are possible", strlen(path), FIELD_MAX - 1);
    for (const char *at = path;; at++) {
        size_t size = 0;
        for (; *at && *at != '.'; at++) {
            if (*at == '\\' && at[1])
                at++;
            name[size++] = *at;
        }
        if (size == 0)
            return fail(p, "a field's name, or a part of it between dots, is empty");
        if (++depth > SB_FILTER_MAX_DEPTH)
            return fail(p, "the field is a path of more than %d steps", SB_FILTER_MAX_DEPTH);
        enum sb_status status = find_step(p, *step, name, size, step);
        if (status != SB_OK || !*at)
            return status;
    }
}

/* ---- operands ---- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
    return sb_filter_text_order(*(const struct sb_filter_text *)a, *(const struct sb_filter_text *)b);
}

/* Copies the texts and numbers of a list (the siblings from `first`, or only it) into the test, sorted. */
static enum sb_status copy_values(struct parser *p, struct sb_filter_test *test, const cJSON *first, bool is_list)
{
    size_t texts = 0, numbers = 0, bytes = 0;
    for (const cJSON *v = first; v; v = is_list ? v->next : NULL) {
        texts += cJSON_IsString(v) != 0;
        numbers += cJSON_IsNumber(v) != 0;
        bytes += cJSON_IsString(v) ? strlen(v->valuestring) : 0;
    }
    test->texts = malloc(texts * sizeof *test->texts + bytes + 1);
    test->numbers = malloc(numbers * sizeof *test->numbers + 1);
    if (!test->texts || !test->numbers)
        return no_memory(p);
    char *at = (char *)(test->texts + texts);
    for (const cJSON *v = first; v; v = is_list ? v->next : NULL) {
        if (cJSON_IsNumber(v))
            test->numbers[test->number_count++] = v->valuedouble;
        if (!cJSON_IsString(v))
            continue;
        size_t size = strlen(v->valuestring);
        memcpy(at, v->valuestring, size);
        test->texts[test->text_count++] = (struct sb_filter_text){at, size};
        at += size;
    }
    qsort(test->texts, texts, sizeof *test->texts, by_text);
    qsort(test->numbers, numbers, sizeof *test->numbers, by_number);
    return SB_OK;
}

static bool is_scalar(const cJSON *json)
{
    return cJSON_IsString(json) || cJSON_IsNumber(json) || cJSON_IsBool(json) || cJSON_IsNull(json);
}

static enum sb_status count_values(struct parser *p, int more)
{
    p->filter->values += more;
    return p->filter->values > SB_FILTER_MAX_VALUES
               ? fail(p, "the filter has more than %d values", SB_FILTER_MAX_VALUES)
               : SB_OK;
}

/* Equals one of the values, or of one value. */
static enum sb_status add_in(struct parser *p, int step, int rule, const cJSON *values, bool is_list)
{
    int test = SB_NONE, count = 0;
    const cJSON *first = is_list ? values->child : values;
    for (const cJSON *v = first; v; v = is_list ? v->next : NULL, count++)
        if (!is_scalar(v))
            return fail(p, "%s must be a text, a number, true, false or null", is_list ? "each value" : "the value");
    enum sb_status status = count_values(p, count);
    if (status == SB_OK)
        status = add_test(p, step, SB_TEST_IN, rule, &test);
    if (status != SB_OK)
        return status;
    struct sb_filter_test *t = &p->filter->tests[test];
    for (const cJSON *v = first; v; v = is_list ? v->next : NULL) {
        t->has_true = t->has_true || cJSON_IsTrue(v);
        t->has_false = t->has_false || cJSON_IsFalse(v);
        t->has_null = t->has_null || cJSON_IsNull(v);
    }
    return copy_values(p, t, first, is_list);
}

/* ---- operators ---- */

static enum sb_status parse_eq(struct parser *p, int step, int rule, const cJSON *operand)
{
    return add_in(p, step, rule, operand, false);
}

/* Adds NOT below rule; what it negates goes below it. */
static enum sb_status add_not(struct parser *p, int rule, int *negation)
{
    enum sb_status status = add_rule(p, SB_RULE_NOT, negation);
    if (status == SB_OK)
        add_operand(p->filter, rule, *negation);
    return status;
}

static enum sb_status parse_ne(struct parser *p, int step, int rule, const cJSON *operand)
{
    int negation = SB_NONE;
    enum sb_status status = add_not(p, rule, &negation);
    return status == SB_OK ? add_in(p, step, negation, operand, false) : status;
}

static enum sb_status parse_in(struct parser *p, int step, int rule, const cJSON *operand)
{
    if (!cJSON_IsArray(operand))
        return fail(p, "a list of values is expected");
    return add_in(p, step, rule, operand, true);
}

static enum sb_status parse_exists(struct parser *p, int step, int rule, const cJSON *operand)
{
    int test = SB_NONE;
    enum sb_status status = SB_OK;
    if (!cJSON_IsBool(operand))
        return fail(p, "true or false is expected");
    if (cJSON_IsFalse(operand))
        status = add_not(p, rule, &rule);
    return status == SB_OK ? add_test(p, step, SB_TEST_EXISTS, rule, &test) : status;
}

static enum sb_status add_bound(struct parser *p, int step, int rule, const cJSON *operand, bool above, bool or_equal)
{
    int test = SB_NONE;
    if (!cJSON_IsNumber(operand) && !cJSON_IsString(operand))
        return fail(p, "a number or a text is expected");
    enum sb_status status = count_values(p, 1);
    if (status == SB_OK)
        status = add_test(p, step, SB_TEST_BOUND, rule, &test);
    if (status != SB_OK)
        return status;
    p->filter->tests[test].above = above;
    p->filter->tests[test].or_equal = or_equal;
    return copy_values(p, &p->filter->tests[test], operand, false);
}

static enum sb_status parse_gt(struct parser *p, int step, int rule, const cJSON *operand)
{
    return add_bound(p, step, rule, operand, true, false);
}

static enum sb_status parse_gte(struct parser *p, int step, int rule, const cJSON *operand)
{
    return add_bound(p, step, rule, operand, true, true);
}

static enum sb_status parse_lt(struct parser *p, int step, int rule, const cJSON *operand)
{
    return add_bound(p, step, rule, operand, false, false);
}

static enum sb_status parse_lte(struct parser *p, int step, int rule, const cJSON *operand)
{
    return add_bound(p, step, rule, operand, false, true);
}

static const struct {
    const char *name;
    enum sb_status (*parse)(struct parser *p, int step, int rule, const cJSON *operand);
} operators[] = {{"eq", parse_eq}, {"ne", parse_ne},   {"in", parse_in}, {"exists", parse_exists},
                 {"gt", parse_gt}, {"gte", parse_gte}, {"lt", parse_lt}, {"lte", parse_lte}};
enum { OPERATORS = sizeof operators / sizeof *operators };

static enum sb_status parse_operator(struct parser *p, int step, int rule, const cJSON *operand)
{
    for (size_t i = 0; i < OPERATORS; i++) {
        if (strcmp(operators[i].name, operand->string) != 0)
            continue;
        size_t before = enter(p, ".%s", operand->string);
        enum sb_status status = operators[i].parse(p, step, rule, operand);
        leave(p, before);
        return status;
    }
    return fail(p,
                "unknown operator \"%.64s\"; eq, ne, in, exists, gt, gte, lt and lte are possible (a field within a "
                "field is \"outer.inner\")",
                operand->string);
}

/* ---- members ---- */

static enum sb_status parse_field(struct parser *p, const cJSON *member, int rule)
{
    int step;
    if (member->string[0] == '$')
        return fail(p, "unknown operator; operators have no $, and a field called so is \"\\%.64s\"", member->string);
    enum sb_status status = find_field(p, member->string, &step);
    if (status != SB_OK)
        return status;
    if (cJSON_IsArray(member))
        return fail(p, "a list is no value; {\"in\": [...]} asks for one of several");
    if (!cJSON_IsObject(member))
        return add_in(p, step, rule, member, false);
    if (!member->child)
        return fail(p, "no operator is given");
    for (const cJSON *operand = member->child; operand && status == SB_OK; operand = operand->next)
        status = parse_operator(p, step, rule, operand);
    return status;
}

/* Adds a rule over the filters of a list. */
static enum sb_status parse_list(struct parser *p, const cJSON *list, enum sb_filter_rule_kind kind, int parent)
{
    int rule = SB_NONE, child = SB_NONE, index = 0;
    if (!cJSON_IsArray(list))
        return fail(p, "a list of filters is expected");
    enum sb_status status = add_rule(p, kind, &rule);
    if (status != SB_OK)
        return status;
    add_operand(p->filter, parent, rule);
    for (const cJSON *item = list->child; item && status == SB_OK; item = item->next, index++) {
        size_t before = enter(p, "[%d]", index);
        status = parse_filter(p, item, &child);
        leave(p, before);
        if (status == SB_OK)
            add_operand(p->filter, rule, child);
    }
    return status;
}

static enum sb_status parse_not(struct parser *p, const cJSON *member, int parent)
{
    int negation = SB_NONE, child = SB_NONE;
    enum sb_status status = add_not(p, parent, &negation);
    if (status == SB_OK)
        status = parse_filter(p, member, &child);
    if (status == SB_OK)
        add_operand(p->filter, negation, child);
    return status;
}

static enum sb_status parse_member(struct parser *p, const cJSON *member, int rule)
{
    size_t before = enter(p, ".%.100s", member->string);
    enum sb_status status;
    if (strcmp(member->string, "and") == 0)
        status = parse_list(p, member, SB_RULE_AND, rule);
    else if (strcmp(member->string, "or") == 0)
        status = parse_list(p, member, SB_RULE_OR, rule);
    else if (strcmp(member->string, "not") == 0)
        status = parse_not(p, member, rule);
    else
        status = parse_field(p, member, rule);
    leave(p, before);
    return status;
}

static enum sb_status parse_filter(struct parser *p, const cJSON *json, int *rule)
{
    if (!cJSON_IsObject(json))
        return fail(p, "an object is expected, such as {\"topic\": \"shop\"}");
    if (p->depth == SB_FILTER_MAX_DEPTH)
        return fail(p, "filters are nested more than %d deep", SB_FILTER_MAX_DEPTH);
    enum sb_status status = add_rule(p, SB_RULE_AND, rule);
    p->depth++;
    for (const cJSON *member = json->child; member && status == SB_OK; member = member->next)
        status = parse_member(p, member, *rule);
    p->depth--;
    return status;
}

enum sb_status sb_filter_parse(struct sb_filter **filter, const cJSON *json, struct sb_error *error)
{
    struct parser p = {.error = error};
    int rule;
    *filter = NULL;
    p.filter = calloc(1, sizeof *p.filter);
    if (!p.filter)
        return no_memory(&p);
    p.filter->step_count = 1;
    p.filter->steps[0] = (struct sb_filter_step){.child = SB_NONE, .next = SB_NONE, .test = SB_NONE};
    enter(&p, "filter");
    enum sb_status status = parse_filter(&p, json, &rule); /* rule 0 */
    if (status != SB_OK) {
        sb_filter_free(p.filter);
        return status;
    }
    *filter = p.filter;
    return SB_OK;
}

void sb_filter_free(struct sb_filter *filter)
{
    if (!filter)
        return;
    for (int i = 0; i < filter->test_count; i++) {
        free(filter->tests[i].texts);
        free(filter->tests[i].numbers);
    }
    for (int i = 0; i < filter->step_count; i++)
        free(filter->steps[i].name);
    free(filter);
}
