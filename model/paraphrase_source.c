#include "model/paraphrase_impl.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Part of the caller's text. */
struct text {
    const char *bytes;
    size_t size;
};

/* The first piece that is not empty, copied. */
struct first_piece {
    char *bytes;
    size_t size;
    bool failed;
};

static void take_first(void *context, const char *text, size_t size)
{
    struct first_piece *piece = context;
    if (piece->bytes || size == 0 || piece->failed)
        return;
    piece->bytes = malloc(size);
    piece->failed = !piece->bytes;
    if (piece->failed)
        return;
    memcpy(piece->bytes, text, size);
    piece->size = size;
}

/* Code points of the text that the first max_length - 2 tokens cover. */
static size_t covered(const struct sb_encoding *encoding, size_t max_length)
{
    for (size_t i = max_length - 2; i > 0; i--)
        if (encoding->offsets[i].end > 0)
            return (size_t)encoding->offsets[i].end;
    return max_length - 2; /* offsets are unknown: a token is at least a character, nearly always */
}

/* Shortens text, which is too long, to what the model takes, at the best separator. */
static enum sb_status cut(struct text *text, const struct sb_encoding *encoding, size_t max_length,
                          struct sb_error *error)
{
    struct first_piece piece = {0};
    /* A piece has fewer characters than the limit (REFERENCE section 3). */
    enum sb_status status = sb_segment_text(text->bytes, text->size, covered(encoding, max_length) + 1,
                                            SB_SEGMENT_SEPARATORS, SB_SEGMENT_STRIPS, take_first, &piece, error);
    if (status == SB_OK && piece.failed)
        status = sb_fail(error, SB_NO_MEMORY, "no memory for a text of %zu bytes", text->size);
    if (status == SB_OK && piece.bytes) {
        /* What was stripped before it holds none of its characters, so the first occurrence is the piece itself. */
        const char *at = memmem(text->bytes, text->size, piece.bytes, piece.size);
        if (at)
            *text = (struct text){at, piece.size};
    }
    free(piece.bytes);
    return status;
}

static enum sb_status check_mask(const char *text, size_t size, const struct sb_text_range *mask, size_t count,
                                 int32_t mask_id, struct sb_error *error)
{
    size_t length = count ? sb_utf8_length(text, size) : 0;
    if (count > 0 && mask_id < 0)
        return sb_fail(error, SB_UNSUPPORTED, "mask: the model's vocabulary has no [MASK]");
    for (size_t i = 0; i < count; i++)
        if (mask[i].start >= mask[i].end || mask[i].end > length)
            return sb_fail(error, SB_INVALID, "mask: [%zu, %zu) is not a range within the text's %zu characters",
                           mask[i].start, mask[i].end, length);
    return SB_OK;
}

/* Replaces the tokens that overlap a range. The text of the encoding begins `before` code points into the masked text.
 */
static enum sb_status apply_mask(int32_t *prompt, const struct sb_encoding *encoding, size_t before,
                                 const struct sb_text_range *mask, size_t count, int32_t mask_id,
                                 struct sb_error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t j = 0; j < encoding->length; j++) {
            struct sb_span span = encoding->offsets[j];
            if (span.start < 0 || before + (size_t)span.start >= mask[i].end ||
                before + (size_t)span.end <= mask[i].start)
                continue;
            prompt[j] = mask_id;
            found = true;
        }
        if (!found)
            return sb_fail(error, SB_INVALID, "mask: [%zu, %zu) covers no word that the model sees", mask[i].start,
                           mask[i].end);
    }
    return SB_OK;
}

static int32_t *copy_ids(const struct sb_encoding *encoding)
{
    int32_t *ids = malloc(encoding->length * sizeof *ids);
    if (ids)
        memcpy(ids, encoding->ids, encoding->length * sizeof *ids);
    return ids;
}

static enum sb_status fill(struct sb_paraphrase_source *source, const struct sb_encoding *encoding, size_t before,
                           const struct sb_text_range *mask, size_t mask_count, int32_t mask_id, struct sb_error *error)
{
    source->length = encoding->length;
    source->ids = copy_ids(encoding);
    source->prompt = mask_count ? copy_ids(encoding) : source->ids;
    if (!source->ids || !source->prompt)
        return sb_fail(error, SB_NO_MEMORY, "no memory for a text of %zu tokens", encoding->length);
    return apply_mask(source->prompt, encoding, before, mask, mask_count, mask_id, error);
}

enum sb_status sb_paraphrase_source_read(struct sb_paraphrase_source *source, const struct sb_tokenizer *tokenizer,
                                         const char *text, size_t size, size_t max_length,
                                         const struct sb_text_range *mask, size_t mask_count, struct sb_error *error)
{
    struct sb_encoding encoding = {0};
    struct text seen = {text, size};
    int32_t mask_id = sb_tokenizer_special(tokenizer).mask;
    *source = (struct sb_paraphrase_source){0};
    enum sb_status status = sb_tokenizer_encode(tokenizer, &encoding, text, size, NULL, 0, 0, error);
    if (status == SB_OK)
        status = check_mask(text, size, mask, mask_count, mask_id, error);
    if (status == SB_OK && encoding.length > max_length) {
        status = cut(&seen, &encoding, max_length, error);
        if (status == SB_OK)
            status = sb_tokenizer_encode(tokenizer, &encoding, seen.bytes, seen.size, NULL, 0, max_length, error);
    }
    if (status == SB_OK && encoding.length <= 2)
        status = sb_fail(error, SB_INVALID, "the text has no words");
    if (status == SB_OK)
        status = fill(source, &encoding, sb_utf8_length(text, (size_t)(seen.bytes - text)), mask, mask_count, mask_id,
                      error);
    if (status == SB_OK)
        status = sb_text_normalize(&source->normalized, seen.bytes, seen.size, error);
    sb_encoding_free(&encoding);
    if (status != SB_OK)
        sb_paraphrase_source_free(source);
    return status;
}

void sb_paraphrase_source_free(struct sb_paraphrase_source *source)
{
    if (source->prompt != source->ids)
        free(source->prompt);
    free(source->ids);
    sb_code_points_free(&source->normalized);
    *source = (struct sb_paraphrase_source){0};
}
