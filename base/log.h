/*
 * Log lines on stderr: one line an event, "2026-01-31T12:00:00.123Z info server: listening on 127.0.0.1:8080".
 * With sb_log_json(true) each line is a JSON object {"time","level","room","message"} instead. Control characters in
 * the message are escaped, so a request can not forge lines. Thread-safe; a line is one write.
 */
#ifndef SB_BASE_LOG_H
#define SB_BASE_LOG_H

#include <stdbool.h>

enum sb_log_level { SB_LOG_DEBUG, SB_LOG_INFO, SB_LOG_WARN, SB_LOG_ERROR, SB_LOG_NONE };

/* Lines below level are dropped; the default is SB_LOG_INFO. */
void sb_log_set_level(enum sb_log_level level);
bool sb_log_level_parse(const char *name, enum sb_log_level *level); /* debug, info, warn, error, none */
void sb_log_json(bool on);

void sb_log(enum sb_log_level level, const char *room, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
