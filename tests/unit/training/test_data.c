/*
 * Reading training examples: every format, what is dropped and why, compressed files, files that change, order.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"
#include "training/data.h"

#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static struct sb_data *open_with(struct sb_data_file file, const struct sb_data_options *options)
{
    struct sb_data *data;
    struct sb_error error;
    struct sb_data_options defaults = sb_data_defaults();
    enum sb_status status = sb_data_open(&data, &file, 1, options ? options : &defaults, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return data;
}

static struct sb_data *open_text(const char *name, const char *text)
{
    scratch_text(name, text);
    return open_with((struct sb_data_file){.path = scratch(name)}, NULL);
}

/* Opening fails with this status and a message that says so. */
static void refuse_with(struct sb_data_file file, const struct sb_data_options *options, enum sb_status status,
                        const char *says)
{
    struct sb_data *data = (void *)&file;
    struct sb_error error = {0};
    struct sb_data_options defaults = sb_data_defaults();
    ck_assert_int_eq(sb_data_open(&data, &file, 1, options ? options : &defaults, &error), status);
    ck_assert_ptr_null(data);
    ck_assert_msg(strstr(error.message, says) != NULL, "'%s' does not say '%s'", error.message, says);
}

static void refuse_text(const char *name, const char *text, const char *says)
{
    scratch_text(name, text);
    refuse_with((struct sb_data_file){.path = scratch(name)}, NULL, SB_INVALID, says);
}

/* Example `number` as "kind label: text | text". */
static const char *shown(const struct sb_data *data, size_t number)
{
    struct sb_example e = {0};
    struct sb_error error;
    enum sb_status status = sb_data_read(data, number, &e, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    struct sb_buffer b = {0};
    sb_buffer_format(&b, "%s %g:", sb_data_kind_name(e.kind), (double)e.label);
    for (size_t i = 0; i < e.count; i++)
        sb_buffer_format(&b, "%s%.*s", i ? " | " : " ", (int)e.texts[i].size, e.texts[i].text);
    sb_example_free(&e);
    return keep(sb_buffer_take(&b, NULL));
}

static void check_first(const char *name, const char *text, const char *expected)
{
    struct sb_data *data = open_text(name, text);
    ck_assert_str_eq(shown(data, 0), expected);
    sb_data_close(data);
}

START_TEST(formats_are_found_out)
{
    check_first("s.jsonl", "{\"text\": \"a\", \"synonyms\": [\"b\", \" \", \"a\", \"c \"], \"x\": 1}\n",
                "synonyms 1: a | b | c");
    check_first("p.tsv", "怎么还款\t如何还款\t1\n花呗\t借呗\t0\n", "pairs 1: 怎么还款 | 如何还款");
    check_first("p4.tsv", "lcqmc\ta\tb\t0\nafqmc\tc\td\t1\r\n", "pairs 0: a | b");
    check_first("graded.tsv", "a\tb\t3.8\nc\td\t5.0\n", "pairs 0.76: a | b");
    check_first("cosine.tsv", "0.928\ta\tb\n0.5\tc\td\n", "pairs 0.928: a | b");
    check_first("two.tsv", "a\tb\nc\td\n", "pairs 1: a | b");
    check_first("header.tsv", "id\tsentence2\tsentence1\tscore\n7\tb\ta\t1\n", "pairs 1: a | b");
    check_first("p.jsonl", "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": \"0\"}\n", "pairs 0: a | b");
    check_first("bool.jsonl", "{\"text1\": \"a\", \"text2\": \"b\", \"label\": true}\n", "pairs 1: a | b");
    check_first("unlabelled.jsonl", "{\"text1\": \"a\", \"text2\": \"b\"}\n", "pairs 1: a | b");
    check_first("t.tsv", "a\tp\tn\nb\tq\tm\n", "triplets 1: a | p | n");
    check_first("t.jsonl", "{\"negative\": \"n\", \"anchor\": \"a\", \"positive\": \"p\"}\n", "triplets 1: a | p | n");
    check_first("n.tsv", "a\tb\tneutral\nc\td\tentailment\n", "nli 1: a | b");
    check_first("nh.tsv", "premise\thypothesis\tlabel\na\tb\t2\n", "nli 2: a | b");
    check_first("n.jsonl", "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": 2}\n", "nli 2: a | b");
    check_first("x.txt", "  一句话。 \n另一句\n", "sentences 1: 一句话。");
    check_first("x.jsonl", "{\"text\": \"一句话\"}\n", "sentences 1: 一句话");
    check_first("bom.txt", "\xEF\xBB\xBF一句话", "sentences 1: 一句话");
    check_first("bom.jsonl", "\xEF\xBB\xBF{\"text\": \"一句话\"}", "sentences 1: 一句话");
    check_first("tabs.txt", "a\tb\nx\ny\nz\n", "sentences 1: a\tb");
    refuse_text("first.jsonl",
                "no example\n{\"text\": \"a\", \"synonyms\": [\"b\"]}\n{\"text\": \"c\", \"synonyms\": [\"d\"]}\n",
                "1 of 3 lines are no synonyms"); /* a bad line, though the first */
}
END_TEST

START_TEST(chat_gives_the_last_question_and_its_answer)
{
    check_first("c.jsonl",
                "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": \"q1\"},"
                "{\"role\": \"assistant\", \"content\": \"a1\"}, {\"role\": \"user\", \"content\": \"q2\"},"
                "{\"role\": \"assistant\", \"content\": \"a2\"}, {\"role\": \"user\", \"content\": \"q3\"}]}\n",
                "chat 1: q2 | a2");
    refuse_text("c2.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}\n",
                "line 1: wrong fields: no \"user\" message that an \"assistant\" message answers");
}
END_TEST

START_TEST(formats_can_be_told)
{
    scratch_text("o.tsv", "a\tb\t1\nc\td\t2\n");
    struct sb_data *data = open_with((struct sb_data_file){.path = scratch("o.tsv"), .kind = SB_DATA_NLI}, NULL);
    ck_assert_str_eq(shown(data, 1), "nli 2: c | d");
    sb_data_close(data);
    data = open_with((struct sb_data_file){.path = scratch("o.tsv"), .kind = SB_DATA_SENTENCES}, NULL);
    ck_assert_str_eq(shown(data, 1), "sentences 1: c\td\t2");
    sb_data_close(data);
    data = open_with((struct sb_data_file){.path = scratch("o.tsv"), .columns = "b,a,-"}, NULL);
    ck_assert_str_eq(shown(data, 0), "pairs 1: b | a");
    sb_data_close(data);
    data = open_with((struct sb_data_file){.path = scratch("o.tsv"), .score_low = 1, .score_high = 3}, NULL);
    ck_assert_str_eq(shown(data, 1), "pairs 0.5: c | d");
    sb_data_close(data);
    refuse_with((struct sb_data_file){.path = scratch("o.tsv"), .columns = "a,z"}, NULL, SB_INVALID,
                "'z' is none of a, b, c, label and -");
    refuse_with((struct sb_data_file){.path = scratch("o.tsv"), .columns = "a,a"}, NULL, SB_INVALID, "has 'a' twice");
    refuse_with((struct sb_data_file){.path = scratch("o.tsv"), .columns = "a,b"}, NULL, SB_INVALID,
                "3 columns instead of 2");
    refuse_with((struct sb_data_file){.path = scratch("o.tsv"), .kind = SB_DATA_TRIPLETS}, NULL, SB_INVALID,
                "triplets need a column 'c'");
    refuse_with((struct sb_data_file){.path = scratch("o.tsv"), .kind = SB_DATA_CHAT}, NULL, SB_INVALID,
                "come as JSON lines");
}
END_TEST

START_TEST(bad_lines_are_named_and_counted)
{
    scratch_text("bad.jsonl", "{\"text\": \"a\", \"synonyms\": [\"b\"]}\n"
                              "\n"
                              "{\"text\": \"a\"\n"
                              "{\"text\": \" \", \"synonyms\": []}\n"
                              "{\"text\": \"c\", \"synonyms\": \"d\"}\n"
                              "{\"text\": \"\xff\", \"synonyms\": []}\n"
                              "[]\n"
                              "{\"text\": \"e\", \"synonyms\": [\"f\"]}");
    struct sb_data_options options = sb_data_defaults();
    options.bad_share_max = 0.9;
    struct sb_data *data = open_with((struct sb_data_file){.path = scratch("bad.jsonl")}, &options);
    const struct sb_data_report *r = sb_data_report(data, 0);
    ck_assert_uint_eq(r->lines, 8);
    ck_assert_uint_eq(r->blank, 1);
    ck_assert_uint_eq(r->examples, 2);
    ck_assert_uint_eq(r->bad, 5);
    ck_assert_uint_eq(r->dropped[SB_DROP_JSON], 2);
    ck_assert_uint_eq(r->dropped[SB_DROP_EMPTY], 1);
    ck_assert_uint_eq(r->dropped[SB_DROP_FIELDS], 1);
    ck_assert_uint_eq(r->dropped[SB_DROP_ENCODING], 1);
    ck_assert_uint_eq(r->problem_count, 5);
    ck_assert_uint_eq(r->problems[1].line, 4);
    ck_assert_str_eq(r->problems[1].what, "\"text\" is empty");
    ck_assert_uint_eq(r->problems[4].line, 7);
    ck_assert_str_eq(shown(data, 1), "synonyms 1: e | f");
    sb_data_close(data);
    refuse_with((struct sb_data_file){.path = scratch("bad.jsonl")}, NULL, SB_INVALID, "5 of 7 lines are no synonyms");
    options.bad_lines_max = 4;
    refuse_with((struct sb_data_file){.path = scratch("bad.jsonl")}, &options, SB_INVALID, "line 3: not a JSON object");
}
END_TEST

START_TEST(labels_are_checked)
{
    struct sb_data_options options = sb_data_defaults();
    options.bad_share_max = 0.5;
    struct sb_buffer text = {0};
    for (int i = 0; i < 30; i++)
        sb_buffer_text(&text, i == 17 ? "a\tb\tyes\n" : i == 20 ? "a\t \t1\n" : i == 22 ? "a\tb\n" : "a\tb\t1\n");
    scratch_text("l.tsv", text.data);
    struct sb_data *data = open_with((struct sb_data_file){.path = scratch("l.tsv")}, &options);
    const struct sb_data_report *r = sb_data_report(data, 0);
    ck_assert_uint_eq(r->dropped[SB_DROP_LABEL], 1);
    ck_assert_uint_eq(r->dropped[SB_DROP_EMPTY], 1);
    ck_assert_uint_eq(r->dropped[SB_DROP_FIELDS], 1);
    ck_assert_str_eq(r->problems[0].what, "the label 'yes' is no number");
    sb_data_close(data);
    sb_buffer_free(&text);
    refuse_text("negative.tsv", "a\tb\t-0.5\nc\td\t1\n", "scores go from -0.5 to 1");
    scratch_text("range.tsv", "a\tb\t4\nc\td\t7\n");
    refuse_with((struct sb_data_file){.path = scratch("range.tsv"), .score_high = 5}, NULL, SB_INVALID,
                "the score 7 is not in [0, 5]");
    refuse_text("nli.jsonl", "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": 3}\n",
                "'3' is none of entailment");
    refuse_text("nli2.jsonl", "{\"premise\": \"a\", \"hypothesis\": \"b\"}\n", "there is no \"label\"");
}
END_TEST

START_TEST(only_positives_on_request)
{
    struct sb_data_options options = sb_data_defaults();
    options.positives_only = true;
    scratch_text("g.tsv", "a\tb\t0\nc\td\t2.5\ne\tf\t5\n");
    struct sb_data *data = open_with((struct sb_data_file){.path = scratch("g.tsv")}, &options);
    ck_assert_uint_eq(sb_data_count(data), 2);
    ck_assert_str_eq(shown(data, 0), "pairs 0.5: c | d");
    ck_assert_uint_eq(sb_data_report(data, 0)->dropped[SB_DROP_NO_PAIR], 1);
    ck_assert_uint_eq(sb_data_report(data, 0)->bad, 0);
    sb_data_close(data);
    scratch_text("g.jsonl", "{\"text\": \"a\", \"synonyms\": [\"a\"]}\n{\"text\": \"a\", \"synonyms\": [\"b\"]}\n");
    data = open_with((struct sb_data_file){.path = scratch("g.jsonl")}, &options);
    ck_assert_uint_eq(sb_data_count(data), 1);
    sb_data_close(data);
    scratch_text("n.tsv", "a\tb\tneutral\nc\td\tentailment\n");
    data = open_with((struct sb_data_file){.path = scratch("n.tsv")}, &options);
    ck_assert_uint_eq(sb_data_count(data), 1);
    ck_assert_str_eq(shown(data, 0), "nli 0: c | d");
    sb_data_close(data);
    scratch_text("none.tsv", "a\tb\t0\n");
    refuse_with((struct sb_data_file){.path = scratch("none.tsv")}, &options, SB_INVALID,
                "no two texts with one meaning");
}
END_TEST

START_TEST(several_files_are_one)
{
    scratch_text("1.tsv", "a\tb\t1\nc\td\t0\n");
    scratch_text("2.jsonl", "{\"text\": \"e\", \"synonyms\": [\"f\"]}\n");
    struct sb_data_file files[] = {{.path = scratch("1.tsv")}, {.path = scratch("2.jsonl")}};
    struct sb_data_options options = sb_data_defaults();
    struct sb_data *data, *again;
    ck_assert_int_eq(sb_data_open(&data, files, 2, &options, NULL), SB_OK);
    ck_assert_uint_eq(sb_data_count(data), 3);
    ck_assert_uint_eq(sb_data_kinds(data), 1u << SB_DATA_PAIRS | 1u << SB_DATA_SYNONYMS);
    ck_assert_str_eq(shown(data, 1), "pairs 0: c | d");
    ck_assert_str_eq(shown(data, 2), "synonyms 1: e | f");
    struct sb_example e = {0};
    ck_assert_int_eq(sb_data_read(data, 3, &e, NULL), SB_INVALID);
    char place[300];
    sb_data_place(data, 1, place, sizeof place);
    ck_assert_msg(strstr(place, "1.tsv, byte 6") != NULL, "%s", place);
    /* The hash tells the same content from another. */
    ck_assert_int_eq(sb_data_open(&again, files, 2, &options, NULL), SB_OK);
    ck_assert_uint_eq(sb_data_hash(data), sb_data_hash(again));
    sb_data_close(again);
    scratch_text("1.tsv", "a\tb\t1\nc\tx\t0\n");
    ck_assert_int_eq(sb_data_open(&again, files, 2, &options, NULL), SB_OK);
    ck_assert_uint_ne(sb_data_hash(data), sb_data_hash(again));
    sb_data_close(again);
    sb_data_close(data);
}
END_TEST

/* Longer than a block of reading, so that lines lie across its ends. */
static struct sb_buffer many_lines(int count)
{
    struct sb_buffer text = {0};
    for (int i = 0; i < count; i++)
        sb_buffer_format(&text, "{\"text\": \"第%d句%*s\", \"synonyms\": [\"%d\"]}\n", i, i % 97, "", i);
    return text;
}

static void check_many(const struct sb_data *data, int count)
{
    ck_assert_uint_eq(sb_data_count(data), (size_t)count);
    for (int i = 0; i < count; i += 61) {
        char expected[64];
        snprintf(expected, sizeof expected, "synonyms 1: 第%d句 | %d", i, i);
        ck_assert_str_eq(shown(data, (size_t)i), expected);
    }
}

static void write_gz(const char *name, const char *data, size_t size)
{
    gzFile file = gzopen(scratch(name), "ab");
    ck_assert_int_eq(gzwrite(file, data, (unsigned)size), (int)size);
    gzclose(file);
}

static const char *xz_of(const char *data, size_t size, size_t *out_size)
{
    size_t bound = lzma_stream_buffer_bound(size);
    uint8_t *out = malloc(bound);
    *out_size = 0;
    ck_assert_int_eq(
        lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (const uint8_t *)data, size, out, out_size, bound), LZMA_OK);
    return keep((char *)out);
}

START_TEST(compressed_files_read_the_same)
{
    enum { LINES = 30000 };
    struct sb_buffer text = many_lines(LINES);
    size_t half = text.length / 2, size;
    scratch_write("m.jsonl", text.data, text.length);
    write_gz("m.jsonl.gz", text.data, half); /* two members */
    write_gz("m.jsonl.gz", text.data + half, text.length - half);
    const char *xz = xz_of(text.data, text.length, &size);
    scratch_write("m.jsonl.xz", xz, size);
    uint64_t hash = 0;
    const char *const names[] = {"m.jsonl", "m.jsonl.gz", "m.jsonl.xz"};
    for (int i = 0; i < 3; i++) {
        struct sb_data *data = open_with((struct sb_data_file){.path = scratch(names[i])}, NULL);
        ck_assert(i == 0 || hash == sb_data_hash(data));
        hash = sb_data_hash(data);
        check_many(data, LINES);
        sb_data_close(data);
    }
    /* Damage. */
    scratch_write("cut.jsonl.xz", xz, size / 2);
    refuse_with((struct sb_data_file){.path = scratch("cut.jsonl.xz")}, NULL, SB_CORRUPT, "damaged or cut short");
    char *damaged = malloc(size);
    memcpy(damaged, xz, size);
    damaged[size / 2] ^= 1;
    scratch_write("bad.jsonl.xz", damaged, size);
    free(damaged);
    refuse_with((struct sb_data_file){.path = scratch("bad.jsonl.xz")}, NULL, SB_CORRUPT, "damaged or cut short");
    const char *gz = whole_file(scratch("m.jsonl.gz"), &size);
    scratch_write("cut.jsonl.gz", gz, size - 9);
    refuse_with((struct sb_data_file){.path = scratch("cut.jsonl.gz")}, NULL, SB_CORRUPT, "damaged or cut short");
    scratch_text("no.gz", "no gzip at all");
    refuse_with((struct sb_data_file){.path = scratch("no.gz")}, NULL, SB_CORRUPT, "damaged or cut short");
    struct sb_data_options options = sb_data_defaults();
    options.bytes_max = text.length - 1;
    refuse_with((struct sb_data_file){.path = scratch("m.jsonl.xz")}, &options, SB_LIMIT, "decompressed");
    refuse_with((struct sb_data_file){.path = scratch("m.jsonl")}, &options, SB_LIMIT, "more than the limit");
    options = sb_data_defaults();
    options.temporary_folder = "/nonexistent";
    refuse_with((struct sb_data_file){.path = scratch("m.jsonl.xz")}, &options, SB_IO, "/nonexistent");
    sb_buffer_free(&text);
}
END_TEST

START_TEST(long_lines_are_dropped)
{
    struct sb_data_options options = sb_data_defaults();
    options.line_max = 100;
    options.bad_share_max = 1;
    struct sb_buffer text = {0};
    sb_buffer_text(&text, "first\n");
    for (int i = 0; i < 3 << 20; i++)
        sb_buffer_text(&text, "x");
    sb_buffer_text(&text, "\nlast\n");
    for (int i = 0; i < 101; i++)
        sb_buffer_text(&text, "y");
    scratch_write("long.txt", text.data, text.length);
    sb_buffer_free(&text);
    struct sb_data *data = open_with((struct sb_data_file){.path = scratch("long.txt")}, &options);
    ck_assert_uint_eq(sb_data_count(data), 2);
    ck_assert_str_eq(shown(data, 1), "sentences 1: last");
    const struct sb_data_report *r = sb_data_report(data, 0);
    ck_assert_uint_eq(r->dropped[SB_DROP_LENGTH], 2);
    ck_assert_uint_eq(r->problems[0].line, 2);
    ck_assert_uint_eq(r->problems[1].line, 4);
    ck_assert_str_eq(r->problems[0].what, "longer than 100 bytes");
    sb_data_close(data);
    /* A line of several reads. */
    data = open_with((struct sb_data_file){.path = scratch("long.txt"), .kind = SB_DATA_SENTENCES},
                     &(struct sb_data_options){.line_max = 4 << 20, .bytes_max = 8 << 20});
    struct sb_example e = {0};
    ck_assert_int_eq(sb_data_read(data, 1, &e, NULL), SB_OK);
    ck_assert_uint_eq(e.texts[0].size, 3 << 20);
    sb_example_free(&e);
    sb_data_close(data);
}
END_TEST

START_TEST(files_that_change_are_told)
{
    scratch_text("c.tsv", "a\tb\t1\nc\td\t1\n");
    struct sb_data *data = open_with((struct sb_data_file){.path = scratch("c.tsv")}, NULL);
    struct sb_example e = {0};
    struct sb_error error;
    ck_assert_int_eq(truncate(scratch("c.tsv"), 3), 0);
    ck_assert_int_eq(sb_data_read(data, 1, &e, &error), SB_CORRUPT);
    ck_assert_msg(strstr(error.message, "was cut to") != NULL, "%s", error.message);
    scratch_text("c.tsv", "a b c d e f g h i j k\n");
    ck_assert_int_eq(sb_data_read(data, 1, &e, &error), SB_CORRUPT);
    ck_assert_msg(strstr(error.message, "was changed") != NULL, "%s", error.message);
    sb_data_close(data);
    /* A deleted file stays readable. */
    data = open_text("d.tsv", "a\tb\t1\nc\td\t1\n");
    ck_assert_int_eq(unlink(scratch("d.tsv")), 0);
    ck_assert_str_eq(shown(data, 1), "pairs 1: c | d");
    sb_data_close(data);
    sb_example_free(&e);
    refuse_with((struct sb_data_file){.path = scratch("d.tsv")}, NULL, SB_NOT_FOUND, "cannot open");
    refuse_with((struct sb_data_file){.path = scratch("")}, NULL, SB_IO, "not a regular file");
    refuse_text("empty.tsv", "", "has no lines");
    refuse_text("blank.tsv", "\n \n", "has no lines");
    refuse_text("what.jsonl", "{\"foo\": 1}\n", "no line says what it is");
}
END_TEST

START_TEST(orders_are_permutations)
{
    const size_t counts[] = {1, 2, 3, 4, 5, 16, 17, 1000, 4097};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            bool *seen = calloc(counts[c], sizeof *seen);
            for (size_t i = 0; i < counts[c]; i++) {
                size_t at = sb_permute(counts[c], 7, epoch, i);
                ck_assert(at < counts[c] && !seen[at]);
                seen[at] = true;
            }
            free(seen);
        }
    /* Every place is as likely as another: 600 seeds over 6 places, each cell of the table expects 100. */
    int table[6][6] = {{0}};
    for (uint64_t seed = 0; seed < 600; seed++)
        for (size_t i = 0; i < 6; i++)
            table[i][sb_permute(6, seed, 0, i)]++;
    double chi = 0;
    for (int i = 0; i < 36; i++)
        chi += (table[i / 6][i % 6] - 100) * (table[i / 6][i % 6] - 100) / 100.0;
    ck_assert_double_lt(chi, 50); /* 25 degrees of freedom: 99.8 % */
    int same = 0;
    for (size_t i = 0; i < 1000; i++)
        same += sb_permute(1000, 1, 0, i) == sb_permute(1000, 1, 1, i);
    ck_assert_int_lt(same, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training/data");
    TCase *tests = tcase_create("data");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, formats_are_found_out);
    tcase_add_test(tests, chat_gives_the_last_question_and_its_answer);
    tcase_add_test(tests, formats_can_be_told);
    tcase_add_test(tests, bad_lines_are_named_and_counted);
    tcase_add_test(tests, labels_are_checked);
    tcase_add_test(tests, only_positives_on_request);
    tcase_add_test(tests, several_files_are_one);
    tcase_add_test(tests, compressed_files_read_the_same);
    tcase_add_test(tests, long_lines_are_dropped);
    tcase_add_test(tests, files_that_change_are_told);
    tcase_add_test(tests, orders_are_permutations);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
