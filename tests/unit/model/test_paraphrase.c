/*
 * The paraphrase task, end to end on the model that ships: filters, ranking, masks, limits, streaming, and that nothing
 * but the request decides what comes out.
 */
#include "model/paraphrase_impl.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sb_model *model; /* opened once: each test runs in a fork of this process */
static struct sb_session *session;
static const char *const question = "花呗绑定几个支付宝号";

static struct sb_paraphrase_options options_of(int num_candidates)
{
    struct sb_paraphrase_options o = sb_paraphrase_defaults();
    o.num_candidates = num_candidates;
    o.n = num_candidates;
    o.decode.seed = 5;
    o.decode.max_new_tokens = 24;
    return o;
}

static struct sb_task *new_task(const char *text, const struct sb_paraphrase_options *o)
{
    struct sb_task *task;
    struct sb_error error;
    enum sb_status status = sb_paraphrase_task_new(&task, model, text, strlen(text), o, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return task;
}

static struct sb_task *run(const char *text, const struct sb_paraphrase_options *o)
{
    struct sb_task *task = new_task(text, o);
    struct sb_error error;
    enum sb_status status = sb_task_run(task, session, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    ck_assert(sb_task_finished(task));
    return task;
}

static bool same_text(const char *a, const char *b)
{
    struct sb_code_points x = {0}, y = {0};
    ck_assert_int_eq(sb_text_normalize(&x, a, strlen(a), NULL), SB_OK);
    ck_assert_int_eq(sb_text_normalize(&y, b, strlen(b), NULL), SB_OK);
    bool same = sb_code_points_equal(&x, &y);
    sb_code_points_free(&x);
    sb_code_points_free(&y);
    return same;
}

/* The vector of a text, computed alone. */
static void embed(float *vector, const char *text)
{
    struct sb_encoding encoding = {0};
    ck_assert_int_eq(sb_tokenizer_encode(sb_model_tokenizer(model), &encoding, text, strlen(text), NULL, 0, 512, NULL),
                     SB_OK);
    struct sb_row row = {
        .ids = encoding.ids, .length = encoding.length, .prefix = encoding.length, .want = SB_WANT_VECTOR};
    ck_assert_int_eq(sb_session_forward(session, &row, 1, NULL), SB_OK);
    memcpy(vector, row.vector, (size_t)sb_model_dimensions(model) * sizeof *vector);
    sb_encoding_free(&encoding);
}

/* Cosine of a vector to a text's. */
static double similarity(const float *x, const char *text)
{
    size_t n = (size_t)sb_model_dimensions(model);
    float *y = malloc(n * sizeof *y);
    double dot = 0, xx = 0, yy = 0;
    embed(y, text);
    for (size_t i = 0; i < n; i++)
        dot += (double)x[i] * (double)y[i], xx += (double)x[i] * (double)x[i], yy += (double)y[i] * (double)y[i];
    free(y);
    return dot / sqrt(xx * yy);
}

/* What every list of results must be. */
static void check_results(const struct sb_task *task, const char *source, const struct sb_paraphrase_options *o)
{
    size_t count;
    const struct sb_paraphrase *r = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_le(count, (size_t)o->n);
    float *vector = malloc((size_t)sb_model_dimensions(model) * sizeof *vector);
    embed(vector, source);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(strlen(r[i].text), r[i].size);
        ck_assert_uint_gt(r[i].size, 0);
        ck_assert_ptr_null(strstr(r[i].text, "[")); /* no [PAD], no [UNK] */
        ck_assert(!o->drop_copies || !same_text(r[i].text, source));
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(!same_text(r[i].text, r[j].text), "'%s' and '%s'", r[j].text, r[i].text);
        ck_assert(i == 0 || !o->rerank || r[i - 1].similarity >= r[i].similarity);
        ck_assert(r[i].similarity >= o->min_similarity && r[i].similarity <= o->max_similarity);
        double alone = similarity(vector, r[i].text);
        ck_assert_msg(fabs(r[i].similarity - alone) < 1e-6, "'%s': %.7f, alone %.7f", r[i].text, r[i].similarity,
                      alone);
        ck_assert(r[i].logprob < 0 && isfinite(r[i].logprob));
        ck_assert_int_ge(r[i].edit_distance, o->min_edit_distance);
        ck_assert_int_eq(r[i].edit_distance == 0, same_text(r[i].text, source));
    }
    free(vector);
}

/* Every candidate is a result or was dropped for one reason; needs n = num_candidates. */
static void check_counts(const struct sb_task *task, int64_t candidates)
{
    struct sb_paraphrase_counts c = sb_paraphrase_task_counts(task);
    size_t results;
    sb_paraphrase_task_results(task, &results);
    ck_assert_int_eq((int64_t)results + c.dropped_force_words + c.dropped_empty + c.dropped_copies +
                         c.dropped_duplicates + c.dropped_edit_distance + c.dropped_similarity,
                     candidates);
    ck_assert_int_gt(c.source_tokens, 2);
    ck_assert_uint_gt(c.cache_bytes, 0);
    ck_assert(c.generated_tokens >= candidates || c.dropped_empty > 0);
}

START_TEST(samples)
{
    struct sb_paraphrase_options o = options_of(40);
    struct sb_task *task = run(question, &o);
    size_t count;
    sb_paraphrase_task_results(task, &count);
    ck_assert_uint_ge(count, 10);
    check_results(task, question, &o);
    check_counts(task, 40);
    struct sb_paraphrase_counts c = sb_paraphrase_task_counts(task);
    ck_assert_int_lt(c.decode_steps, c.generated_tokens); /* beginnings are shared */
    sb_task_free(task);
}
END_TEST

static void assert_same(const struct sb_task *a, const struct sb_task *b)
{
    size_t n, m;
    const struct sb_paraphrase *x = sb_paraphrase_task_results(a, &n), *y = sb_paraphrase_task_results(b, &m);
    ck_assert_uint_eq(n, m);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(x[i].text, y[i].text);
        ck_assert(x[i].similarity == y[i].similarity && x[i].logprob == y[i].logprob && x[i].stopped == y[i].stopped);
        ck_assert_int_eq(x[i].edit_distance, y[i].edit_distance);
    }
}

/* Two tasks share batches of at most max_tokens; the second gets what the first leaves. */
static void run_together(struct sb_task *a, struct sb_task *b, size_t max_tokens)
{
    struct sb_task_batch *batch;
    ck_assert_int_eq(sb_task_batch_new(&batch, session, NULL), SB_OK);
    for (int round = 0; !a->finished || !b->finished; round++) {
        struct sb_task *tasks[] = {round % 2 ? a : b, round % 2 ? b : a};
        size_t used = 0;
        sb_task_batch_reset(batch);
        for (int i = 0; i < 2; i++)
            if (used < max_tokens)
                used += sb_task_offer(tasks[i], batch, max_tokens - used);
        ck_assert_uint_gt(batch->count, 0);
        ck_assert_int_eq(sb_session_forward(session, batch->rows, batch->count, NULL), SB_OK);
        sb_task_batch_deliver(batch);
        ck_assert_int_lt(round, 10000);
    }
    sb_task_batch_free(batch);
}

START_TEST(whatever_else_runs)
{
    struct sb_paraphrase_options o = options_of(16), beams = options_of(3);
    beams.decode.do_sample = false;
    beams.decode.num_beams = 3;
    struct sb_task *alone = run(question, &o), *beams_alone = run("蚂蚁借呗还款期限是多少", &beams);
    for (size_t i = 0; i < 3; i++) {
        struct sb_task *task = new_task(question, &o), *other = new_task("蚂蚁借呗还款期限是多少", &beams);
        run_together(task, other, (size_t[]){1, 17, 512}[i]);
        assert_same(task, alone);
        assert_same(other, beams_alone);
        sb_task_free(task);
        sb_task_free(other);
    }
    sb_task_free(alone);
    sb_task_free(beams_alone);
}
END_TEST

START_TEST(seeds)
{
    struct sb_paraphrase_options o = options_of(20), other = o;
    other.decode.seed = 6;
    struct sb_task *a = run(question, &o), *b = run(question, &o), *c = run(question, &other);
    assert_same(a, b);
    size_t n, m, same = 0;
    const struct sb_paraphrase *x = sb_paraphrase_task_results(a, &n), *y = sb_paraphrase_task_results(c, &m);
    for (size_t i = 0; i < n && i < m; i++)
        same += strcmp(x[i].text, y[i].text) == 0;
    ck_assert_uint_lt(same, n);
    sb_task_free(a);
    sb_task_free(b);
    sb_task_free(c);
}
END_TEST

START_TEST(filters)
{
    struct sb_paraphrase_options all = options_of(24), o;
    all.drop_copies = false;
    struct sb_task *unfiltered = run(question, &all), *task;
    size_t total, count, expected;
    const struct sb_paraphrase *r = sb_paraphrase_task_results(unfiltered, &total);
    check_results(unfiltered, question, &all);
    check_counts(unfiltered, 24);

    o = all, o.min_similarity = r[total - 1].similarity + 1e-9, o.max_similarity = r[0].similarity - 1e-9;
    expected = 0;
    for (size_t i = 0; i < total; i++)
        expected += r[i].similarity >= o.min_similarity && r[i].similarity <= o.max_similarity;
    task = run(question, &o);
    sb_paraphrase_task_results(task, &count);
    ck_assert_uint_eq(count, expected);
    ck_assert_int_eq(sb_paraphrase_task_counts(task).dropped_similarity, (int64_t)(total - expected));
    check_results(task, question, &o);
    check_counts(task, 24);
    sb_task_free(task);

    o = all, o.min_edit_distance = 4, expected = 0;
    for (size_t i = 0; i < total; i++)
        expected += r[i].edit_distance >= 4;
    task = run(question, &o);
    sb_paraphrase_task_results(task, &count);
    ck_assert_uint_eq(count, expected);
    ck_assert_uint_lt(count, total);
    check_results(task, question, &o);
    check_counts(task, 24);
    sb_task_free(task);

    o = all, o.n = 3;
    task = run(question, &o);
    const struct sb_paraphrase *best = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_eq(count, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(best[i].text, r[i].text);
    sb_task_free(task);

    o = all, o.rerank = false; /* the same, in the order of generation */
    task = run(question, &o);
    check_results(task, question, &o);
    const struct sb_paraphrase *generated = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_eq(count, total);
    size_t ascending = 0;
    for (size_t i = 1; i < count; i++)
        ascending += generated[i].similarity > generated[i - 1].similarity;
    ck_assert_uint_gt(ascending, 0);
    sb_task_free(task);
    sb_task_free(unfiltered);
}
END_TEST

START_TEST(copies_are_dropped_or_kept)
{
    struct sb_paraphrase_options o = options_of(30);
    o.decode.temperature = 0.3; /* the most probable paraphrase of a paraphrase is itself */
    struct sb_task *task = run("花呗怎么还款？", &o);
    struct sb_paraphrase_counts c = sb_paraphrase_task_counts(task);
    check_results(task, "花呗怎么还款？", &o);
    check_counts(task, 30);
    sb_task_free(task);
    o.drop_copies = false;
    task = run("花呗怎么还款？", &o);
    size_t count, copies = 0;
    const struct sb_paraphrase *r = sb_paraphrase_task_results(task, &count);
    for (size_t i = 0; i < count; i++)
        copies += same_text(r[i].text, "花呗怎么还款？");
    ck_assert_uint_eq(copies, 1);
    ck_assert_int_gt(c.dropped_copies, 1); /* then all but one are duplicates */
    ck_assert_int_eq(sb_paraphrase_task_counts(task).dropped_duplicates, c.dropped_duplicates + c.dropped_copies - 1);
    check_counts(task, 30);
    sb_task_free(task);
}
END_TEST

START_TEST(beams_in_order_of_score)
{
    struct sb_paraphrase_options o = options_of(8);
    o.decode.do_sample = false;
    o.decode.num_beams = 8;
    o.decode.length_penalty = 0; /* score is the log probability then */
    o.rerank = false;
    o.drop_copies = false;
    struct sb_task *task = run(question, &o);
    size_t count;
    const struct sb_paraphrase *r = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_ge(count, 4);
    for (size_t i = 1; i < count; i++)
        ck_assert(r[i - 1].logprob >= r[i].logprob);
    check_results(task, question, &o);
    check_counts(task, 8);
    o.num_candidates = o.n = 3; /* fewer than beams: the best of them */
    struct sb_task *fewer = run(question, &o);
    const struct sb_paraphrase *best = sb_paraphrase_task_results(fewer, &count);
    ck_assert(count >= 1 && count <= 3);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(best[i].text, r[i].text);
    check_counts(fewer, 3);
    sb_task_free(fewer);
    sb_task_free(task);
}
END_TEST

START_TEST(greedy_groups_and_the_reference)
{
    struct sb_paraphrase_options o = options_of(10);
    o.drop_copies = false;
    o.decode.do_sample = false;
    size_t count;
    struct sb_task *task = run(question, &o);
    ck_assert_str_eq(sb_paraphrase_task_results(task, &count)->text,
                     "花呗绑定几个号"); /* golden/real: greedy, line 1 */
    ck_assert_uint_eq(count, 1);
    sb_task_free(task);
    o.decode.num_beams = 6;
    o.decode.num_beam_groups = 3;
    o.decode.diversity_penalty = 2;
    task = run(question, &o);
    check_results(task, question, &o);
    check_counts(task, 6);
    sb_task_free(task);
    o.decode.num_beam_groups = 1;
    o.decode.diversity_penalty = 0;
    o.decode.reference = true;
    task = run(question, &o);
    check_results(task, question, &o);
    check_counts(task, 1);
    sb_task_free(task);
}
END_TEST

START_TEST(forced_and_bad_words)
{
    struct sb_encoding word = {0};
    ck_assert_int_eq(sb_tokenizer_encode(sb_model_tokenizer(model), &word, "账号", strlen("账号"), NULL, 0, 0, NULL),
                     SB_OK);
    ck_assert_uint_eq(word.length, 4); /* [CLS] 账 号 [SEP] */
    size_t ends[] = {2}, count;
    struct sb_paraphrase_options o = options_of(4);
    o.decode.do_sample = false;
    o.decode.num_beams = 4;
    o.decode.force_words = (struct sb_token_lists){word.ids + 1, ends, 1};
    struct sb_task *task = run(question, &o);
    const struct sb_paraphrase *r = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_ge(count, 1);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(r[i].text, "账号") != NULL, "'%s'", r[i].text);
    check_counts(task, 4);
    sb_task_free(task);
    o.decode.max_new_tokens = 2; /* only the word itself has room: the other beams lack it */
    task = run(question, &o);
    r = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(r[0].text, "账号");
    ck_assert_int_eq(sb_paraphrase_task_counts(task).dropped_force_words, 3);
    sb_task_free(task);

    o = options_of(16);
    ends[0] = 1;
    o.decode.bad_words = (struct sb_token_lists){word.ids + 2, ends, 1}; /* 号 */
    task = run(question, &o);
    r = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_ge(count, 1);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(r[i].text, "号") == NULL, "'%s'", r[i].text);
    sb_task_free(task);
    sb_encoding_free(&word);
}
END_TEST

START_TEST(masks)
{
    struct sb_paraphrase_options o = options_of(16), plain = o;
    static const struct sb_text_range words[] = {{2, 4}}; /* 绑定 */
    o.mask = words;
    o.mask_count = 1;
    struct sb_task *task = run(question, &o), *unmasked = run(question, &plain);
    check_results(task, question, &o); /* similarity is to the text as it stands, not to the masked one */
    size_t n, m, same = 0;
    const struct sb_paraphrase *x = sb_paraphrase_task_results(task, &n), *y = sb_paraphrase_task_results(unmasked, &m);
    for (size_t i = 0; i < n && i < m; i++)
        same += strcmp(x[i].text, y[i].text) == 0;
    ck_assert_uint_lt(same, n);
    ck_assert_uint_gt(n, 0);
    sb_task_free(task);
    sb_task_free(unmasked);
    /* Masking in chunks is the same as at once. */
    static const struct sb_text_range parts[] = {{3, 4}, {2, 3}};
    struct sb_paraphrase_options in_parts = o;
    in_parts.mask = parts;
    in_parts.mask_count = 2;
    task = run(question, &o);
    unmasked = run(question, &in_parts);
    assert_same(task, unmasked);
    sb_task_free(task);
    sb_task_free(unmasked);
}
END_TEST

static char *repeated(const char *piece, int times)
{
    char *text = calloc((size_t)times + 1, strlen(piece) + 1);
    for (int i = 0; i < times; i++)
        strcat(text, piece);
    return text;
}

START_TEST(long_texts)
{
    size_t positions = (size_t)sb_model_max_length(model);
    char *text = repeated("花呗怎么还款，", 100); /* 700 characters: more than the model's positions */
    struct sb_paraphrase_options o = options_of(1);
    struct sb_task *task = run(text, &o);
    struct sb_paraphrase_counts c = sb_paraphrase_task_counts(task);
    ck_assert_int_le(c.source_tokens, (int64_t)(positions - 24));
    ck_assert_int_gt(c.source_tokens, (int64_t)(positions - 24 - 10));
    ck_assert_int_eq((c.source_tokens - 2) % 7, 6); /* cut at a comma, which is stripped */
    sb_task_free(task);
    o.decode.max_new_tokens = (int)positions; /* the source keeps half of the positions */
    task = run(text, &o);
    c = sb_paraphrase_task_counts(task);
    ck_assert_int_le(c.source_tokens, (int64_t)positions / 2);
    ck_assert_int_gt(c.source_tokens, (int64_t)positions / 2 - 10);
    sb_task_free(task);
    /* A mask counts from the beginning of the text as given; the cut text begins behind the commas. */
    char *commas = calloc(1, strlen(text) + 16);
    strcat(strcpy(commas, "，，"), text);
    o = options_of(4);
    static const struct sb_text_range here[] = {{2, 4}}, there[] = {{4, 6}}, beyond[] = {{690, 691}};
    struct sb_error error;
    o.mask = here;
    o.mask_count = 1;
    task = run(text, &o);
    o.mask = there;
    struct sb_task *shifted = run(commas, &o);
    assert_same(task, shifted);
    sb_task_free(task);
    sb_task_free(shifted);
    o.mask = beyond;
    ck_assert_int_eq(sb_paraphrase_task_new(&task, model, commas, strlen(commas), &o, &error), SB_INVALID);
    ck_assert_str_eq(error.message, "mask: [690, 691) covers no word that the model sees");
    free(commas);
    free(text);
    /* No separator anywhere. */
    text = repeated("花", 3000);
    o.mask_count = 0;
    task = run(text, &o);
    c = sb_paraphrase_task_counts(task);
    ck_assert_int_eq(c.source_tokens, (int64_t)(positions - 24));
    sb_task_free(task);
    free(text);
}
END_TEST

START_TEST(fixed_length)
{
    struct sb_paraphrase_options o = options_of(20);
    o.decode.min_new_tokens = o.decode.max_new_tokens = 12;
    struct sb_task *task = run(question, &o);
    size_t count;
    const struct sb_paraphrase *r = sb_paraphrase_task_results(task, &count);
    ck_assert_int_eq(sb_paraphrase_task_counts(task).generated_tokens, 20 * 12);
    for (size_t i = 0; i < count; i++)
        ck_assert(!r[i].stopped);
    check_counts(task, 20);
    sb_task_free(task);
}
END_TEST

struct stream {
    char *texts[200];
    size_t count;
    const struct sb_task *task;
};

static void collect(void *context, const struct sb_paraphrase *candidate)
{
    struct stream *s = context;
    ck_assert(!sb_task_finished(s->task));
    ck_assert_uint_lt(s->count, 200);
    for (size_t i = 0; i < s->count; i++)
        ck_assert(!same_text(s->texts[i], candidate->text));
    s->texts[s->count++] = strdup(candidate->text);
}

START_TEST(streaming)
{
    struct sb_paraphrase_options o = options_of(100);
    struct stream stream = {0};
    o.on_candidate = collect;
    o.context = &stream;
    o.min_similarity = 0.8;
    o.decode.temperature = 0.6;
    struct sb_task *task = new_task("花呗怎么还款？", &o); /* some candidates end with a question mark, some do not */
    stream.task = task;
    ck_assert_int_eq(sb_task_run(task, session, NULL), SB_OK);
    size_t count;
    const struct sb_paraphrase *r = sb_paraphrase_task_results(task, &count);
    ck_assert_uint_eq(stream.count, count);
    for (size_t i = 0; i < count; i++) {
        bool streamed = false;
        for (size_t j = 0; j < stream.count; j++)
            streamed = streamed || same_text(stream.texts[j], r[i].text);
        ck_assert(streamed);
    }
    for (size_t j = 0; j < stream.count; j++)
        free(stream.texts[j]);
    sb_task_free(task);
}
END_TEST

static void pass(struct sb_task *task, struct sb_task_batch *batch, bool fail)
{
    sb_task_batch_reset(batch);
    ck_assert_uint_gt(sb_task_offer(task, batch, 512), 0);
    ck_assert_uint_eq(sb_task_offer(task, batch, 512), 0); /* a row is offered once */
    ck_assert_int_eq(sb_session_forward(session, batch->rows, batch->count, NULL), SB_OK);
    if (fail)
        sb_task_fail(task, SB_DEADLINE, "deadline"); /* while its rows are being computed */
    sb_task_batch_deliver(batch);
}

START_TEST(failing_at_any_pass)
{
    struct sb_paraphrase_options o = options_of(10);
    struct sb_task_batch *batch;
    int passes = 0;
    ck_assert_int_eq(sb_task_batch_new(&batch, session, NULL), SB_OK);
    struct sb_task *task = new_task(question, &o);
    for (; !sb_task_finished(task); passes++)
        pass(task, batch, false);
    sb_task_free(task);
    ck_assert_int_gt(passes, 5);
    for (int last = 0; last < passes; last++) {
        task = new_task(question, &o);
        for (int i = 0; i <= last; i++)
            pass(task, batch, i == last);
        size_t count;
        ck_assert_int_eq(task->status, SB_DEADLINE);
        sb_paraphrase_task_results(task, &count);
        ck_assert_uint_eq(count, 0);
        ck_assert_uint_eq(sb_task_offer(task, batch, 512), 0);
        sb_task_free(task);
    }
    sb_task_batch_free(batch);
}
END_TEST

static void count_calls(void *context, const struct sb_paraphrase *candidate)
{
    (void)candidate;
    ++*(int *)context;
}

/* Samples complete in any order. Of the same text but for a question mark the lowest sample is the result; the first
   that is complete is reported. */
START_TEST(variants_of_one_text)
{
    static const struct {
        const char *text;
        size_t index;
    } completed[] = {{"怎么还花呗？", 5}, {"怎么还花呗", 2}, {"怎么还花呗。", 7}, {"花呗如何还", 3}, {"花呗还款？", 1}};
    const struct sb_tokenizer *tokenizer = sb_model_tokenizer(model);
    struct sb_paraphrase_options o = options_of(10);
    struct sb_paraphrase_source source;
    struct sb_paraphrase_candidates candidates = {0};
    struct sb_encoding encodings[5] = {0};
    int calls = 0;
    o.on_candidate = count_calls;
    o.context = &calls;
    o.rerank = false;
    ck_assert_int_eq(sb_paraphrase_source_read(&source, tokenizer, "花呗还款", strlen("花呗还款"), 64, NULL, 0, NULL),
                     SB_OK);
    ck_assert_int_eq(sb_paraphrase_candidates_init(&candidates, 5, NULL), SB_OK);
    for (size_t i = 0; i < 5; i++) {
        const char *text = completed[i].text;
        ck_assert_int_eq(sb_tokenizer_encode(tokenizer, &encodings[i], text, strlen(text), NULL, 0, 0, NULL), SB_OK);
        struct sb_hypothesis h = {.ids = encodings[i].ids + 1,
                                  .length = encodings[i].length - 1,
                                  .stopped = true,
                                  .satisfied = true,
                                  .index = completed[i].index};
        ck_assert_int_eq(sb_paraphrase_candidates_add(&candidates, &h, &source, tokenizer, 64, &o, NULL), SB_OK);
    }
    ck_assert_uint_eq(candidates.to_embed, 3); /* 5 and 2 and 3: 7 is no better than 2, 1 is a copy */
    ck_assert_int_eq(candidates.counts.dropped_duplicates, 1);
    ck_assert_int_eq(candidates.counts.dropped_copies, 1);
    for (size_t i = 0; i < candidates.count; i++)
        sb_paraphrase_candidates_embedded(&candidates, i, &o);
    ck_assert_int_eq(calls, 2);
    sb_paraphrase_candidates_rank(&candidates, &o);
    ck_assert_uint_eq(candidates.result_count, 2);
    ck_assert_str_eq(candidates.results[0].text, "怎么还花呗");
    ck_assert_str_eq(candidates.results[1].text, "花呗如何还");
    ck_assert_int_eq(candidates.counts.dropped_duplicates, 2);
    sb_paraphrase_candidates_free(&candidates);
    sb_paraphrase_source_free(&source);
    for (size_t i = 0; i < 5; i++)
        sb_encoding_free(&encodings[i]);
}
END_TEST

/* At temperature 100 every token is about as probable: of 1000 draws twenty or so would be special ones. */
START_TEST(special_tokens_are_never_drawn)
{
    struct sb_model *tiny;
    struct sb_session *tiny_session;
    ck_assert_int_eq(sb_model_open(&tiny, golden("models/tiny-bert"), NULL, NULL), SB_OK);
    ck_assert_int_eq(sb_session_new(&tiny_session, tiny, NULL, NULL), SB_OK);
    const struct sb_tokenizer *tokenizer = sb_model_tokenizer(tiny);
    int32_t special = 0, silent[200];
    size_t ends[200], silent_count = 0;
    for (int32_t id = 0; id < 200;
         id++) { /* punctuation alone is an empty text too, which is not what is tested here */
        struct sb_buffer text = {0};
        struct sb_code_points points = {0};
        sb_buffer_text(&text, "");
        ck_assert_int_eq(sb_tokenizer_decode(tokenizer, &text, &id, 1, false, NULL), SB_OK);
        ck_assert_int_eq(sb_text_normalize(&points, text.data, text.length, NULL), SB_OK);
        special += text.length == 0;
        if (text.length > 0 && points.count == 0) {
            silent[silent_count] = id;
            ends[silent_count] = silent_count + 1;
            silent_count++;
        }
        sb_code_points_free(&points);
        sb_buffer_free(&text);
    }
    ck_assert_int_ge(special, 5);
    struct sb_paraphrase_options o = options_of(1000);
    o.decode.temperature = 100;
    o.decode.top_k = 0;
    o.decode.min_new_tokens = o.decode.max_new_tokens = 1;
    o.decode.bad_words = (struct sb_token_lists){silent, ends, silent_count};
    struct sb_task *task;
    ck_assert_int_eq(sb_paraphrase_task_new(&task, tiny, "花呗", strlen("花呗"), &o, NULL), SB_OK);
    ck_assert_int_eq(sb_task_run(task, tiny_session, NULL), SB_OK);
    size_t count;
    sb_paraphrase_task_results(task, &count);
    ck_assert_uint_gt(count, 100);
    ck_assert_int_eq(sb_paraphrase_task_counts(task).dropped_empty, 0);
    sb_task_free(task);
    sb_session_free(tiny_session);
    sb_model_release(tiny);
}
END_TEST

static void assert_refused(const char *text, size_t size, const struct sb_paraphrase_options *o,
                           enum sb_status expected, const char *part)
{
    struct sb_task *task = (struct sb_task *)1;
    struct sb_error error = {0};
    enum sb_status status = sb_paraphrase_task_new(&task, model, text, size, o, &error);
    ck_assert_msg(status == expected, "%s, expected %s: %s", sb_status_name(status), sb_status_name(expected), part);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' does not say '%s'", error.message, part);
    ck_assert_ptr_null(task);
}

START_TEST(bad_requests_are_refused_by_name)
{
    struct sb_paraphrase_options good = options_of(10), o;
    static const struct sb_text_range backwards[] = {{3, 3}}, outside[] = {{0, 11}}, space[] = {{2, 3}};
#define REFUSED(change, part) (o = good, change, assert_refused(question, strlen(question), &o, SB_INVALID, part))
    REFUSED(o.n = 11, "n is 11: it must be at least 1 and at most num_candidates, which is 10");
    REFUSED(o.n = 0, "n is 0");
    REFUSED(o.num_candidates = 0, "num_candidates must be 1 to 1000");
    REFUSED(o.num_candidates = 1001, "num_candidates");
    REFUSED(o.min_similarity = NAN, "min_similarity");
    REFUSED(o.min_similarity = -2, "min_similarity");
    REFUSED(o.max_similarity = NAN, "max_similarity");
    REFUSED(o.max_similarity = 2, "max_similarity");
    REFUSED((o.min_similarity = 0.9, o.max_similarity = 0.8), "at least min_similarity");
    REFUSED(o.min_edit_distance = -1, "min_edit_distance");
    REFUSED(o.decode.max_new_tokens = 0, "max_new_tokens must be 1 to 512, not 0");
    REFUSED(o.decode.max_new_tokens = 513, "max_new_tokens");
    REFUSED(o.decode.temperature = NAN, "temperature");
    REFUSED(o.decode.num_beams = 4, "do_sample false");
    REFUSED((o.mask = backwards, o.mask_count = 1), "mask: [3, 3) is not a range within the text's 10 characters");
    REFUSED((o.mask = outside, o.mask_count = 1), "mask: [0, 11)");
#undef REFUSED
    assert_refused("", 0, &good, SB_INVALID, "no words");
    assert_refused(" \n ", 3, &good, SB_INVALID, "no words");
    assert_refused("\xFF", 1, &good, SB_INVALID, "");
    o = good, o.mask = space, o.mask_count = 1;
    assert_refused("花呗 还款", strlen("花呗 还款"), &o, SB_INVALID, "mask: [2, 3) covers no word");
    o = good, o.decode.do_sample = false, o.decode.num_beams = 64, o.decode.max_new_tokens = 512;
    assert_refused(question, strlen(question), &o, SB_LIMIT, "lower num_beams or max_new_tokens");
    o.decode.do_sample = true, o.decode.num_beams = 1; /* samples run fewer at a time instead */
    struct sb_task *task = new_task(question, &o);
    ck_assert_uint_le(sb_paraphrase_task_counts(task).cache_bytes, SB_PARAPHRASE_CACHE_BYTES);
    sb_task_free(task);
}
END_TEST

int main(void)
{
    if (sb_model_open(&model, "models/simbert-small-zh", NULL, NULL) != SB_OK ||
        sb_session_new(&session, model, NULL, NULL) != SB_OK)
        return 1;
    Suite *suite = suite_create("paraphrase");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, samples);
    tcase_add_test(tcase, whatever_else_runs);
    tcase_add_test(tcase, seeds);
    tcase_add_test(tcase, filters);
    tcase_add_test(tcase, copies_are_dropped_or_kept);
    tcase_add_test(tcase, beams_in_order_of_score);
    tcase_add_test(tcase, greedy_groups_and_the_reference);
    tcase_add_test(tcase, forced_and_bad_words);
    tcase_add_test(tcase, masks);
    tcase_add_test(tcase, long_texts);
    tcase_add_test(tcase, fixed_length);
    tcase_add_test(tcase, streaming);
    tcase_add_test(tcase, failing_at_any_pass);
    tcase_add_test(tcase, variants_of_one_text);
    tcase_add_test(tcase, special_tokens_are_never_drawn);
    tcase_add_test(tcase, bad_requests_are_refused_by_name);
    suite_add_tcase(suite, tcase);
    int failed = run_suite(suite);
    sb_session_free(session);
    sb_model_release(model);
    return failed;
}
