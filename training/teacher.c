#include "training/teacher.h"

#include "model/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one thread computes with. */
struct worker {
    struct sb_session *session;
    struct sb_encoding encoding;
    struct sb_buffer text;
    enum sb_status status;
    struct sb_error error;
};

struct sb_teacher {
    struct sb_model *model;
    struct sb_pool *pool;
    struct worker *workers; /* [threads] */
    float *vectors;         /* [capacity, dimensions] */
    size_t capacity;
};

enum sb_status sb_teacher_open(struct sb_teacher **teacher, const char *dir, struct sb_pool *pool,
                               struct sb_error *error)
{
    *teacher = NULL;
    struct sb_teacher *t = calloc(1, sizeof *t);
    if (!t)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the teacher", dir);
    size_t threads = (size_t)sb_pool_threads(pool);
    t->pool = pool;
    enum sb_status status = sb_model_open(&t->model, dir, &(struct sb_model_options){.pool = pool}, error);
    t->workers = calloc(threads, sizeof *t->workers);
    if (status == SB_OK && !t->workers)
        status = sb_fail(error, SB_NO_MEMORY, "%s: no memory to open the teacher", dir);
    for (size_t i = 0; i < threads && status == SB_OK; i++) {
        struct sb_session_options options = sb_session_defaults(t->model);
        options.max_logits = 0;
        status = sb_session_new(&t->workers[i].session, t->model, &options, error);
    }
    if (status != SB_OK) {
        sb_teacher_free(t);
        return status;
    }
    *teacher = t;
    return SB_OK;
}

void sb_teacher_free(struct sb_teacher *teacher)
{
    if (!teacher)
        return;
    for (size_t i = 0; teacher->workers && i < (size_t)sb_pool_threads(teacher->pool); i++) {
        sb_session_free(teacher->workers[i].session);
        sb_encoding_free(&teacher->workers[i].encoding);
        sb_buffer_free(&teacher->workers[i].text);
    }
    free(teacher->workers);
    free(teacher->vectors);
    sb_model_release(teacher->model);
    free(teacher);
}

struct lesson {
    struct sb_teacher *teacher;
    const struct sb_tokenizer *tokenizer;
    const struct sb_pass_row *rows;
};

static enum sb_status embed(const struct lesson *l, struct worker *w, const struct sb_pass_row *row, float *vector,
                            struct sb_error *error)
{
    struct sb_model *model = l->teacher->model;
    sb_buffer_reset(&w->text);
    enum sb_status status = sb_tokenizer_decode(l->tokenizer, &w->text, row->ids, row->prefix, false, error);
    if (status == SB_OK)
        status = sb_tokenizer_encode(sb_model_tokenizer(model), &w->encoding, w->text.data ? w->text.data : "",
                                     w->text.length, NULL, 0, (size_t)sb_model_max_length(model), error);
    if (status != SB_OK)
        return status;
    struct sb_row in = {.ids = w->encoding.ids,
                        .length = w->encoding.length,
                        .prefix = w->encoding.length,
                        .want = SB_WANT_VECTOR};
    status = sb_session_forward(w->session, &in, 1, error);
    if (status == SB_OK)
        memcpy(vector, in.vector, (size_t)sb_model_dimensions(model) * sizeof *vector);
    return status;
}

static void embed_row(void *context, size_t index, int worker)
{
    const struct lesson *l = context;
    struct worker *w = &l->teacher->workers[worker];
    float *vector = l->teacher->vectors + index * (size_t)sb_model_dimensions(l->teacher->model);
    if (w->status == SB_OK)
        w->status = embed(l, w, &l->rows[index], vector, &w->error);
}

static bool make_room(struct sb_teacher *t, size_t rows)
{
    if (rows <= t->capacity)
        return true;
    float *vectors = realloc(t->vectors, rows * (size_t)sb_model_dimensions(t->model) * sizeof *vectors);
    if (vectors) {
        t->vectors = vectors;
        t->capacity = rows;
    }
    return vectors != NULL;
}

enum sb_status sb_teacher_similarities(struct sb_teacher *teacher, const struct sb_tokenizer *tokenizer,
                                       const struct sb_pass_row *rows, size_t count, float *matrix,
                                       struct sb_error *error)
{
    size_t threads = (size_t)sb_pool_threads(teacher->pool), n = (size_t)sb_model_dimensions(teacher->model);
    if (!make_room(teacher, count))
        return sb_fail(error, SB_NO_MEMORY, "no memory for the teacher's vectors of %zu rows", count);
    for (size_t i = 0; i < threads; i++)
        teacher->workers[i].status = SB_OK;
    sb_pool_run(teacher->pool, count, embed_row, &(struct lesson){teacher, tokenizer, rows});
    for (size_t i = 0; i < threads; i++)
        if (teacher->workers[i].status != SB_OK)
            return sb_fail(error, teacher->workers[i].status, "teacher: %s", teacher->workers[i].error.message);
    const struct sb_kernels *kernels = sb_model_kernels(teacher->model);
    bool normal = sb_model_config(teacher->model)->normalize;
    for (size_t i = 0; i < count && !normal; i++) {
        float *v = teacher->vectors + i * n, square = kernels->dot(v, v, n);
        for (size_t d = 0; d < n && square > 0; d++)
            v[d] /= sqrtf(square);
    }
    for (size_t i = 0; i < count; i++)
        kernels->scores(matrix + i * count, teacher->vectors, n, count, teacher->vectors + i * n, n);
    return SB_OK;
}
