/* pytorch_model.bin: a real file, and zips and pickles that lie or attack. */
#include "base/buffer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "tests/unit/weights/torch_files.h"
#include "weights/checkpoint.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- the real file ---- */

START_TEST(same_as_safetensors)
{
    scratch_copy("m/pytorch_model.bin", golden("models/tiny-bert/pytorch_model.bin"));
    struct sb_checkpoint *bin = open_ok(scratch("m")), *reference = open_ok(golden("models/tiny-bert"));
    ck_assert_str_eq(sb_checkpoint_format(bin), "pytorch");
    ck_assert_str_eq(sb_checkpoint_format(reference), "safetensors");
    ck_assert_uint_eq(sb_checkpoint_count(bin), sb_checkpoint_count(reference) + 2);
    for (size_t i = 0; i < sb_checkpoint_count(reference); i++) {
        const struct sb_tensor *a = sb_checkpoint_at(reference, i), *b = sb_checkpoint_find(bin, a->name);
        ck_assert_ptr_nonnull(b);
        ck_assert_int_eq(b->dtype, SB_F32);
        ck_assert_str_eq(b->stored_dtype, "FloatStorage");
        ck_assert_int_eq(a->rank, b->rank);
        ck_assert_mem_eq(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
        ck_assert_mem_eq(a->data, b->data, a->count * 4);
        ck_assert(b->has_checksum);
        ck_assert_int_eq(sb_checkpoint_verify(bin, b, NULL), SB_OK);
    }
    const struct sb_tensor *positions = sb_checkpoint_find(bin, "bert.embeddings.position_ids");
    ck_assert_int_eq(positions->dtype, SB_I64);
    ck_assert_uint_eq(positions->shape[1], 64);
    ck_assert_ptr_eq(sb_checkpoint_find(bin, "cls.predictions.decoder.weight")->data,
                     sb_checkpoint_find(bin, "bert.embeddings.word_embeddings.weight")->data);
    sb_checkpoint_close(bin);
    sb_checkpoint_close(reference);
}
END_TEST

START_TEST(truncated)
{
    size_t size;
    const char *file = whole_file(golden("models/tiny-bert/pytorch_model.bin"), &size);
    for (size_t cut = 0; cut<size; cut += cut + 300> size ? 1 : 1499) {
        scratch_write("m/pytorch_model.bin", file, cut);
        struct sb_checkpoint *checkpoint;
        ck_assert_int_eq(sb_checkpoint_open(&checkpoint, scratch("m"), NULL), SB_CORRUPT);
    }
}
END_TEST

START_TEST(damaged_data)
{
    size_t size;
    char *file = (char *)(uintptr_t)whole_file(golden("models/tiny-bert/pytorch_model.bin"), &size);
    struct sb_error error;
    file[17000] ^= 1; /* inside data/4, the word embedding */
    scratch_write("m/pytorch_model.bin", file, size);
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *words = sb_checkpoint_find(checkpoint, "bert.embeddings.word_embeddings.weight");
    ck_assert_int_eq(sb_checkpoint_verify(checkpoint, words, &error), SB_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "word_embeddings"));
    sb_checkpoint_close(checkpoint);
}
END_TEST

/* ---- zips made here ---- */

struct item {
    const char *name, *data;
    size_t size;
};

/* A field of the zip to overwrite: `width` bytes at `at` of the structure that begins with this magic, counted from 0.
 */
struct lie {
    uint32_t magic;
    int which;
    size_t at, width;
    uint64_t value;
};

static void number(struct sb_buffer *out, uint64_t value, size_t width)
{
    sb_buffer_bytes(out, &value, width);
}

static void put_header(struct sb_buffer *out, const struct item *item, bool central, size_t offset)
{
    number(out, central ? 0x02014b50 : 0x04034b50, 4);
    number(out, 0, central ? 4 : 2); /* versions */
    number(out, 0, 8);               /* flags, method, time, date */
    number(out, (uint32_t)crc32(0, (const Bytef *)item->data, (uInt)item->size), 4);
    number(out, item->size, 4);
    number(out, item->size, 4);
    number(out, strlen(item->name), 2);
    number(out, 0, 2);
    if (central) {
        number(out, 0, 8);
        number(out, 0, 2);
        number(out, offset, 4);
    }
    sb_buffer_text(out, item->name);
}

/* Writes m/pytorch_model.bin with these entries and, with zip64, the second end record that torch.save writes. */
static void put_zip(const struct item *items, size_t count, bool zip64, const struct lie *lie)
{
    struct sb_buffer zip = {0};
    size_t offsets[8];
    for (size_t i = 0; i < count; i++) {
        offsets[i] = zip.length;
        put_header(&zip, &items[i], false, 0);
        sb_buffer_bytes(&zip, items[i].data, items[i].size);
    }
    size_t start = zip.length;
    for (size_t i = 0; i < count; i++)
        put_header(&zip, &items[i], true, offsets[i]);
    size_t size = zip.length - start, record = zip.length;
    if (zip64) {
        number(&zip, 0x06064b50, 4);
        number(&zip, 44, 8);
        number(&zip, 0, 4);
        number(&zip, 0, 8);
        number(&zip, count, 8);
        number(&zip, count, 8);
        number(&zip, size, 8);
        number(&zip, start, 8);
        number(&zip, 0x07064b50, 4);
        number(&zip, 0, 4);
        number(&zip, record, 8);
        number(&zip, 1, 4);
    }
    number(&zip, 0x06054b50, 4);
    number(&zip, 0, 4);
    number(&zip, count, 2);
    number(&zip, count, 2);
    number(&zip, size, 4);
    number(&zip, start, 4);
    number(&zip, 0, 2);
    if (lie) {
        int seen = 0;
        char *place = NULL;
        for (char *p = zip.data; !place && p + 4 <= zip.data + zip.length; p++)
            if (memcmp(p, &lie->magic, 4) == 0 && seen++ == lie->which)
                place = p + lie->at;
        ck_assert_ptr_nonnull(place);
        memcpy(place, &lie->value, lie->width);
    }
    scratch_write("m/pytorch_model.bin", zip.data, zip.length);
    sb_buffer_free(&zip);
}

/* ---- pickles made here: opcodes as pickletools names them ---- */

#define TEXT(length, text) "X" length "\0\0\0" text /* BINUNICODE; length is one character */
#define ORDERED_DICT "ccollections\nOrderedDict\n)R"
#define STORAGE_OF(type, key, elements)                                                                                \
    "(" TEXT("\7", "storage") "ctorch\n" type "\n" TEXT("\1", key) TEXT("\3", "cpu") elements "tQ"
#define STORAGE STORAGE_OF("FloatStorage", "0", "K\6")
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n("
#define TENSOR_OF(storage, offset, shape, strides) REBUILD storage offset shape strides "\x89" ORDERED_DICT "tR"
#define TENSOR TENSOR_OF(STORAGE, "K\0", "K\2K\3\x86", "K\3K\1\x86")
#define STATE(tensor) "\x80\2}(" TEXT("\1", "a") tensor "u."

static void put_pickle(const char *pickle, size_t size, const struct lie *lie)
{
    const struct item items[] = {
        {"x/data.pkl", pickle, size}, {"x/byteorder", "little", 6}, {"x/data/0", "aaaabbbbccccddddeeeeffff", 24}};
    put_zip(items, 3, true, lie);
}

static const char good[] = STATE(TENSOR);

static void expect_six_floats(void)
{
    struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
    const struct sb_tensor *a = sb_checkpoint_find(checkpoint, "a");
    ck_assert_uint_eq(sb_checkpoint_count(checkpoint), 1);
    ck_assert_uint_eq(a->count, 6);
    ck_assert_int_eq(a->rank, 2);
    ck_assert_mem_eq(a->data, "aaaabbbbccccddddeeeeffff", 24);
    ck_assert_int_eq(sb_checkpoint_verify(checkpoint, a, NULL), SB_OK);
    sb_checkpoint_close(checkpoint);
}

START_TEST(made_here)
{
    const struct item items[] = {{"y/data/0", "aaaabbbbccccddddeeeeffff", 24}, {"y/data.pkl", good, sizeof good - 1}};
    put_pickle(good, sizeof good - 1, NULL);
    expect_six_floats();
    put_zip(items, 2, false, NULL); /* no zip64, no byteorder, other name and order */
    expect_six_floats();
}
END_TEST

START_TEST(large_fields_in_zip64)
{
    /* the end record saturated: the zip64 record speaks */
    const struct lie lies[] = {
        {0x06054b50, 0, 10, 2, 0xFFFF}, {0x06054b50, 0, 12, 4, 0xFFFFFFFF}, {0x06054b50, 0, 16, 4, 0xFFFFFFFF}};
    for (size_t i = 0; i < 3; i++) {
        put_pickle(good, sizeof good - 1, &lies[i]);
        expect_six_floats();
    }
}
END_TEST

/* A parameter object, a metadata attribute on the dictionary, a module's step counter, memo and frames of protocol 4.
 */
START_TEST(other_spellings)
{
    static const char parameter[] = STATE("ctorch._utils\n_rebuild_parameter\n(" TENSOR "\x88" ORDERED_DICT "tR");
    static const char metadata[] =
        "\x80\2" ORDERED_DICT "q\0(" TEXT("\1", "a") TENSOR "u}" TEXT("\11", "_metadata") ORDERED_DICT "sb.";
    static const char mixed[] =
        "\x80\2}(" TEXT("\1", "e") "K\5" TEXT("\1", "f") "G?\xF0\0\0\0\0\0\0" TEXT("\1", "l") "](K\1K\2e" TEXT(
            "\1", "n") "N" TEXT("\1", "a") TENSOR TEXT("\1", "i") "J\xFF\xFF\xFF\xFF" TEXT("\1", "j") "\x8A\2\xFF\xFF"
                                                                                                      "u.";
    static const char protocol4[] = "\x80\4\x95\0\0\0\0\0\0\0\0}\x94(\x8C\1"
                                    "a\x94\x8C\14torch._utils\x94\x8C\22_rebuild_tensor_v2\x94\x93\x94(" STORAGE
                                    "K\0K\2K\3\x86\x94K\3K\1\x86\x94\x89" ORDERED_DICT "t\x94R\x94u.";
    static const char one_by_one[] = "\x80\2}" TEXT("\1", "a") TENSOR "s.";
    static const char seven_arguments[] = STATE(REBUILD STORAGE "K\0K\2K\3\x86K\3K\1\x86\x89" ORDERED_DICT "}tR");
    const struct {
        const char *pickle;
        size_t size;
    } spellings[] = {{parameter, sizeof parameter - 1},   {metadata, sizeof metadata - 1},
                     {mixed, sizeof mixed - 1},           {protocol4, sizeof protocol4 - 1},
                     {one_by_one, sizeof one_by_one - 1}, {seven_arguments, sizeof seven_arguments - 1}};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        put_pickle(spellings[i].pickle, spellings[i].size, NULL);
        expect_six_floats();
    }
}
END_TEST

START_TEST(views)
{
    static const char transposed[] = STATE(TENSOR_OF(STORAGE, "K\0", "K\3K\2\x86", "K\1K\3\x86"));
    static const char offset[] = STATE(TENSOR_OF(STORAGE, "K\4", "K\2\x85", "K\1\x85"));
    static const char odd_strides_of_ones[] = STATE(TENSOR_OF(STORAGE, "K\0", "K\1K\6\x86", "K\x63K\1\x86"));
    static const char empty[] = STATE(TENSOR_OF(STORAGE, "K\x63", "K\0K\3\x86", "K\3K\1\x86"));
    const struct {
        const char *pickle;
        size_t size;
        const char *bytes;
    } cases[] = {{transposed, sizeof transposed - 1, "aaaaddddbbbbeeeeccccffff"},
                 {offset, sizeof offset - 1, "eeeeffff"},
                 {odd_strides_of_ones, sizeof odd_strides_of_ones - 1, "aaaabbbbccccddddeeeeffff"},
                 {empty, sizeof empty - 1, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_pickle(cases[i].pickle, cases[i].size, NULL);
        struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
        const struct sb_tensor *a = sb_checkpoint_find(checkpoint, "a");
        ck_assert_uint_eq(a->count * 4, strlen(cases[i].bytes));
        ck_assert_ptr_nonnull(a->data);
        ck_assert_mem_eq(a->data, cases[i].bytes, a->count * 4);
        ck_assert_int_eq(sb_checkpoint_verify(checkpoint, a, NULL), SB_OK);
        sb_checkpoint_close(checkpoint);
    }
}
END_TEST

/* Every dtype by its storage name. */
START_TEST(storages)
{
#define TYPE(name, elements)                                                                                           \
    {                                                                                                                  \
        STATE(TENSOR_OF(STORAGE_OF(name, "0", elements), "K\0", "K\1\x85", "K\1\x85")), name                           \
    }
    static const struct {
        char pickle[300];
        const char *name;
    } cases[] = {TYPE("HalfStorage", "K\x0C"), TYPE("BFloat16Storage", "K\x0C"), TYPE("DoubleStorage", "K\3"),
                 TYPE("LongStorage", "K\3"),   TYPE("IntStorage", "K\6"),        TYPE("ShortStorage", "K\x0C"),
                 TYPE("CharStorage", "K\x18"), TYPE("ByteStorage", "K\x18"),     TYPE("BoolStorage", "K\x18")};
    static const enum sb_dtype dtypes[] = {SB_F16,         SB_BF16, SB_F64, SB_I64,        SB_I32,
                                           SB_DTYPE_OTHER, SB_I8,   SB_U8,  SB_DTYPE_OTHER};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_pickle(cases[i].pickle, sizeof cases[i].pickle, NULL); /* what follows STOP is not read */
        struct sb_checkpoint *checkpoint = open_ok(scratch("m"));
        ck_assert_str_eq(sb_checkpoint_at(checkpoint, 0)->stored_dtype, cases[i].name);
        ck_assert_int_eq(sb_checkpoint_at(checkpoint, 0)->dtype, dtypes[i]);
        sb_checkpoint_close(checkpoint);
    }
}
END_TEST

#define P(text) text, sizeof text - 1

static const struct {
    const char *pickle;
    size_t size;
    enum sb_status status;
    const char *words;
} bad_pickles[] = {
    /* attacks: what pickle would execute */
    {P("cos\nsystem\n(" TEXT("\2", "id") "tR."), SB_UNSUPPORTED, "asks for os.system"},
    {P("cposix\nsystem\n" TEXT("\2", "id") "\x85R."), SB_UNSUPPORTED, "asks for posix.system"},
    {P("\x80\4\x8C\10builtins\x8C\4eval\x93\x8C\1"
       "1\x85R."),
     SB_UNSUPPORTED, "asks for builtins.eval"},
    {P("c__builtin__\nexec\n."), SB_UNSUPPORTED, "asks for __builtin__.exec"},
    {P("ctorch\nload\n."), SB_UNSUPPORTED, "asks for torch.load"},
    {P("ctorch._utils\n_rebuild_qtensor\n."), SB_UNSUPPORTED, "_rebuild_qtensor"},
    {P("ccollections\nOrderedDict.__init__\n."), SB_UNSUPPORTED, "asks for collections.OrderedDict.__init__"},
    {P("ccollections\nOrderedDict\x1B[2J\n."), SB_UNSUPPORTED, "OrderedDict?[2J"},
    {P("(ios\nsystem\n."), SB_UNSUPPORTED, "opcode 0x69"},                /* INST */
    {P("(cos\nsystem\no."), SB_UNSUPPORTED, "asks for os.system"},        /* OBJ */
    {P("(ccollections\nOrderedDict\no."), SB_UNSUPPORTED, "opcode 0x6f"}, /* OBJ */
    {P("\x80\2"
       "ccollections\nOrderedDict\n)\x81."),
     SB_UNSUPPORTED, "opcode 0x81"},               /* NEWOBJ */
    {P("\x82\1."), SB_UNSUPPORTED, "opcode 0x82"}, /* EXT1 */
    {P("P1\n."), SB_UNSUPPORTED, "opcode 0x50"},   /* PERSID */
    {P("ccollections\nOrderedDict\n(K\1tR."), SB_UNSUPPORTED, "collections.OrderedDict with arguments"},
    {P("ctorch\nFloatStorage\n)R."), SB_UNSUPPORTED, "calls torch.FloatStorage"},
    /* damage */
    {P(""), SB_CORRUPT, "ends without a STOP"},
    {P("}"), SB_CORRUPT, "ends without a STOP"},
    {P("."), SB_CORRUPT, "something else than one value"},
    {P("}}."), SB_CORRUPT, "something else than one value"},
    {P("}(."), SB_CORRUPT, "something else than one value"},
    {P("\x80\6}."), SB_CORRUPT, "protocol newer than 5"},
    {P("u."), SB_CORRUPT, "no mark"},
    {P("t."), SB_CORRUPT, "no mark"},
    {P("(u."), SB_CORRUPT, "a container that is not there"},
    {P("}(K\1u."), SB_CORRUPT, "no dictionary"},
    {P("](K\1K\2u."), SB_CORRUPT, "no dictionary"},
    {P("}(K\1e."), SB_CORRUPT, "no list"},
    {P("}K\1a."), SB_CORRUPT, "no list"},
    {P("a."), SB_CORRUPT, "a container that is not there"},
    {P("}(s."), SB_CORRUPT, "a container that is not there"},
    {P("}(K\1K\2s."), SB_CORRUPT, "a container that is not there"}, /* it is below the mark */
    {P("K\1(\x86."), SB_CORRUPT, "a tuple takes more values"},
    {P("\x85."), SB_CORRUPT, "a tuple takes more values"},
    {P("R."), SB_CORRUPT, "no function"},
    {P("K\1)R."), SB_CORRUPT, "no function"},
    {P("ccollections\nOrderedDict\nK\1R."), SB_CORRUPT, "no function"},
    {P("b."), SB_CORRUPT, "no dictionary"},
    {P("K\1}b."), SB_CORRUPT, "no dictionary"},
    {P("Q."), SB_CORRUPT, "persistent id"},
    {P("(Q."), SB_CORRUPT, "persistent id"},
    {P("q\0."), SB_CORRUPT, "nothing to remember"},
    {P("h\0."), SB_CORRUPT, "never set"},
    {P("}q\5h\4."), SB_CORRUPT, "never set"},
    {P("j\xFF\xFF\xFF\xFF."), SB_CORRUPT, "never set"},
    {P("}r\xFF\xFF\xFF\xFF."), SB_LIMIT, "memo"},
    {P("\x93."), SB_CORRUPT, "without a name"},
    {P("K\1K\2\x93."), SB_CORRUPT, "without a name"},
    {P("cos"), SB_CORRUPT, "no end"},
    {P("cos\nsystem"), SB_CORRUPT, "no end"},
    {P("K"), SB_CORRUPT, "inside an operand"},
    {P("J\1\2\3"), SB_CORRUPT, "inside an operand"},
    {P("G\1\2\3"), SB_CORRUPT, "inside a number"},
    {P("\x8A\x09\1\2\3\4\5\6\7\x08\x09."), SB_CORRUPT, "more than 64 bits"},
    {P("\x8A\4\1\2"), SB_CORRUPT, "cut one"},
    {P("X\xFF\xFF\xFF\xFF"
       "a"),
     SB_CORRUPT, "longer than 4096"},
    {P("\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
       "a"),
     SB_CORRUPT, "longer than 4096"},
    {P("X\5\0\0\0abc"), SB_CORRUPT, "inside a string"},
    {P("X\1\0\0\0\xFF."), SB_CORRUPT, "not UTF-8"},
    /* not a state dictionary */
    {P("K\1."), SB_UNSUPPORTED, "something else than a dictionary"},
    {P("}."), SB_CORRUPT, "no tensors"},
    {P("}(" TEXT("\1", "a") "K\1u."), SB_CORRUPT, "no tensors"},
    {P("}(" TEXT("\1", "a") "}(" TEXT("\1", "b") TENSOR "uu."), SB_CORRUPT, "no tensors"},
    {P("}q\0(" TEXT("\1", "a") "h\0u."), SB_CORRUPT, "no tensors"}, /* a dictionary that holds itself */
    /* tensors that lie */
    {P("}(K\1" TENSOR "u."), SB_CORRUPT, "name is not a string"},
    {P("}(" TEXT("\2", "a\0") TENSOR "u."), SB_CORRUPT, "name is not a string"},
    {P("}(" TEXT("\2", "a\n") TENSOR "u."), SB_CORRUPT, "control character"},
    {P("}(" TEXT("\1", "a") TENSOR TEXT("\1", "a") TENSOR "u."), SB_CORRUPT, "occurs twice"},
    {P(STATE(REBUILD "tR")), SB_CORRUPT, "damaged"},
    {P(STATE(REBUILD "K\1K\0K\2K\3\x86K\3K\1\x86\x89}tR")), SB_CORRUPT, "no storage"},
    {P(STATE(TENSOR_OF("K\1Q", "K\0", "K\6\x85", "K\1\x85"))), SB_CORRUPT, "no storage"},
    {P(STATE(TENSOR_OF("(K\1K\2K\3K\4K\5tQ", "K\0", "K\6\x85", "K\1\x85"))), SB_CORRUPT, "no storage"},
    {P(STATE(TENSOR_OF(STORAGE_OF("FloatStorage", "0", "J\xFF\xFF\xFF\xFF"), "K\0", "K\6\x85", "K\1\x85"))), SB_CORRUPT,
     "no storage"},
    {P(STATE(TENSOR_OF(STORAGE_OF("FloatStorage", "1", "K\6"), "K\0", "K\6\x85", "K\1\x85"))), SB_CORRUPT,
     "x/data/1, which is not there"},
    {P(STATE(TENSOR_OF(STORAGE_OF("FloatStorage", "0", "K\5"), "K\0", "K\5\x85", "K\1\x85"))), SB_CORRUPT,
     "has 24 bytes, but tensor \"a\" claims 5"},
    {P(STATE(TENSOR_OF(STORAGE_OF("DoubleStorage", "0", "K\6"), "K\0", "K\6\x85", "K\1\x85"))), SB_CORRUPT,
     "claims 6 elements of DoubleStorage"},
    {P(STATE(TENSOR_OF(STORAGE_OF("FloatStorage", "0", "\x8A\x08\6\0\0\0\0\0\0\x40"), "K\0", "K\6\x85", "K\1\x85"))),
     SB_CORRUPT, "claims 4611686018427387910"},
    {P(STATE(TENSOR_OF(STORAGE, "K\1", "K\6\x85", "K\1\x85"))), SB_CORRUPT, "reaches beyond the 6 elements"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "K\7\x85", "K\1\x85"))), SB_CORRUPT, "reaches beyond"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "K\2K\3\x86", "K\4K\1\x86"))), SB_CORRUPT, "reaches beyond"},
    {P(STATE(TENSOR_OF(STORAGE, "\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", "K\6\x85", "K\1\x85"))), SB_CORRUPT,
     "reaches beyond"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "K\3K\2\x86", "\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7FK\1\x86"))), SB_CORRUPT,
     "reaches beyond"},
    {P(STATE(TENSOR_OF(STORAGE, "J\xFF\xFF\xFF\xFF", "K\6\x85", "K\1\x85"))), SB_CORRUPT, "damaged"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "J\xFF\xFF\xFF\xFF\x85", "K\1\x85"))), SB_CORRUPT, "damaged"},
    {P(STATE(TENSOR_OF(STORAGE, "\x8A\1\xFF", "K\6\x85", "K\1\x85"))), SB_CORRUPT, "damaged"}, /* -1, not 255 */
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "K\6\x85", "J\xFF\xFF\xFF\xFF\x85"))), SB_CORRUPT, "damaged"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "K\6\x85", ")"))), SB_CORRUPT, "damaged"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "K\6", "K\1"))), SB_CORRUPT, "damaged"},
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"))), SB_CORRUPT,
     "more than 8 dimensions"},
    /* a gigabyte of repeated elements from 24 bytes */
    {P(STATE(TENSOR_OF(STORAGE, "K\0", "J\0\0\0\x10\x85", "K\0\x85"))), SB_LIMIT, "repeats elements"},
    {P(STATE(REBUILD STORAGE "K\0K\6\x85K\1\x85\x89" ORDERED_DICT "}" TEXT("\4", "conj") "\x88stR")), SB_UNSUPPORTED,
     "conjugated"},
};

START_TEST(bad_pickle)
{
    put_pickle(bad_pickles[_i].pickle, bad_pickles[_i].size, NULL);
    expect_error(bad_pickles[_i].status, bad_pickles[_i].words);
}
END_TEST

/* A few bytes an opcode must not become gigabytes. */
START_TEST(huge_pickles)
{
    static const struct {
        char opcode;
        const char *words;
    } cases[] = {{'(', "more marks"}, {'}', "more values"}, {'N', "more values"}, {')', "more values"}};
    size_t size = (1 << 20) + 10;
    char *pickle = malloc(size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(pickle, cases[i].opcode, size);
        put_pickle(pickle, size, NULL);
        expect_error(SB_LIMIT, cases[i].words);
    }
    memset(pickle, '\0', size); /* BINGET 0, over and over: values on the stack, but no new ones */
    memcpy(pickle, "}q\0", 3);
    for (size_t i = 3; i + 1 < size; i += 2)
        pickle[i] = 'h';
    char *doubled = malloc(2 * size);
    memcpy(doubled, pickle, size - 1);
    for (size_t i = size - 1; i < 2 * size; i++)
        doubled[i] = (i - 3) % 2 == 0 ? 'h' : '\0';
    put_pickle(doubled, 2 * size, NULL);
    expect_error(SB_LIMIT, "on the stack");
    free(doubled);
    free(pickle);
}
END_TEST

static const struct {
    struct lie lie;
    enum sb_status status;
    const char *words;
} bad_zips[] = {
    {{0x06054b50, 0, 0, 4, 0}, SB_CORRUPT, "does not end like a zip file"},
    {{0x06054b50, 0, 20, 2, 1}, SB_CORRUPT, "does not end like a zip file"},
    {{0x06054b50, 0, 4, 2, 1}, SB_UNSUPPORTED, "several parts"},
    {{0x06054b50, 0, 10, 2, 2}, SB_CORRUPT, "contradict"},
    {{0x06054b50, 0, 12, 4, 7}, SB_CORRUPT, "contradict"},
    {{0x06054b50, 0, 16, 4, 0}, SB_CORRUPT, "contradict"},
    {{0x07064b50, 0, 8, 8, 0}, SB_CORRUPT, "zip64 record is not at"},
    {{0x07064b50, 0, 8, 8, UINT64_MAX}, SB_CORRUPT, "zip64 record is not at"},
    {{0x06064b50, 0, 32, 8, UINT64_MAX}, SB_CORRUPT, "contradict"},
    {{0x02014b50, 0, 8, 2, 1}, SB_UNSUPPORTED, "encrypted"},
    {{0x02014b50, 0, 10, 2, 8}, SB_UNSUPPORTED, "compressed (method 8)"},
    {{0x02014b50, 2, 10, 2, 93}, SB_UNSUPPORTED, "compressed (method 93)"},
    {{0x02014b50, 0, 20, 4, 1}, SB_CORRUPT, "sizes of entry x/data.pkl contradict"},
    {{0x02014b50, 2, 24, 4, 0x7FFFFFFF}, SB_CORRUPT, "sizes of entry x/data/0 contradict"},
    {{0x02014b50, 2, 20, 8, UINT64_MAX},
     SB_CORRUPT,
     "sizes of entry x/data/0 contradict"}, /* zip64, without its field */
    {{0x02014b50, 2, 20, 8, UINT64_C(0x7FFFFFFF7FFFFFFF)}, SB_CORRUPT, "claims 2147483647 bytes"},
    {{0x02014b50, 2, 42, 4, 0x7FFFFFFF}, SB_CORRUPT, "is not at byte"},
    {{0x02014b50, 2, 42, 4, 1}, SB_CORRUPT, "is not at byte"},
    {{0x02014b50, 2, 42, 4, 0}, SB_CORRUPT, "another name in its local header"},
    {{0x02014b50, 0, 28, 2, 0xFFFF}, SB_CORRUPT, "directory is cut"},
    {{0x02014b50, 2, 30, 2, 4}, SB_CORRUPT, "directory is cut"},
    {{0x02014b50, 1, 0, 4, 0}, SB_CORRUPT, "directory is damaged"},
    {{0x02014b50, 0, 46, 1, 1}, SB_CORRUPT, "control character"},
    {{0x02014b50, 0, 46, 1, 0xFF}, SB_CORRUPT, "not UTF-8"},
    {{0x04034b50, 0, 26, 2, 0xFFFF}, SB_CORRUPT, "claims"},
    {{0x04034b50, 2, 28, 2, 0xFFFF}, SB_CORRUPT, "claims"},
    {{0x04034b50, 1, 0, 4, 0}, SB_CORRUPT, "is not at byte"},
};

START_TEST(bad_zip)
{
    put_pickle(good, sizeof good - 1, &bad_zips[_i].lie);
    expect_error(bad_zips[_i].status, bad_zips[_i].words);
}
END_TEST

START_TEST(lying_zip64_alone)
{
    /* the end record saturated and the zip64 record wild */
    const struct item items[] = {{"x/data.pkl", good, sizeof good - 1}};
    const struct lie none = {0x06054b50, 0, 10, 2, 0xFFFF};
    put_zip(items, 1, false, &none); /* 65535 entries claimed by the only record */
    expect_error(SB_CORRUPT, "claims 65535 entries");
}
END_TEST

static const char floats[] = "aaaabbbbccccddddeeeeffff";

START_TEST(strange_archives)
{
    const struct item two[] = {
        {"x/data.pkl", good, sizeof good - 1}, {"y/data.pkl", good, sizeof good - 1}, {"x/data/0", floats, 24}};
    const struct item twice[] = {
        {"x/data.pkl", good, sizeof good - 1}, {"x/data/0", floats, 24}, {"x/data/0", floats, 24}};
    const struct item none[] = {{"x/data/0", floats, 24}};
    const struct item big[] = {
        {"x/data.pkl", good, sizeof good - 1}, {"x/data/0", floats, 24}, {"x/byteorder", "big", 3}};
    put_zip(two, 3, true, NULL);
    expect_error(SB_CORRUPT, "several data.pkl");
    put_zip(twice, 3, true, NULL);
    expect_error(SB_CORRUPT, "x/data/0 occurs twice");
    put_zip(none, 1, true, NULL);
    expect_error(SB_CORRUPT, "no data.pkl");
    put_zip(none, 0, true, NULL);
    expect_error(SB_CORRUPT, "no data.pkl");
    put_zip(big, 3, true, NULL);
    expect_error(SB_UNSUPPORTED, "byte order");
    scratch_text("m/pytorch_model.bin", "something else");
    expect_error(SB_CORRUPT, "torch.save did not write it");
}
END_TEST

/* Bytes of the real file changed one at a time, in the pickle and in the directory: refused or read, never a crash. */
START_TEST(flipped_bytes)
{
    size_t size, opened = 0;
    const char *file = whole_file(golden("models/tiny-bert/pytorch_model.bin"), &size);
    char *copy = malloc(size);
    memcpy(copy, file, size);
    for (size_t i = 64; i < size; i += i < 7000 ? 23 : i < size - 5000 ? 40961 : 11) {
        struct sb_checkpoint *checkpoint;
        copy[i] = (char)(copy[i] ^ 0x11);
        scratch_write("m/pytorch_model.bin", copy, size);
        if (sb_checkpoint_open(&checkpoint, scratch("m"), NULL) == SB_OK) {
            opened++;
            for (size_t k = 0; k < sb_checkpoint_count(checkpoint); k++)
                if (sb_checkpoint_verify(checkpoint, sb_checkpoint_at(checkpoint, k), NULL) != SB_OK)
                    break;
            sb_checkpoint_close(checkpoint);
        }
        copy[i] = file[i];
    }
    ck_assert_uint_gt(opened, 0);
    free(copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights/pytorch");
    TCase *tests = tcase_create("pytorch");
    tcase_add_test(tests, same_as_safetensors);
    tcase_add_test(tests, truncated);
    tcase_add_test(tests, damaged_data);
    tcase_add_test(tests, made_here);
    tcase_add_test(tests, large_fields_in_zip64);
    tcase_add_test(tests, other_spellings);
    tcase_add_test(tests, views);
    tcase_add_test(tests, storages);
    tcase_add_loop_test(tests, bad_pickle, 0, sizeof bad_pickles / sizeof *bad_pickles);
    tcase_add_test(tests, huge_pickles);
    tcase_add_loop_test(tests, bad_zip, 0, sizeof bad_zips / sizeof *bad_zips);
    tcase_add_test(tests, lying_zip64_alone);
    tcase_add_test(tests, strange_archives);
    tcase_add_test(tests, flipped_bytes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
