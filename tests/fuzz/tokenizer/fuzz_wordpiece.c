/*
 * Any bytes as a vocabulary (up to the first zero byte) and a text (behind it). Ids lie in the vocabulary, offsets in the text and
 * in order, and decoding takes every id.
 */
#include "base/utf8.h"
#include "tokenizer/wordpiece.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const struct sb_tokenizer *t, const char *text, size_t size, bool cut_left)
{
    struct sb_encoding e = {0};
    struct sb_buffer out = {0};
    int32_t characters = (int32_t)sb_utf8_length(text, size), last = 0;
    if (sb_tokenizer_encode_cut(t, &e, text, size, NULL, 0, 0, cut_left, NULL) == SB_OK) {
        for (size_t i = 0; i < e.length; i++) {
            require(e.ids[i] >= 0 && e.ids[i] < t->vocab_size);
            require(sb_encoding_token(&e, t, i) != NULL);
            if (e.offsets[i].start < 0)
                continue;
            require(e.offsets[i].start < e.offsets[i].end && e.offsets[i].end <= characters);
            require(e.offsets[i].start >= last - 1 || t->special.unk == e.ids[i]);
            last = e.offsets[i].start;
        }
        require(sb_tokenizer_decode(t, &out, e.ids, e.length, cut_left, NULL) == SB_OK);
    }
    (void)!sb_tokenizer_encode_cut(t, &e, text, size, text, size, 7, cut_left, NULL);
    require(e.length <= 7 || e.length == 0 || !sb_utf8_valid(text, size, NULL));
    sb_buffer_free(&out);
    sb_encoding_free(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = memchr(data, 0, size);
    size_t vocab_size = zero ? (size_t)(zero - data) : size;
    const char *text = zero ? (const char *)zero + 1 : "";
    size_t text_size = zero ? size - vocab_size - 1 : 0;
    for (int manner = 0; manner < 2; manner++) {
        struct sb_vocab *vocab;
        if (sb_vocab_parse(&vocab, (const char *)data, vocab_size, NULL) != SB_OK)
            return 0;
        struct sb_normalizer n = {.hugging_face = manner,
                                  .lowercase = true,
                                  .strip_accents = true,
                                  .clean_text = true,
                                  .handle_chinese_chars = true};
        struct sb_wordpiece *t;
        if (sb_wordpiece_new(&t, vocab, &n, 100, "##", "[UNK]", NULL) != SB_OK)
            return 0;
        check(&t->tokenizer, text, text_size, manner);
        sb_tokenizer_free(&t->tokenizer);
    }
    return 0;
}
