/* The first byte says which layout, the rest is a line: what comes out of any line keeps the promises of struct sb_example. */
#include "base/utf8.h"
#include "training/data_impl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sb_data_format formats[] = {
    {.kind = SB_DATA_SYNONYMS, .json = true},
    {.kind = SB_DATA_PAIRS, .json = true, .labelled = true},
    {.kind = SB_DATA_TRIPLETS, .json = true},
    {.kind = SB_DATA_NLI, .json = true},
    {.kind = SB_DATA_CHAT, .json = true},
    {.kind = SB_DATA_SENTENCES, .json = true},
    {.kind = SB_DATA_PAIRS, .columns = 4, .column_of = {1, 2, -1, 3}, .labelled = true, .score_high = 5},
    {.kind = SB_DATA_TRIPLETS, .columns = 3, .column_of = {0, 1, 2, -1}},
    {.kind = SB_DATA_NLI, .columns = 3, .column_of = {0, 1, -1, 2}},
    {.kind = SB_DATA_SENTENCES, .columns = 1, .column_of = {0, -1, -1, -1}},
};

static void check(const struct sb_example *e)
{
    static const size_t most[SB_DATA_KINDS] = {[SB_DATA_SYNONYMS] = 1001, [SB_DATA_PAIRS] = 2, [SB_DATA_TRIPLETS] = 3,
                                               [SB_DATA_NLI] = 2,         [SB_DATA_CHAT] = 2,  [SB_DATA_SENTENCES] = 1};
    if (e->count < 1 || e->count > most[e->kind] || (e->kind != SB_DATA_SYNONYMS && e->count != most[e->kind]))
        abort();
    if (e->kind == SB_DATA_NLI && e->label != 0 && e->label != 1 && e->label != 2)
        abort();
    for (size_t i = 0; i < e->count; i++)
        if (!sb_utf8_valid(e->texts[i].text, e->texts[i].size, NULL))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char what[120];
    bool failed;
    struct sb_example e = {0};
    const struct sb_data_format *format = &formats[data[0] % (sizeof formats / sizeof *formats)];
    enum sb_drop reason =
        sb_data_parse_line(&e, format, (const char *)data + 1, size - 1, what, sizeof what, &failed);
    if (!sb_utf8_valid(what, strnlen(what, sizeof what), NULL) || (reason == SB_DROP_NONE) != (what[0] == '\0'))
        abort();
    /* An empty line of a file of sentences is passed over before it gets here. */
    if (reason == SB_DROP_NONE && sb_trimmed((const char *)data + 1, size - 1).size > 0)
        check(&e);
    sb_example_free(&e);
    return 0;
}
