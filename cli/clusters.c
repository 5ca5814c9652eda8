/* simbert clusters */
#include "retrieval/clusters.h"

#include "cli/output.h"
#include "cli/text_command.h"

struct settings {
    double min_score;
    size_t k, seed, min_size;
    struct sb_text_choice texts;
    struct sb_model_choice model;
};

static void put_json(struct sb_buffer *out, const struct sb_text_vectors *all, const struct sb_cluster *cluster,
                     const uint32_t *members)
{
    struct sb_text title = sb_text_vectors_at(all, cluster->medoid);
    sb_buffer_text(out, "{\"title\":");
    sb_buffer_json_string(out, title.text, title.size);
    sb_buffer_format(out, ",\"index\":%zu,\"size\":%zu,\"similarity\":", all->indices[cluster->medoid], cluster->size);
    sb_buffer_float(out, (float)cluster->similarity);
    sb_buffer_text(out, ",\"members\":[");
    for (size_t i = 0; i < cluster->size; i++) {
        sb_buffer_text(out, i ? "," : "");
        sb_text_vectors_put(out, all, members[i]);
    }
    sb_buffer_text(out, "]}\n");
}

/* The title with the size, then the members but for the title. */
static void put_text(struct sb_buffer *out, const struct sb_text_vectors *all, const struct sb_cluster *cluster,
                     const uint32_t *members)
{
    struct sb_text title = sb_text_vectors_at(all, cluster->medoid);
    sb_buffer_format(out, "%zu\t", cluster->size);
    sb_buffer_bytes(out, title.text, title.size);
    sb_buffer_text(out, "\n");
    for (size_t i = 0; i < cluster->size; i++) {
        struct sb_text text = sb_text_vectors_at(all, members[i]);
        if (members[i] == cluster->medoid)
            continue;
        sb_buffer_text(out, "\t");
        sb_buffer_bytes(out, text.text, text.size);
        sb_buffer_text(out, "\n");
    }
}

static enum sb_status print(const struct settings *s, const struct sb_text_vectors *all,
                            const struct sb_clusters *clusters, struct sb_error *error)
{
    struct sb_buffer out = {0};
    enum sb_status status = SB_OK;
    for (size_t i = 0; i < clusters->count && clusters->items[i].size >= s->min_size && status == SB_OK; i++) {
        const struct sb_cluster *cluster = &clusters->items[i];
        const uint32_t *members = clusters->members + cluster->end - cluster->size;
        if (s->texts.json)
            put_json(&out, all, cluster, members);
        else
            put_text(&out, all, cluster, members);
        if (out.length > 1 << 16)
            status = sb_output_write(&out, error);
    }
    if (status == SB_OK)
        status = sb_output_write(&out, error);
    sb_buffer_free(&out);
    return status;
}

static enum sb_status find(void *context, const struct sb_text_vectors *all, const struct sb_mining *set,
                           struct sb_error *error)
{
    const struct settings *s = context;
    struct sb_clusters clusters = {0};
    enum sb_status status = SB_OK;
    if (s->k > 0 && all->count > 0)
        status = sb_clusters_kmeans(&clusters, set, s->k < all->count ? s->k : all->count, s->seed, error);
    else
        status = sb_clusters_agglomerate(&clusters, set, s->min_score, error);
    if (status == SB_OK)
        status = print(s, all, &clusters, error);
    sb_clusters_free(&clusters);
    return status;
}

int sb_command_clusters(char **argv, struct sb_error *error)
{
    static const char about[] =
        "Usage: simbert clusters [OPTION]... [TEXT]...\n"
        "\n"
        "Groups texts that mean nearly the same. Of each group a line with its size and its title, the text in its\n"
        "middle, then the other members, indented by a tab.\n"
        "Without --k, groups are joined as long as the mean cosine between their members is --min-score or more.\n";
    static const char examples[] = "  simbert clusters < questions.txt\n"
                                   "  simbert clusters --min-score 0.7 --min-size 5 < questions.txt\n"
                                   "  simbert clusters --k 50 --json < questions.txt\n";
    struct settings s = {.min_score = 0.8, .min_size = 2, .texts = sb_text_choice_defaults()};
    const struct sb_option options[] = {
        {.name = "min-score", .type = SB_OPTION_DOUBLE, .value = &s.min_score, .low = -1, .high = 1, .argument = "X",
         .help = "lowest mean cosine between two groups that are joined"},
        {.name = "k", .type = SB_OPTION_SIZE, .value = &s.k, .low = 0, .high = 10000, .argument = "N",
         .default_text = "0, as many as --min-score makes", .help = "number of groups, by k-means"},
        {.name = "seed", .type = SB_OPTION_SIZE, .value = &s.seed, .low = 0, .high = 9e15, .argument = "N",
         .help = "chooses the start of k-means"},
        {.name = "min-size", .type = SB_OPTION_SIZE, .value = &s.min_size, .low = 1, .high = 1e9, .argument = "N",
         .help = "smallest group that is printed"},
        {0},
    };
    int count, exit;
    if (!sb_text_command_begin(about, options, examples, &s.texts, &s.model, argv, &count, &exit, error))
        return exit;
    return sb_exit(sb_text_command_mine(&s.texts, &s.model, argv, count, find, &s, error));
}
