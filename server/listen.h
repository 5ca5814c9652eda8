/* The listening socket, opened before anything that takes long, so that a taken port is told at once. */
#ifndef SB_SERVER_LISTEN_H
#define SB_SERVER_LISTEN_H

#include "base/status.h"

#include <stddef.h>

struct sb_listener {
    int fd;
    int family; /* AF_INET or AF_INET6 */
    int port;   /* the one that was given, when 0 was asked for */
};

/* SB_CONFLICT: the port is taken; SB_INVALID: no such address; SB_IO: not allowed. */
SB_MUST_CHECK enum sb_status sb_listen(struct sb_listener *listener, const char *host, int port,
                                       struct sb_error *error);

/* "http://127.0.0.1:8080" */
void sb_listener_url(const struct sb_listener *listener, const char *host, char *url, size_t size);

#endif
