/*
 * Running a filter: one walk over the metadata's text, guided by the tree of fields; what is in no path is skipped, not
 * parsed. The text has been checked when it was stored; here only its end is guarded.
 */
#include "base/utf8.h"
#include "retrieval/filter_impl.h"

#include <stdlib.h>
#include <string.h>

/* The metadata and what has been found so far. */
struct walk {
    const struct sb_filter *filter;
    const char *at, *end;
    int left; /* fields that are asked about and were not met yet: at 0 the walk is over */
    bool holds[SB_FILTER_MAX_TESTS];
    bool seen[SB_FILTER_MAX_STEPS];
};

int sb_filter_text_order(struct sb_filter_text a, struct sb_filter_text b)
{
    size_t least = a.size < b.size ? a.size : b.size;
    int order = least ? memcmp(a.bytes, b.bytes, least) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- reading JSON ---- */

static bool skip_space(struct walk *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\n' || *w->at == '\t' || *w->at == '\r'))
        w->at++;
    return w->at < w->end;
}

static bool take(struct walk *w, char c)
{
    if (!skip_space(w) || *w->at != c)
        return false;
    w->at++;
    return true;
}

/* What stands between the quotes, escapes as they are. */
static bool read_string(struct walk *w, struct sb_filter_text *raw, bool *escaped)
{
    *escaped = false;
    if (!take(w, '"'))
        return false;
    raw->bytes = w->at;
    for (; w->at < w->end && *w->at != '"'; w->at++)
        if (*w->at == '\\' && w->at + 1 < w->end) {
            *escaped = true;
            w->at++;
        }
    if (w->at >= w->end)
        return false;
    raw->size = (size_t)(w->at++ - raw->bytes);
    return true;
}

/* Steps over one value of any kind. */
static bool skip_value(struct walk *w)
{
    size_t depth = 0;
    struct sb_filter_text text;
    bool escaped;
    while (skip_space(w)) {
        char c = *w->at;
        if (c == '"') {
            if (!read_string(w, &text, &escaped))
                return false;
        } else if (c == '{' || c == '[') {
            depth++;
            w->at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return false;
            depth--;
            w->at++;
        } else if (c == ',' || c == ':') {
            if (depth == 0)
                return false;
            w->at++;
            continue;
        } else {
            do
                w->at++;
            while (w->at < w->end && !strchr(",:{}[]\" \n\t\r", *w->at));
        }
        if (depth == 0)
            return true;
    }
    return false;
}

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value & 0xFFFF;
}

/* Decodes the escape at raw[*at] (behind the backslash) to out; returns its size. */
static size_t decode_escape(char out[4], struct sb_filter_text raw, size_t *at)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    char c = raw.bytes[(*at)++];
    const char *name = c ? strchr(names, c) : NULL;
    if (c != 'u' || raw.size - *at < 4) {
        out[0] = name ? values[name - names] : c;
        return 1;
    }
    int32_t code = (int32_t)hex4(raw.bytes + *at);
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00 && raw.size - *at >= 6) { /* checked when stored: the other half follows */
        code = 0x10000 + ((code - 0xD800) << 10) + ((int32_t)hex4(raw.bytes + *at + 2) - 0xDC00);
        *at += 6;
    }
    return code >= 0 && code <= 0x10FFFF && !(code >= 0xD800 && code < 0xE000) ? sb_utf8_put(out, code) : 0;
}

/* The order of a string with escapes, decoded as it goes, and text. */
static int escaped_order(struct sb_filter_text raw, struct sb_filter_text text)
{
    size_t at = 0, in_text = 0;
    while (at < raw.size) {
        char decoded[4] = {raw.bytes[at++]};
        size_t n = decoded[0] == '\\' && at < raw.size ? decode_escape(decoded, raw, &at) : 1;
        size_t left = text.size - in_text, least = n < left ? n : left;
        int order = memcmp(decoded, text.bytes + in_text, least);
        if (order || n > left)
            return order ? order : 1;
        in_text += n;
    }
    return in_text < text.size ? -1 : 0;
}

static int text_order(struct sb_filter_text raw, bool escaped, struct sb_filter_text text)
{
    return escaped ? escaped_order(raw, text) : sb_filter_text_order(raw, text);
}

/* ---- tests ---- */

static bool among_texts(const struct sb_filter_test *test, struct sb_filter_text raw, bool escaped)
{
    size_t low = 0, high = test->text_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = text_order(raw, escaped, test->texts[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static bool among_numbers(const struct sb_filter_test *test, double number)
{
    size_t low = 0, high = test->number_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (number <= test->numbers[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low < test->number_count && test->numbers[low] == number;
}

static bool in_bound(const struct sb_filter_test *test, int order)
{
    return order == 0 ? test->or_equal : (order > 0) == test->above;
}

static void test_text(struct walk *w, int first, struct sb_filter_text raw, bool escaped)
{
    for (int i = first; i != SB_NONE; i = w->filter->tests[i].next) {
        const struct sb_filter_test *test = &w->filter->tests[i];
        if (test->kind == SB_TEST_IN && among_texts(test, raw, escaped))
            w->holds[i] = true;
        else if (test->kind == SB_TEST_BOUND && test->text_count &&
                 in_bound(test, text_order(raw, escaped, test->texts[0])))
            w->holds[i] = true;
    }
}

static void test_number(struct walk *w, int first, double number)
{
    for (int i = first; i != SB_NONE; i = w->filter->tests[i].next) {
        const struct sb_filter_test *test = &w->filter->tests[i];
        if (test->kind == SB_TEST_IN && among_numbers(test, number))
            w->holds[i] = true;
        else if (test->kind == SB_TEST_BOUND && test->number_count &&
                 in_bound(test, (number > test->numbers[0]) - (number < test->numbers[0])))
            w->holds[i] = true;
    }
}

static void test_constant(struct walk *w, int first, char constant)
{
    for (int i = first; i != SB_NONE; i = w->filter->tests[i].next) {
        const struct sb_filter_test *test = &w->filter->tests[i];
        bool among = constant == 't' ? test->has_true : constant == 'f' ? test->has_false : test->has_null;
        if (test->kind == SB_TEST_IN && among)
            w->holds[i] = true;
    }
}

/* Whole numbers of up to 15 digits are exact without strtod, and nearly all that there are. */
static double read_number(const char *text, size_t size)
{
    bool negative = *text == '-';
    size_t at = negative;
    int64_t value = 0;
    while (at < size && at < 15 && text[at] >= '0' && text[at] <= '9')
        value = value * 10 + (text[at++] - '0');
    if (at == size)
        return (double)(negative ? -value : value);
    char copy[400]; /* longer ones are cut: their first digits are the number */
    size_t n = size < sizeof copy - 1 ? size : sizeof copy - 1;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return strtod(copy, NULL);
}

/* One value that is no list and no object, held against the tests from `first` on. */
static bool test_scalar(struct walk *w, int first)
{
    struct sb_filter_text text;
    bool escaped;
    if (*w->at == '"') {
        if (!read_string(w, &text, &escaped))
            return false;
        test_text(w, first, text, escaped);
        return true;
    }
    const char *start = w->at;
    if (!skip_value(w))
        return false;
    if (*start == 't' || *start == 'f' || *start == 'n')
        test_constant(w, first, *start);
    else
        test_number(w, first, read_number(start, (size_t)(w->at - start)));
    return true;
}

static bool test_list(struct walk *w, int first)
{
    if (!take(w, '['))
        return false;
    if (take(w, ']'))
        return true;
    do {
        if (!skip_space(w))
            return false;
        bool is_scalar = *w->at != '[' && *w->at != '{';
        if (is_scalar ? !test_scalar(w, first) : !skip_value(w))
            return false;
    } while (take(w, ','));
    return take(w, ']');
}

/* ---- the walk ---- */

static bool walk_object(struct walk *w, const struct sb_filter_step *parent);

/* The value of a field that some path names. */
static bool walk_value(struct walk *w, const struct sb_filter_step *step)
{
    if (!skip_space(w))
        return false;
    for (int i = step->test; i != SB_NONE; i = w->filter->tests[i].next)
        if (w->filter->tests[i].kind == SB_TEST_EXISTS)
            w->holds[i] = true;
    w->left -= step->test != SB_NONE;
    if (*w->at == '{')
        return step->child == SB_NONE ? skip_value(w) : walk_object(w, step);
    if (step->test == SB_NONE)
        return skip_value(w);
    return *w->at == '[' ? test_list(w, step->test) : test_scalar(w, step->test);
}

static int find_step(const struct walk *w, const struct sb_filter_step *parent, struct sb_filter_text name,
                     bool escaped)
{
    int i = parent->child;
    for (; i != SB_NONE; i = w->filter->steps[i].next) {
        const struct sb_filter_step *step = &w->filter->steps[i];
        if (text_order(name, escaped, (struct sb_filter_text){step->name, step->size}) == 0)
            break;
    }
    return i;
}

static bool walk_object(struct walk *w, const struct sb_filter_step *parent)
{
    struct sb_filter_text name;
    bool escaped;
    if (!take(w, '{'))
        return false;
    if (take(w, '}'))
        return true;
    do {
        if (!read_string(w, &name, &escaped) || !take(w, ':'))
            return false;
        int step = find_step(w, parent, name, escaped);
        bool wanted = step != SB_NONE && !w->seen[step];
        if (wanted)
            w->seen[step] = true;
        if (wanted ? !walk_value(w, &w->filter->steps[step]) : !skip_value(w))
            return false;
        if (w->left == 0)
            return true;
    } while (take(w, ','));
    return take(w, '}');
}

static bool rule_holds(const struct walk *w, int index)
{
    const struct sb_filter_rule *rule = &w->filter->rules[index];
    bool wanted = rule->kind == SB_RULE_OR; /* the operand that decides it */
    if (rule->kind == SB_RULE_TEST)
        return w->holds[rule->test];
    if (rule->kind == SB_RULE_NOT)
        return !rule_holds(w, rule->child);
    for (int i = rule->child; i != SB_NONE; i = w->filter->rules[i].next)
        if (rule_holds(w, i) == wanted)
            return wanted;
    return !wanted;
}

bool sb_filter_keeps(const struct sb_filter *filter, const char *metadata, size_t size)
{
    struct walk w;
    w.filter = filter;
    w.at = metadata;
    w.end = metadata + size;
    w.left = filter->fields;
    memset(w.holds, 0, (size_t)filter->test_count * sizeof *w.holds);
    memset(w.seen, 0, (size_t)filter->step_count * sizeof *w.seen);
    if (filter->test_count > 0 && !walk_object(&w, &filter->steps[0]))
        memset(w.holds, 0, (size_t)filter->test_count * sizeof *w.holds);
    return rule_holds(&w, 0);
}
