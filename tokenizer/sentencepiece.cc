/*
 * SentencePiece behind our interface. C++ and its exceptions end in this file.
 */
#include <sentencepiece_processor.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "base/utf8.h"
#include "tokenizer/tokenizer_impl.h"
}

namespace
{

struct SentencePiece {
    sb_tokenizer tokenizer; /* first, as tokenizer_impl.h asks */
    sentencepiece::SentencePieceProcessor processor;
};

const SentencePiece *self(const sb_tokenizer *tokenizer)
{
    return reinterpret_cast<const SentencePiece *>(tokenizer);
}

/* Spans are bytes of the text; ours are code points. Pieces come in order, so one walk counts them all. */
bool add_pieces(sb_encoding *encoding, const sentencepiece::ImmutableSentencePieceText &pieces, const char *text,
                size_t size)
{
    size_t byte = 0;
    int32_t character = 0;
    auto character_at = [&](size_t to) {
        for (; byte < to && byte < size; byte++)
            character += (text[byte] & 0xC0) != 0x80;
        return character;
    };
    for (size_t i = 0; i < pieces.pieces_size(); i++) {
        auto piece = pieces.pieces(static_cast<int>(i));
        int32_t start = character_at(piece.begin()), end = character_at(piece.end());
        if (!sb_encoding_add(encoding, static_cast<int32_t>(piece.id()), sb_span{start, end}))
            return false;
    }
    return true;
}

enum sb_status encode(const sb_tokenizer *tokenizer, sb_encoding *encoding, const char *text, size_t size,
                      sb_error *error)
{
    size_t bad;
    if (!sb_utf8_valid(text, size, &bad))
        return sb_fail(error, SB_INVALID, "text: malformed UTF-8 at byte %zu", bad);
    try {
        auto pieces = self(tokenizer)->processor.EncodeAsImmutableProto(absl::string_view(text, size));
        if (add_pieces(encoding, pieces, text, size))
            return SB_OK;
    } catch (const std::exception &) {
    }
    return sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory for a text of %zu bytes", size);
}

bool is_special(const sb_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && id < tokenizer->vocab_size && self(tokenizer)->processor.IsControl(id);
}

enum sb_status decode(const sb_tokenizer *tokenizer, sb_buffer *out, const int32_t *ids, size_t n, bool keep_special,
                      sb_error *error)
{
    try {
        std::vector<int> kept;
        for (size_t i = 0; i < n; i++)
            if (keep_special || !is_special(tokenizer, ids[i]))
                kept.push_back(ids[i]);
        std::string text;
        if (self(tokenizer)->processor.Decode(kept, &text).ok()) {
            sb_buffer_bytes(out, text.data(), text.size());
            if (!out->failed)
                return SB_OK;
        }
    } catch (const std::exception &) {
    }
    return sb_fail(error, SB_NO_MEMORY, "tokenizer: no memory for %zu tokens", n);
}

const char *token(const sb_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && id < tokenizer->vocab_size ? self(tokenizer)->processor.IdToPiece(id).c_str() : "";
}

/* The library gives the unknown id for what it does not know. */
int32_t id_of(const sb_tokenizer *tokenizer, const char *text, size_t size)
{
    try {
        std::string piece(text, size);
        int id = self(tokenizer)->processor.PieceToId(piece);
        return self(tokenizer)->processor.IdToPiece(id) == piece ? id : -1;
    } catch (const std::exception &) {
        return -1;
    }
}

void close(sb_tokenizer *tokenizer)
{
    delete reinterpret_cast<SentencePiece *>(tokenizer);
}

const sb_tokenizer_class unigram_class = {"unigram", encode, decode, token, id_of, is_special, close};
const sb_tokenizer_class bpe_class = {"bpe", encode, decode, token, id_of, is_special, close};

int32_t find(const SentencePiece &t, const char *const *names, int32_t otherwise)
{
    for (; *names; names++) {
        int32_t id = id_of(&t.tokenizer, *names, std::strlen(*names));
        if (id >= 0)
            return id;
    }
    return otherwise;
}

/* BERT-like models name their special pieces; others have the beginning and the end of a sentence. */
void find_special(SentencePiece &t)
{
    static const char *const cls[] = {"[CLS]", "<cls>", "<s>", nullptr}, *const sep[] = {"[SEP]", "<sep>", "</s>",
                                                                                         nullptr};
    static const char *const mask[] = {"[MASK]", "<mask>", nullptr}, *const pad[] = {"[PAD]", "<pad>", nullptr};
    t.tokenizer.special.pad = find(t, pad, t.processor.pad_id());
    t.tokenizer.special.unk = t.processor.unk_id();
    t.tokenizer.special.cls = find(t, cls, t.processor.bos_id());
    t.tokenizer.special.sep = find(t, sep, t.processor.eos_id());
    t.tokenizer.special.mask = find(t, mask, -1);
}

/* BPE models score pieces by rank: 0, -1, -2, ... after the special ones; unigram models by log probability. */
bool is_bpe(const sentencepiece::SentencePieceProcessor &processor)
{
    int size = processor.GetPieceSize();
    return size > 2 && processor.GetScore(size - 1) - processor.GetScore(size - 2) == -1.0f;
}

} // namespace

extern "C" enum sb_status sb_sentencepiece_open(sb_tokenizer **tokenizer, const char *path, sb_error *error)
{
    try {
        auto t = std::make_unique<SentencePiece>();
        auto status = t->processor.Load(path);
        if (!status.ok())
            return sb_fail(error, SB_CORRUPT, "%s: not a SentencePiece model: %s", path, status.error_message());
        t->tokenizer.class_ = is_bpe(t->processor) ? &bpe_class : &unigram_class;
        t->tokenizer.vocab_size = t->processor.GetPieceSize();
        find_special(*t);
        *tokenizer = &t.release()->tokenizer;
        return SB_OK;
    } catch (const std::exception &e) {
        return sb_fail(error, SB_CORRUPT, "%s: not a SentencePiece model: %s", path, e.what());
    }
}
