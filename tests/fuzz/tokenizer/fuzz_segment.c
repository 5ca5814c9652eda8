/* Any text cut at a small limit: pieces are parts of the text, in order. */
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct progress {
    const char *at, *end;
};

static void piece(void *context, const char *text, size_t size)
{
    struct progress *p = context;
    if (size == 0)
        return;
    if (text < p->at || text + size > p->end)
        abort();
    p->at = text + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    struct progress p = {text, text + size - 1};
    (void)!sb_segment_text(text, size - 1, data[0] % 40, SB_SEGMENT_SEPARATORS, data[0] & 64 ? SB_SEGMENT_STRIPS : NULL,
                           piece, &p, NULL);
    return 0;
}
