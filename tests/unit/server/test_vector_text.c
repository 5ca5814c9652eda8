#include "server/vector_text.h"

#include "tests/unit/support.h"

/* Bytes of little-endian float32 through Python's base64. */
static const struct {
    float vector[3];
    size_t n;
    const char *base64, *json;
} vectors[] = {
    {{0.1f, -0.25f}, 2, "\"zczMPQAAgL4=\"", "[0.1,-0.25]"},
    {{1.0f}, 1, "\"AACAPw==\"", "[1]"},
    {{3.5f, -1e-7f, 0.333333343f}, 3, "\"AABgQJW/1rOrqqo+\"", "[3.5,-1e-07,0.33333334]"},
    {{0}, 0, "\"\"", "[]"},
};

START_TEST(vectors_as_text)
{
    struct sb_buffer out = {0};
    sb_put_base64(&out, vectors[_i].vector, vectors[_i].n);
    ck_assert_str_eq(out.data, vectors[_i].base64);
    sb_buffer_reset(&out);
    sb_put_vector(&out, vectors[_i].vector, vectors[_i].n);
    ck_assert_str_eq(out.data, vectors[_i].json);
    sb_buffer_free(&out);
}
END_TEST

START_TEST(scores_and_texts)
{
    struct sb_buffer out = {0};
    sb_put_score(&out, 0.9876543211234);
    sb_put_text(&out, "怎么\n");
    ck_assert_str_eq(out.data, "0.9876543\"怎么\\n\"");
    sb_buffer_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/vector_text");
    TCase *tests = tcase_create("vector_text");
    tcase_add_loop_test(tests, vectors_as_text, 0, sizeof vectors / sizeof *vectors);
    tcase_add_test(tests, scores_and_texts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
