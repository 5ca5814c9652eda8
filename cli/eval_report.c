#include "cli/eval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- JSON ---- */

static void put_number(struct sb_buffer *out, const char *name, double value)
{
    sb_buffer_format(out, ",\"%s\":", name);
    sb_buffer_float(out, (float)value);
}

static void put_pairs(struct sb_buffer *out, const struct sb_eval_result *r)
{
    const struct sb_pair_measures *m = &r->pairs;
    sb_buffer_format(out, ",\"pairs\":{\"count\":%zu", m->count);
    put_number(out, "spearman", m->spearman);
    put_number(out, "pearson", m->pearson);
    if (!r->graded) {
        sb_buffer_format(out, ",\"positives\":%zu", m->positives);
        put_number(out, "auc", m->auc);
        put_number(out, "threshold", m->threshold);
        put_number(out, "accuracy", m->accuracy);
        put_number(out, "best_threshold", m->best_threshold);
        put_number(out, "best_accuracy", m->best_accuracy);
    }
    sb_buffer_text(out, "}");
}

static void put_retrieval(struct sb_buffer *out, const struct sb_eval_retrieval *m)
{
    sb_buffer_format(out, ",\"retrieval\":{\"queries\":%zu,\"candidates\":%zu", m->queries, m->candidates);
    put_number(out, "mrr", m->mrr);
    for (size_t c = 0; c < SB_EVAL_CUTOFFS; c++) {
        sb_buffer_format(out, ",\"recall_at_%zu\":", sb_eval_cutoffs[c]);
        sb_buffer_float(out, (float)m->recall[c]);
    }
    sb_buffer_text(out, "}");
}

static double forced(const struct sb_likelihood_gap *gap)
{
    return gap->forced / (double)gap->tokens;
}

static double own(const struct sb_likelihood_gap *gap)
{
    return gap->own / (double)gap->tokens;
}

static void put_gap(struct sb_buffer *out, const char *name, const struct sb_likelihood_gap *gap)
{
    sb_buffer_format(out, ",\"%s\":{\"tokens\":%zu", name, gap->tokens);
    put_number(out, "forced_nll", forced(gap));
    put_number(out, "own_nll", own(gap));
    put_number(out, "gap", own(gap) - forced(gap));
    sb_buffer_text(out, "}");
}

static void put_likelihood(struct sb_buffer *out, const struct sb_eval_result *r)
{
    const struct sb_likelihood *m = &r->likelihood;
    sb_buffer_format(out, ",\"likelihood\":{\"pairs\":%zu,\"tokens\":%zu", r->likelihood_pairs, m->tokens);
    put_number(out, "nll", m->nll / (double)m->tokens);
    put_gap(out, "written", &m->written);
    put_gap(out, "guessed", &m->guessed);
    sb_buffer_text(out, "}");
}

static void put_decoding(struct sb_buffer *out, const char *name, const struct sb_eval_decoding *m)
{
    sb_buffer_format(out, ",\"%s\":{\"f1\":", name);
    sb_buffer_float(out, (float)m->f1);
    put_number(out, "ended", m->ended);
    put_number(out, "copy_rate", m->copies);
    sb_buffer_text(out, "}");
}

static void put_paraphrases(struct sb_buffer *out, const struct sb_eval_paraphrases *m)
{
    sb_buffer_format(out, ",\"paraphrases\":{\"texts\":%zu,\"written\":%zu,\"kept\":%zu", m->texts, m->written,
                     m->kept);
    put_number(out, "copy_rate", m->copy_rate);
    put_number(out, "duplicate_rate", m->duplicate_rate);
    put_number(out, "similarity", m->similarity);
    put_number(out, "edit_distance", m->edit_distance);
    put_number(out, "distinct_1", m->distinct[0]);
    put_number(out, "distinct_2", m->distinct[1]);
    sb_buffer_text(out, "}");
}

void sb_eval_put_json(struct sb_buffer *out, const struct sb_eval_result *result, const struct sb_model *model)
{
    sb_buffer_text(out, "{\"file\":");
    sb_buffer_json_string(out, result->path, strlen(result->path));
    sb_buffer_text(out, ",\"model\":");
    sb_buffer_json_string(out, sb_model_name(model), strlen(sb_model_name(model)));
    sb_buffer_format(out, ",\"dtype\":\"%s\",\"kind\":\"%s\",\"examples\":%zu", sb_model_dtype(model),
                     sb_data_kind_name(result->kind), result->examples);
    if (result->pairs.count > 0)
        put_pairs(out, result);
    if (result->retrieval.queries > 0)
        put_retrieval(out, &result->retrieval);
    if (result->likelihood_pairs > 0)
        put_likelihood(out, result);
    if (result->decoded) {
        sb_buffer_format(out, ",\"decoding\":{\"texts\":%zu", result->likelihood_pairs);
        put_decoding(out, "greedy", &result->greedy);
        put_decoding(out, "beam", &result->beam);
        sb_buffer_text(out, "}");
    }
    if (result->paraphrases.texts > 0)
        put_paraphrases(out, &result->paraphrases);
    sb_buffer_text(out, "}\n");
}

/* ---- table ---- */

/* "-" for a measure that has no value. */
static void put_line(struct sb_buffer *out, const char *name, double value, int digits, const char *note)
{
    sb_buffer_format(out, "  %-28s", name);
    if (isfinite(value))
        sb_buffer_format(out, "%9.*f", digits, value);
    else
        sb_buffer_format(out, "%9s", "-");
    sb_buffer_format(out, "%s%s\n", *note ? "  " : "", note);
}

static void put_pairs_table(struct sb_buffer *out, const struct sb_eval_result *r)
{
    const struct sb_pair_measures *m = &r->pairs;
    char note[100];
    if (r->graded)
        sb_buffer_format(out, " similarity of %zu pairs with scores\n", m->count);
    else
        sb_buffer_format(out, " similarity of %zu pairs, %zu of them positive\n", m->count, m->positives);
    put_line(out, "Spearman", m->spearman, 4, "");
    put_line(out, "Pearson", m->pearson, 4, "");
    if (r->graded)
        return;
    put_line(out, "AUC", m->auc, 4, "");
    snprintf(note, sizeof note, "cosine > %g is \"same\"", m->threshold);
    put_line(out, "accuracy", m->accuracy, 4, note);
    snprintf(note, sizeof note, "cosine > %.4f", m->best_threshold);
    put_line(out, "best accuracy", m->best_accuracy, 4, note);
}

static void put_retrieval_table(struct sb_buffer *out, const struct sb_eval_retrieval *m)
{
    char name[40];
    sb_buffer_format(out, " retrieval of %zu queries among %zu texts\n", m->queries, m->candidates);
    put_line(out, "MRR", m->mrr, 4, "");
    for (size_t c = 0; c < SB_EVAL_CUTOFFS; c++) {
        snprintf(name, sizeof name, "recall@%zu", sb_eval_cutoffs[c]);
        put_line(out, name, m->recall[c], 4, "");
    }
}

static void put_gap_line(struct sb_buffer *out, const char *name, const struct sb_likelihood_gap *gap)
{
    char note[100];
    snprintf(note, sizeof note, "%.4f, not %.4f, a token of %zu", own(gap), forced(gap), gap->tokens);
    put_line(out, name, own(gap) - forced(gap), 4, note);
}

static void put_likelihood_table(struct sb_buffer *out, const struct sb_eval_result *r)
{
    const struct sb_likelihood *m = &r->likelihood;
    sb_buffer_format(out, " likelihood of the given paraphrases, %zu pairs, nats a token\n", r->likelihood_pairs);
    put_line(out, "held-out NLL", m->nll / (double)m->tokens, 4, "");
    put_gap_line(out, "gap behind what it writes", &m->written);
    put_gap_line(out, "gap behind its guesses", &m->guessed);
}

static void put_decoding_table(struct sb_buffer *out, const struct sb_eval_result *r)
{
    sb_buffer_format(out, " what is written to %zu texts without sampling, against the given paraphrase\n", r->likelihood_pairs);
    put_line(out, "greedy: F1", r->greedy.f1, 4, "of pairs of neighbouring characters");
    put_line(out, "greedy: ended", r->greedy.ended, 4, "not cut off");
    put_line(out, "greedy: copies", r->greedy.copies, 4, "equal to the text");
    put_line(out, "4 beams: F1", r->beam.f1, 4, "");
    put_line(out, "4 beams: ended", r->beam.ended, 4, "");
    put_line(out, "4 beams: copies", r->beam.copies, 4, "");
}

static void put_paraphrases_table(struct sb_buffer *out, const struct sb_eval_paraphrases *m)
{
    sb_buffer_format(out, " paraphrases of %zu texts, %zu written, %zu kept\n", m->texts, m->written, m->kept);
    put_line(out, "copy rate", m->copy_rate, 4, "equal to the text, of all written");
    put_line(out, "duplicate rate", m->duplicate_rate, 4, "equal to an earlier one, of all written");
    put_line(out, "mean similarity", m->similarity, 4, "to the text");
    put_line(out, "mean edit distance", m->edit_distance, 2, "to the text, in characters");
    put_line(out, "distinct-1", m->distinct[0], 4, "mean over the texts");
    put_line(out, "distinct-2", m->distinct[1], 4, "");
}

void sb_eval_put_table(struct sb_buffer *out, const struct sb_eval_result *result, const struct sb_model *model)
{
    sb_buffer_format(out, "%s: %zu examples (%s), model %s, %s\n", result->path, result->examples,
                     sb_data_kind_name(result->kind), sb_model_name(model), sb_model_dtype(model));
    if (result->pairs.count == 0 && result->retrieval.queries == 0)
        sb_buffer_text(out, " nothing to measure: the labels do not differ, and no two texts mean the same\n");
    if (result->pairs.count > 0)
        put_pairs_table(out, result);
    if (result->retrieval.queries > 0)
        put_retrieval_table(out, &result->retrieval);
    if (result->likelihood_pairs > 0)
        put_likelihood_table(out, result);
    if (result->decoded)
        put_decoding_table(out, result);
    if (result->paraphrases.texts > 0)
        put_paraphrases_table(out, &result->paraphrases);
}
