#include "base/log.h"

#include "base/buffer.h"
#include "base/utf8.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int minimum = SB_LOG_INFO;
static atomic_bool as_json;

static const char *const names[] = {"debug", "info", "warn", "error", "none"};

void sb_log_set_level(enum sb_log_level level)
{
    atomic_store(&minimum, level);
}

bool sb_log_level_parse(const char *name, enum sb_log_level *level)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *level = (enum sb_log_level)i;
            return true;
        }
    }
    return false;
}

void sb_log_json(bool on)
{
    atomic_store(&as_json, on);
}

/* C0, DEL and C1 (terminals obey some of them), and the two separators that some viewers show as a new line. */
static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

/* Appends text as one well-formed line: control characters escaped, malformed bytes replaced by U+FFFD. */
static void append_clean(struct sb_buffer *line, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t start = at;
        int32_t c = sb_utf8_next(text, length, &at);
        if (c < 0)
            sb_buffer_text(line, "\xEF\xBF\xBD");
        else if (is_control(c))
            sb_buffer_format(line, "\\u%04x", (unsigned)c);
        else
            sb_buffer_bytes(line, text + start, at - start);
    }
}

static void timestamp(char out[32])
{
    struct timespec now;
    struct tm utc;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, 32, "%.19s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

static void compose(struct sb_buffer *line, const char *level, const char *room, const struct sb_buffer *message)
{
    char when[32];
    struct sb_buffer clean = {0};
    timestamp(when);
    append_clean(&clean, message->data, message->length);
    if (atomic_load(&as_json)) {
        sb_buffer_format(line, "{\"time\":\"%s\",\"level\":\"%s\",\"room\":\"%s\",\"message\":", when, level, room);
        sb_buffer_json_string(line, clean.data, clean.length);
        sb_buffer_text(line, "}\n");
    } else {
        sb_buffer_format(line, "%s %s %s: ", when, level, room);
        sb_buffer_bytes(line, clean.data, clean.length);
        sb_buffer_text(line, "\n");
    }
    line->failed |= clean.failed;
    sb_buffer_free(&clean);
}

static void write_line(const struct sb_buffer *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a full pipe may take a line in pieces */
    pthread_mutex_lock(&lock);
    for (size_t at = 0; at < line->length;) {
        ssize_t n = write(STDERR_FILENO, line->data + at, line->length - at);
        if (n < 0 && errno != EINTR)
            break;
        at += n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_unlock(&lock);
}

void sb_log(enum sb_log_level level, const char *room, const char *format, ...)
{
    if ((int)level < atomic_load(&minimum) || level >= SB_LOG_NONE)
        return;
    int saved = errno; /* callers log and then look at errno */
    struct sb_buffer message = {0}, line = {0};
    va_list args;
    va_start(args, format);
    sb_buffer_format_list(&message, format, args);
    va_end(args);
    if (!message.failed)
        compose(&line, names[level], room, &message);
    if (!line.failed) /* out of memory: the line is lost, the program is not */
        write_line(&line);
    sb_buffer_free(&message);
    sb_buffer_free(&line);
    errno = saved;
}
