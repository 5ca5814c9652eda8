#include "cli/eval.h"

#include <stdlib.h>
#include <string.h>

/* Samples that one seed names must differ from each other: the place of each in sb_permute's second number. */
enum { SAMPLE_OF_EXAMPLES = 0 };

static enum sb_status no_memory(const char *path, struct sb_error *error)
{
    return sb_fail(error, SB_NO_MEMORY, "%s: no memory for its texts", path);
}

/* ---- reading ---- */

/* While reading: every text of every pair, one behind the other, as often as it occurs. */
struct reading {
    char **texts;  /* [count] */
    float *labels; /* [count / 2] */
    size_t count, capacity;
};

static bool add_text(struct reading *r, struct sb_text_view view)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        char **texts = realloc(r->texts, capacity * sizeof *texts);
        if (texts)
            r->texts = texts;
        float *labels = texts ? realloc(r->labels, capacity / 2 * sizeof *labels) : NULL;
        if (!labels)
            return false;
        r->labels = labels;
        r->capacity = capacity;
    }
    char *copy = strndup(view.text, view.size);
    if (copy)
        r->texts[r->count++] = copy;
    return copy != NULL;
}

static bool add_pair(struct reading *r, struct sb_text_view a, struct sb_text_view b, float label)
{
    if (!add_text(r, a) || !add_text(r, b))
        return false;
    r->labels[r->count / 2 - 1] = label;
    return true;
}

static enum sb_status add_example(struct reading *r, const struct sb_example *example, const char *path,
                                  struct sb_error *error)
{
    if (example->kind != SB_DATA_PAIRS && example->kind != SB_DATA_SYNONYMS)
        return sb_fail(error, SB_UNSUPPORTED,
                       "%s holds %s; eval takes pairs with labels or scores, and {\"text\", \"synonyms\"}", path,
                       sb_data_kind_name(example->kind));
    for (size_t i = 1; i < example->count; i++)
        if (!add_pair(r, example->texts[0], example->texts[i], example->label))
            return no_memory(path, error);
    return SB_OK;
}

static enum sb_status read_examples(struct reading *r, struct sb_eval_result *result, const struct sb_data *data,
                                    const struct sb_eval_options *options, struct sb_error *error)
{
    struct sb_example example = {0};
    size_t count = sb_data_count(data), wanted = options->limit && options->limit < count ? options->limit : count;
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < wanted && status == SB_OK; i++) {
        size_t number = wanted < count ? sb_permute(count, options->seed, SAMPLE_OF_EXAMPLES, i) : i;
        status = sb_data_read(data, number, &example, error);
        if (status == SB_OK)
            status = add_example(r, &example, result->path, error);
    }
    result->kind = example.kind;
    result->examples = wanted;
    sb_example_free(&example);
    return status;
}

/* ---- every text once ---- */

struct occurrence {
    const char *text;
    size_t index;
};

static int compare_occurrences(const void *a, const void *b)
{
    const struct occurrence *first = a, *second = b;
    int order = strcmp(first->text, second->text);
    return order ? order : first->index < second->index ? -1 : 1;
}

/* numbers[i]: the first occurrence of text i. */
static bool find_first(size_t *numbers, char *const *texts, size_t count)
{
    struct occurrence *sorted = malloc((count ? count : 1) * sizeof *sorted);
    size_t first = 0;
    for (size_t i = 0; i < count && sorted; i++)
        sorted[i] = (struct occurrence){texts[i], i};
    if (sorted)
        qsort(sorted, count, sizeof *sorted, compare_occurrences);
    for (size_t i = 0; i < count && sorted; i++) {
        if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0)
            first = sorted[i].index;
        numbers[sorted[i].index] = first;
    }
    free(sorted);
    return sorted != NULL;
}

/* Keeps each text's first occurrence; the others are freed. numbers[i] becomes the number of text i among those kept. */
static void keep_first(struct sb_eval_data *eval, struct reading *r, size_t *numbers)
{
    for (size_t i = 0; i < r->count; i++) {
        if (numbers[i] == i) {
            numbers[i] = eval->text_count;
            r->texts[eval->text_count++] = r->texts[i];
        } else {
            numbers[i] = numbers[numbers[i]];
            free(r->texts[i]);
        }
    }
    eval->texts = r->texts;
    r->texts = NULL;
    r->count = 0;
}

static enum sb_status number_texts(struct sb_eval_data *eval, struct reading *r, const char *path,
                                   struct sb_error *error)
{
    size_t *numbers = malloc((r->count ? r->count : 1) * sizeof *numbers);
    eval->pair_count = r->count / 2;
    eval->pairs = malloc((eval->pair_count ? eval->pair_count : 1) * sizeof *eval->pairs);
    enum sb_status status = SB_OK;
    if (!numbers || !eval->pairs || !find_first(numbers, r->texts, r->count))
        status = no_memory(path, error);
    else
        keep_first(eval, r, numbers);
    for (size_t i = 0; i < eval->pair_count && status == SB_OK; i++)
        eval->pairs[i] = (struct sb_eval_pair){numbers[2 * i], numbers[2 * i + 1], r->labels[i]};
    free(numbers);
    return status;
}

/* ---- queries ---- */

static int compare_pairs(const void *a, const void *b)
{
    const struct sb_eval_pair *first = a, *second = b;
    if (first->a != second->a)
        return first->a < second->a ? -1 : 1;
    return first->b < second->b ? -1 : first->b > second->b;
}

/* The pairs of one meaning, by query and then by relevant text; NULL: no memory. */
static struct sb_eval_pair *positives(const struct sb_eval_data *eval, size_t *count)
{
    struct sb_eval_pair *chosen = malloc((eval->pair_count ? eval->pair_count : 1) * sizeof *chosen);
    *count = 0;
    for (size_t i = 0; i < eval->pair_count && chosen; i++)
        if (eval->pairs[i].label >= 0.5f && eval->pairs[i].a != eval->pairs[i].b)
            chosen[(*count)++] = eval->pairs[i];
    if (chosen)
        qsort(chosen, *count, sizeof *chosen, compare_pairs);
    return chosen;
}

static enum sb_status gather_queries(struct sb_eval_data *eval, const char *path, struct sb_error *error)
{
    size_t count;
    struct sb_eval_pair *chosen = positives(eval, &count);
    eval->queries = malloc((count ? count : 1) * sizeof *eval->queries);
    eval->relevant = malloc((count ? count : 1) * sizeof *eval->relevant);
    if (!chosen || !eval->queries || !eval->relevant) {
        free(chosen);
        return no_memory(path, error);
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_pairs(&chosen[i - 1], &chosen[i]) == 0)
            continue;
        if (i == 0 || chosen[i - 1].a != chosen[i].a)
            eval->queries[eval->query_count++] = (struct sb_eval_query){chosen[i].a, eval->relevant_count, 0};
        eval->queries[eval->query_count - 1].count++;
        eval->relevant[eval->relevant_count++] = chosen[i].b;
    }
    free(chosen);
    return SB_OK;
}

static void look_at_labels(struct sb_eval_data *eval)
{
    for (size_t i = 0; i < eval->pair_count; i++) {
        float label = eval->pairs[i].label;
        eval->labelled |= label != eval->pairs[0].label;
        eval->graded |= label != 0 && label != 1;
    }
}

/* ---- all of it ---- */

enum sb_status sb_eval_data_read(struct sb_eval_data *eval, struct sb_eval_result *result,
                                 const struct sb_eval_options *options, struct sb_error *error)
{
    struct sb_data *data = NULL;
    struct reading r = {0};
    struct sb_data_file file = options->form;
    struct sb_data_options limits = sb_data_defaults();
    limits.bad_lines_max = options->tolerant ? SIZE_MAX : 0;
    limits.bad_share_max = options->tolerant ? 1 : limits.bad_share_max;
    file.path = result->path;
    *eval = (struct sb_eval_data){0};
    enum sb_status status = sb_data_open(&data, &file, 1, &limits, error);
    if (status == SB_OK)
        status = read_examples(&r, result, data, options, error);
    if (status == SB_OK)
        status = number_texts(eval, &r, result->path, error);
    if (status == SB_OK) {
        look_at_labels(eval);
        result->graded = eval->graded;
        if (!eval->graded)
            status = gather_queries(eval, result->path, error);
    }
    for (size_t i = 0; i < r.count; i++)
        free(r.texts[i]);
    free(r.texts);
    free(r.labels);
    sb_data_close(data);
    return status;
}

void sb_eval_data_free(struct sb_eval_data *eval)
{
    for (size_t i = 0; i < eval->text_count; i++)
        free(eval->texts[i]);
    free(eval->texts);
    free(eval->pairs);
    free(eval->queries);
    free(eval->relevant);
    *eval = (struct sb_eval_data){0};
}
