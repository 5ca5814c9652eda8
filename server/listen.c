#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static enum sb_status refuse(const char *host, int port, int code, struct sb_error *error)
{
    if (code == EADDRINUSE)
        return sb_fail(error, SB_CONFLICT, "port %d of %s is taken by another program; choose another one with --port",
                       port, host);
    if (code == EACCES)
        return sb_fail(error, SB_IO, "port %d of %s: permission denied; ports below 1024 belong to root", port, host);
    if (code == EADDRNOTAVAIL)
        return sb_fail(error, SB_INVALID, "%s is not an address of this machine", host);
    return sb_fail(error, SB_IO, "port %d of %s can not be opened: %s", port, host, strerror(code));
}

/* 0, or an errno. */
static int open_socket(struct sb_listener *listener, const struct addrinfo *address)
{
    static const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
               sizeof on); /* a restart need not wait for connections of the last run */
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        int code = errno;
        close(fd);
        return code;
    }
    uint16_t port = bound.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((const struct sockaddr_in *)&bound)->sin_port;
    *listener = (struct sb_listener){fd, bound.ss_family, ntohs(port)};
    return 0;
}

enum sb_status sb_listen(struct sb_listener *listener, const char *host, int port, struct sb_error *error)
{
    char service[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list;
    if (port < 0 || port > 65535)
        return sb_fail(error, SB_INVALID, "port is %d; 0 to 65535 are possible", port);
    snprintf(service, sizeof service, "%d", port);
    int found = getaddrinfo(host, service, &hints, &list);
    if (found != 0)
        return sb_fail(error, SB_INVALID, "host \"%s\": %s", host, gai_strerror(found));
    int code = EADDRNOTAVAIL;
    for (const struct addrinfo *address = list; address && code != 0; address = address->ai_next)
        code = open_socket(listener, address);
    freeaddrinfo(list);
    return code == 0 ? SB_OK : refuse(host, port, code, error);
}

void sb_listener_url(const struct sb_listener *listener, const char *host, char *url, size_t size)
{
    snprintf(url, size, strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d", host, listener->port);
}
