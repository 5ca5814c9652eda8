/* Models to start from, whitened ones, and how much of a text stands in another. */
#include "model/network.h"
#include "study/overlap.h"
#include "study/start.h"
#include "study/whiten.h"
#include "tests/unit/scratch.h"
#include "tests/unit/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct sb_network *opened(const char *dir)
{
    struct sb_network *network;
    struct sb_error error;
    enum sb_status status = sb_network_open(&network, dir, NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    return network;
}

/* redraw NULL: nothing is drawn. */
static enum sb_status make(int layers, const char *config, const char *redraw, uint64_t seed, struct sb_error *error)
{
    const char *const redraws[] = {redraw, NULL};
    struct sb_study_start start = {.model = golden("models/tiny-bert"),
                                   .layers = layers,
                                   .config = config,
                                   .redraws = redraw ? redraws : NULL,
                                   .initialiser = {.kind = SB_INIT_XAVIER_NORMAL, .seed = seed}};
    return sb_study_make_start(&start, scratch("start"), error);
}

static const float *tensor(struct sb_network *network, const char *name, size_t *size)
{
    const struct sb_parameter *p = sb_parameters_find(sb_network_parameters(network), name);
    if (size)
        *size = p ? p->rows * p->columns : 0;
    return p ? sb_network_values(network) + p->offset : NULL;
}

#define QUERY(layer) "bert.encoder.layer." layer ".attention.self.query.weight"

START_TEST(test_first_layers)
{
    struct sb_error error;
    ck_assert_int_eq(make(1, NULL, NULL, 0, NULL), SB_OK);
    struct sb_network *all = opened(golden("models/tiny-bert")), *cut = opened(scratch("start"));
    size_t size;
    ck_assert_int_gt(sb_network_config(all)->num_hidden_layers, 1);
    ck_assert_int_eq(sb_network_config(cut)->num_hidden_layers, 1);
    const float *kept = tensor(cut, QUERY("0"), &size);
    ck_assert_mem_eq(kept, tensor(all, QUERY("0"), NULL), size * sizeof *kept);
    ck_assert_ptr_null(tensor(cut, QUERY("1"), NULL));
    ck_assert(sb_network_has_mlm(cut));
    sb_network_free(all);
    sb_network_free(cut);
    ck_assert_int_eq(make(99, NULL, NULL, 0, &error), SB_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "99 layers"));
}
END_TEST

/* Another seed, other weights; the same seed, the same ones; the sizes of the config. */
START_TEST(test_fresh)
{
    static const char config[] =
        "{\"hidden_size\": 16, \"intermediate_size\": 24, \"num_attention_heads\": 2, \"embedding_size\": "
        "null, \"attention_head_size\": null, \"attention_key_size\": null}";
    float values[3];
    for (int i = 0; i < 3; i++) {
        size_t size;
        ck_assert_int_eq(make(1, config, "", i < 2 ? 1 : 2, NULL), SB_OK);
        struct sb_network *network = opened(scratch("start"));
        const float *query = tensor(network, QUERY("0"), &size);
        values[i] = query[5];
        ck_assert_uint_eq(size, 16 * 16);
        ck_assert_int_eq(sb_network_config(network)->attention_head_size, 8);
        ck_assert(tensor(network, "bert.encoder.layer.0.attention.self.query.bias", NULL)[3] == 0);
        ck_assert(tensor(network, "bert.encoder.layer.0.output.LayerNorm.weight", NULL)[3] == 1);
        sb_network_free(network);
    }
    ck_assert(values[0] != 0 && values[0] == values[1] && values[0] != values[2]);
}
END_TEST

/* Another attention, and its keys drawn anew: everything else is what it was. */
START_TEST(test_redrawn)
{
    struct sb_error error;
    enum sb_status status = make(0, "{\"attention_parts\": [\"vanilla\", \"dense\"]}", "self.key", 1, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    struct sb_network *network = opened(scratch("start")), *before = opened(golden("models/tiny-bert"));
    const struct sb_parameters *parameters = sb_network_parameters(before);
    ck_assert_uint_gt(sb_network_parameters(network)->count, parameters->count);
    for (size_t i = 0; i < parameters->count; i++) {
        size_t size;
        const char *name = parameters->items[i].name;
        const float *old = tensor(before, name, &size), *now = tensor(network, name, NULL);
        ck_assert_msg(now != NULL, "%s is gone", name);
        ck_assert_msg((memcmp(old, now, size * sizeof *old) == 0) == !strstr(name, "self.key"), "%s", name);
    }
    sb_network_free(before);
    sb_network_free(network);
}
END_TEST

/* The pooler stays square: half of its rows are others, the rest is 0. That the map whitens asserts training/test_whitening. */
START_TEST(test_whitening)
{
    char lines[4096] = "";
    for (int i = 0; i < 200; i++) {
        static const char *const words[] = {"我", "在", "你", "好", "的", "不"};
        for (int j = 0, n = i + 7; j < 4; j++, n /= 6)
            strcat(lines, words[n % 6]);
        strcat(lines, "\n");
    }
    scratch_text("texts.txt", lines);
    ck_assert_int_eq(make(0, NULL, NULL, 0, NULL), SB_OK);
    struct sb_error error;
    enum sb_status status = sb_study_whiten(scratch("start"), scratch("texts.txt"), NULL, &error);
    ck_assert_msg(status == SB_OK, "%s", status == SB_OK ? "" : error.message);
    struct sb_network *network = opened(scratch("start")), *before = opened(golden("models/tiny-bert"));
    size_t hidden = (size_t)sb_network_dimensions(network), size;
    const float *kernel = tensor(network, "bert.pooler.dense.weight", &size);
    ck_assert_uint_eq(size, hidden * hidden);
    for (size_t i = (hidden + 1) / 2 * hidden; i < size; i++)
        ck_assert(kernel[i] == 0);
    ck_assert(memcmp(kernel, tensor(before, "bert.pooler.dense.weight", NULL), size * sizeof *kernel) != 0);
    sb_network_free(before);
    sb_network_free(network);
}
END_TEST

static double overlap(const char *a, const char *b)
{
    struct sb_code_points x = {0}, y = {0};
    double f1 = -1;
    ck_assert_int_eq(sb_text_normalize(&x, a, strlen(a), NULL), SB_OK);
    ck_assert_int_eq(sb_text_normalize(&y, b, strlen(b), NULL), SB_OK);
    ck_assert_int_eq(sb_study_overlap(&f1, &x, &y, NULL), SB_OK);
    sb_code_points_free(&x);
    sb_code_points_free(&y);
    return f1;
}

START_TEST(test_overlap)
{
    ck_assert_double_eq(overlap("怎么退货", "怎么退货"), 1);
    ck_assert_double_eq(overlap("怎么退货", "如何付款"), 0);
    ck_assert_double_eq_tol(overlap("怎么退货", "怎么付款"), 2 * 1.0 / 6, 1e-12);
    ck_assert_double_eq_tol(overlap("aaaa", "aa"), 2 * 1.0 / 4, 1e-12);
    ck_assert_double_eq_tol(overlap("aa", "aaaa"), 2 * 1.0 / 4, 1e-12);
    ck_assert_double_eq_tol(overlap("退货怎么办理", "怎么办"), 2 * 2.0 / 7, 1e-12);
    ck_assert_double_eq(overlap("", ""), 0);
    ck_assert_double_eq(overlap("a", "a"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("study/start");
    TCase *tests = tcase_create("start");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, test_first_layers);
    tcase_add_test(tests, test_fresh);
    tcase_add_test(tests, test_redrawn);
    tcase_add_test(tests, test_whitening);
    tcase_add_test(tests, test_overlap);
    return run_suite(suite);
}
