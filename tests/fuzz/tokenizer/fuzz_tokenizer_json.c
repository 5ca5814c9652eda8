/* Any bytes as tokenizer.json; one that is accepted encodes and decodes. */
#include "tokenizer/wordpiece.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "[CLS] Häuser 花呗 it's [MASK]a";
    cJSON *json;
    struct sb_tokenizer *t;
    if (sb_json_parse(&json, (const char *)data, size, NULL) != SB_OK)
        return 0;
    if (sb_wordpiece_from_json(&t, json, NULL) == SB_OK) {
        struct sb_encoding e = {0};
        struct sb_buffer out = {0};
        if (sb_tokenizer_encode(t, &e, text, sizeof text - 1, NULL, 0, 16, NULL) != SB_OK ||
            sb_tokenizer_decode(t, &out, e.ids, e.length, true, NULL) != SB_OK)
            abort();
        sb_buffer_free(&out);
        sb_encoding_free(&e);
        sb_tokenizer_free(t);
    }
    cJSON_Delete(json);
    return 0;
}
