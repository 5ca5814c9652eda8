/*
 * Files of examples: the pass that checks all lines and notes the good ones, and reading them by number.
 */
#include "base/utf8.h"
#include "training/data_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 20, SAMPLE_BYTES = 1 << 16, FIRST_READ = 1 << 10, LATER_READ = 1 << 13 };

struct file {
    struct sb_source source;
    struct sb_data_format format;
    struct sb_data_report report;
    char *path;
    uint64_t *starts; /* [count] byte at which a good line starts */
    float *scores;    /* [count] of pairs and NLI as they stand, while the file is opened */
    size_t count, capacity;
};

struct sb_data {
    struct file *files;
    size_t file_count, count;
    uint64_t hash;
    size_t line_max;
};

struct sb_data_options sb_data_defaults(void)
{
    return (struct sb_data_options){
        .bad_lines_max = 100,
        .bad_share_max = 0.01,
        .line_max = 1 << 20,
        .bytes_max = (uint64_t)64 << 30,
    };
}

const char *sb_drop_name(enum sb_drop reason)
{
    static const char *const names[SB_DROP_REASONS] = {
        [SB_DROP_NONE] = "good",           [SB_DROP_ENCODING] = "not UTF-8",
        [SB_DROP_LENGTH] = "too long",     [SB_DROP_JSON] = "not a JSON object",
        [SB_DROP_FIELDS] = "wrong fields", [SB_DROP_LABEL] = "wrong label",
        [SB_DROP_EMPTY] = "empty text",    [SB_DROP_NO_PAIR] = "no pair of one meaning",
    };
    return names[reason];
}

void sb_example_free(struct sb_example *example)
{
    sb_buffer_free(&example->line);
    sb_buffer_free(&example->bytes);
    free(example->views);
    *example = (struct sb_example){0};
}

/* ---- Lines one after the other ---- */

struct lines {
    const struct file *file;
    char *bytes;                 /* [capacity] */
    size_t capacity, start, end; /* bytes[start, end) have been read and not handed out */
    uint64_t offset;             /* of bytes[start] in the file */
    uint64_t hash;               /* FNV-1a of all lines read */
};

struct line {
    const char *text; /* NULL: the end of the file */
    size_t size;
    uint64_t start;
    bool too_long;
};

static uint64_t fnv(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001B3u;
    return hash;
}

/* Moves what is left to the front and reads more behind it. */
static enum sb_status fill(struct lines *lines, struct sb_error *error)
{
    size_t got = 0, kept = lines->end - lines->start;
    memmove(lines->bytes, lines->bytes + lines->start, kept);
    enum sb_status status = sb_source_read(&lines->file->source, lines->file->path, lines->bytes + kept,
                                           lines->capacity - kept, lines->offset + kept, &got, error);
    lines->start = 0;
    lines->end = kept + got;
    return status;
}

static void consume(struct lines *lines, size_t size)
{
    lines->hash = fnv(lines->hash, lines->bytes + lines->start, size);
    lines->start += size;
    lines->offset += size;
}

/* The next line without its line end. The text lives until the next call. */
static enum sb_status next_line(struct lines *lines, struct line *line, struct sb_error *error)
{
    const uint64_t file_size = lines->file->source.size;
    *line = (struct line){.start = lines->offset};
    while (lines->offset < file_size) {
        size_t held = lines->end - lines->start;
        char *text = lines->bytes + lines->start, *newline = memchr(text, '\n', held);
        bool at_end = lines->offset + held == file_size;
        if (newline || at_end) {
            size_t size = newline ? (size_t)(newline - text) : held;
            line->text = text;
            line->size = size;
            consume(lines, size + (newline != NULL));
            return SB_OK;
        }
        if (held == lines->capacity) { /* longer than any line may be: forget its beginning */
            line->too_long = true;
            consume(lines, held);
        }
        enum sb_status status = fill(lines, error);
        if (status != SB_OK)
            return status;
    }
    if (line->too_long)
        line->text = lines->bytes;
    return SB_OK;
}

/* ---- Opening a file ---- */

static void note_problem(struct file *f, size_t number, enum sb_drop reason, const char *what)
{
    struct sb_data_report *report = &f->report;
    report->dropped[reason]++;
    report->bad++;
    if (report->problem_count == SB_DATA_PROBLEMS)
        return;
    struct sb_data_problem *problem = &report->problems[report->problem_count++];
    problem->line = number;
    problem->reason = reason;
    snprintf(problem->what, sizeof problem->what, "%s", what);
}

static enum sb_status note_example(struct file *f, uint64_t start, float score, struct sb_error *error)
{
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 1024;
        uint64_t *starts = realloc(f->starts, capacity * sizeof *starts);
        if (starts)
            f->starts = starts;
        float *scores = realloc(f->scores, capacity * sizeof *scores);
        if (scores)
            f->scores = scores;
        if (!starts || !scores)
            return sb_fail(error, SB_NO_MEMORY, "no memory for the places of %zu lines of %s", capacity, f->path);
        f->capacity = capacity;
    }
    f->starts[f->count] = start;
    f->scores[f->count++] = score;
    return SB_OK;
}

/* The lines of one, checked. A byte order mark belongs to no line. */
static enum sb_status scan_line(struct file *f, struct line line, struct sb_example *example,
                                const struct sb_data_options *options, struct sb_error *error)
{
    char what[sizeof f->report.problems->what];
    bool failed = false;
    size_t number = ++f->report.lines;
    if (number == 1 && line.size >= 3 && memcmp(line.text, "\xEF\xBB\xBF", 3) == 0) {
        line.text += 3;
        line.size -= 3;
        line.start += 3;
    }
    if (line.too_long || line.size > options->line_max) {
        snprintf(what, sizeof what, "longer than %zu bytes", options->line_max);
        note_problem(f, number, SB_DROP_LENGTH, what);
        return SB_OK;
    }
    if (sb_trimmed(line.text, line.size).size == 0 || (number == 1 && f->format.header)) {
        f->report.blank += !(number == 1 && f->format.header);
        return SB_OK;
    }
    if (line.size > 0 && line.text[line.size - 1] == '\r')
        line.size--;
    enum sb_drop reason = sb_data_parse_line(example, &f->format, line.text, line.size, what, sizeof what, &failed);
    if (failed)
        return sb_fail(error, SB_NO_MEMORY, "no memory for line %zu of %s", number, f->path);
    if (reason == SB_DROP_NONE)
        return note_example(f, line.start, example->count < 2 ? -1 : example->label, error);
    note_problem(f, number, reason, what);
    return SB_OK;
}

static enum sb_status find_format(struct file *f, const struct sb_data_file *file, struct sb_error *error)
{
    size_t size;
    char *sample = malloc(SAMPLE_BYTES), *text = sample;
    if (!sample)
        return sb_fail(error, SB_NO_MEMORY, "no memory to read %s", f->path);
    enum sb_status status = sb_source_read(&f->source, f->path, sample, SAMPLE_BYTES, 0, &size, error);
    if (status == SB_OK) {
        if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3;
            size -= 3;
        }
        if (f->source.size > SAMPLE_BYTES) { /* drop the line that is cut, unless it is the only one */
            const char *newline = memrchr(text, '\n', size);
            size = newline ? (size_t)(newline - text) : size;
        }
        status = sb_data_format_find(&f->format, file, text, size, error);
    }
    free(sample);
    return status;
}

enum sb_status sb_data_detect(const struct sb_data_file *file, enum sb_data_kind *kind, bool *labelled,
                              struct sb_error *error)
{
    struct file f = {.path = (char *)(uintptr_t)file->path}; /* only read */
    enum sb_status status = sb_source_open(&f.source, file->path, NULL, SAMPLE_BYTES + 1, true, error);
    if (status != SB_OK)
        return status;
    status = find_format(&f, file, error);
    *kind = f.format.kind;
    *labelled = f.format.labelled;
    sb_source_close(&f.source);
    return status;
}

static enum sb_status scan(struct file *f, const struct sb_data_options *options, uint64_t *hash,
                           struct sb_error *error)
{
    struct sb_example example = {0};
    struct line line;
    struct lines lines = {.file = f, .capacity = options->line_max + BLOCK, .hash = *hash};
    lines.bytes = malloc(lines.capacity);
    enum sb_status status = lines.bytes ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory to read %s", f->path);
    while (status == SB_OK) {
        status = next_line(&lines, &line, error);
        if (status != SB_OK || !line.text)
            break;
        status = scan_line(f, line, &example, options, error);
    }
    *hash = fnv(lines.hash, &f->format.kind, sizeof f->format.kind);
    free(lines.bytes);
    sb_example_free(&example);
    return status;
}

static enum sb_status check_bad_lines(const struct file *f, const struct sb_data_options *options,
                                      struct sb_error *error)
{
    const struct sb_data_report *r = &f->report;
    size_t lines = r->lines - r->blank - f->format.header;
    double share = lines ? (double)r->bad / (double)lines : 0;
    if (r->bad > 0 && (r->bad > options->bad_lines_max || share > options->bad_share_max))
        return sb_fail(error, SB_INVALID,
                       "%s: %zu of %zu lines are no %s, more than %zu or %g %% may be; line %zu: %s: %s", f->path,
                       r->bad, lines, sb_data_kind_name(f->format.kind), options->bad_lines_max,
                       100 * options->bad_share_max, r->problems[0].line, sb_drop_name(r->problems[0].reason),
                       r->problems[0].what);
    return SB_OK;
}

/* The range of the scores, unless it was given. */
static enum sb_status find_range(struct file *f, struct sb_error *error)
{
    static const double highs[] = {1, 5, 100};
    struct sb_data_format *format = &f->format;
    float low = 0, high = 0;
    if (format->kind != SB_DATA_PAIRS || format->score_high > format->score_low)
        return SB_OK;
    for (size_t i = 0; i < f->count; i++) {
        low = f->scores[i] < low ? f->scores[i] : low;
        high = f->scores[i] > high ? f->scores[i] : high;
    }
    for (size_t i = 0; low >= 0 && i < sizeof highs / sizeof *highs; i++)
        if ((double)high <= highs[i]) {
            format->score_high = highs[i];
            return SB_OK;
        }
    return sb_fail(error, SB_INVALID,
                   "%s: scores go from %g to %g; say their range, for example \"score_range\": [%g, %g]", f->path,
                   (double)low, (double)high, (double)low, (double)high);
}

static float label_of(const struct file *f, float score)
{
    const struct sb_data_format *format = &f->format;
    if (format->kind != SB_DATA_PAIRS)
        return score;
    return (float)(((double)score - format->score_low) / (format->score_high - format->score_low));
}

/* Of two texts with one meaning. */
static bool is_positive(const struct file *f, float score)
{
    switch (f->format.kind) {
    case SB_DATA_PAIRS: return label_of(f, score) >= 0.5f;
    case SB_DATA_NLI: return score == 0;
    case SB_DATA_SENTENCES: return true; /* a text means what it means */
    default: return score >= 0;          /* scan_line noted -1 for a single text */
    }
}

static void keep_positives(struct file *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++)
        if (is_positive(f, f->scores[i]))
            f->starts[kept++] = f->starts[i];
    f->report.dropped[SB_DROP_NO_PAIR] = f->count - kept;
    f->count = kept;
}

static enum sb_status open_file(struct file *f, const struct sb_data_file *file, const struct sb_data_options *options,
                                uint64_t *hash, struct sb_error *error)
{
    f->source.fd = -1;
    f->path = strdup(file->path);
    if (!f->path)
        return sb_fail(error, SB_NO_MEMORY, "no memory to open %s", file->path);
    enum sb_status status =
        sb_source_open(&f->source, f->path, options->temporary_folder, options->bytes_max, false, error);
    if (status == SB_OK)
        status = find_format(f, file, error);
    if (status == SB_OK)
        status = scan(f, options, hash, error);
    if (status == SB_OK)
        status = check_bad_lines(f, options, error);
    if (status == SB_OK)
        status = find_range(f, error);
    if (status != SB_OK)
        return status;
    if (options->positives_only)
        keep_positives(f);
    free(f->scores);
    f->scores = NULL;
    uint64_t *starts = f->count ? realloc(f->starts, f->count * sizeof *starts) : NULL;
    f->starts = starts ? starts : f->starts;
    f->report.path = f->path;
    f->report.kind = f->format.kind;
    f->report.examples = f->count;
    f->report.score_low = f->format.score_low;
    f->report.score_high = f->format.score_high;
    return SB_OK;
}

enum sb_status sb_data_open(struct sb_data **data, const struct sb_data_file *files, size_t count,
                            const struct sb_data_options *options, struct sb_error *error)
{
    *data = NULL;
    if (options->line_max < 1 || options->line_max > SIZE_MAX / 4)
        return sb_fail(error, SB_INVALID, "line_max %zu is out of range", options->line_max);
    struct sb_data *d = calloc(1, sizeof *d);
    if (d)
        d->files = calloc(count ? count : 1, sizeof *d->files);
    if (!d || !d->files) {
        free(d);
        return sb_fail(error, SB_NO_MEMORY, "no memory to open %zu files", count);
    }
    enum sb_status status = SB_OK;
    d->line_max = options->line_max;
    d->hash = 0xCBF29CE484222325u; /* FNV's offset basis */
    while (status == SB_OK && d->file_count < count) {
        size_t i = d->file_count++;
        status = open_file(&d->files[i], &files[i], options, &d->hash, error);
        d->count += d->files[i].count;
    }
    d->hash = fnv(d->hash, &d->count, sizeof d->count);
    if (status == SB_OK && d->count == 0)
        status = sb_fail(error, SB_INVALID, "no examples in %s%s%s", count ? files[0].path : "no files",
                         count > 1 ? " and the files after it" : "",
                         options->positives_only ? ": no two texts with one meaning" : "");
    if (status == SB_OK)
        *data = d;
    else
        sb_data_close(d);
    return status;
}

void sb_data_close(struct sb_data *data)
{
    if (!data)
        return;
    for (size_t i = 0; i < data->file_count; i++) {
        struct file *f = &data->files[i];
        sb_source_close(&f->source);
        free(f->starts);
        free(f->scores);
        free(f->path);
    }
    free(data->files);
    free(data);
}

/* ---- Reading ---- */

size_t sb_data_count(const struct sb_data *data)
{
    return data->count;
}

uint64_t sb_data_hash(const struct sb_data *data)
{
    return data->hash;
}

unsigned sb_data_kinds(const struct sb_data *data)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < data->file_count; i++)
        if (data->files[i].count)
            kinds |= 1u << data->files[i].format.kind;
    return kinds;
}

const struct sb_data_report *sb_data_report(const struct sb_data *data, size_t file)
{
    return &data->files[file].report;
}

static const struct file *find_file(const struct sb_data *data, size_t *number)
{
    const struct file *f = data->files;
    for (; *number >= f->count; f++)
        *number -= f->count;
    return f;
}

/* The line that starts at `start` into buffer, without its line end. */
static enum sb_status read_line(const struct file *f, struct sb_buffer *buffer, uint64_t start, size_t line_max,
                                struct sb_error *error)
{
    sb_buffer_reset(buffer);
    for (size_t size = FIRST_READ;; size = LATER_READ) {
        char chunk[LATER_READ];
        size_t got;
        enum sb_status status = sb_source_read(&f->source, f->path, chunk, size, start + buffer->length, &got, error);
        if (status != SB_OK)
            return status;
        const char *newline = memchr(chunk, '\n', got);
        sb_buffer_bytes(buffer, chunk, newline ? (size_t)(newline - chunk) : got);
        if (buffer->failed)
            return sb_fail(error, SB_NO_MEMORY, "no memory to read a line of %s", f->path);
        if (newline || got < size)
            break;
        if (buffer->length > line_max)
            return sb_fail(error, SB_CORRUPT,
                           "%s was changed while it was in use: the line at byte %" PRIu64 " has no end", f->path,
                           start);
    }
    if (buffer->length > 0 && buffer->data[buffer->length - 1] == '\r')
        buffer->length--;
    return SB_OK;
}

enum sb_status sb_data_read(const struct sb_data *data, size_t number, struct sb_example *example,
                            struct sb_error *error)
{
    if (number >= data->count)
        return sb_fail(error, SB_INVALID, "there is no example %zu: there are %zu", number, data->count);
    const struct file *f = find_file(data, &number);
    enum sb_status status = read_line(f, &example->line, f->starts[number], data->line_max, error);
    if (status != SB_OK)
        return status;
    char what[sizeof f->report.problems->what];
    bool failed;
    enum sb_drop reason = sb_data_parse_line(example, &f->format, example->line.data ? example->line.data : "",
                                             example->line.length, what, sizeof what, &failed);
    if (failed)
        return sb_fail(error, SB_NO_MEMORY, "no memory to read a line of %s", f->path);
    if (reason != SB_DROP_NONE)
        return sb_fail(error, SB_CORRUPT, "%s was changed while it was in use: the line at byte %" PRIu64 ": %s: %s",
                       f->path, f->starts[number], sb_drop_name(reason), what);
    example->label = label_of(f, example->label);
    return SB_OK;
}

void sb_data_place(const struct sb_data *data, size_t number, char *out, size_t size)
{
    const struct file *f = find_file(data, &number);
    snprintf(out, size, "%s, byte %" PRIu64, f->path, f->starts[number]);
}
