/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One request and one answer of HTTP, for `metrics --http`, which systemd starts for each connection. Anybody who reaches the
 * socket may send anything: what is sent is never printed, and neither fills memory nor keeps the process waiting. */

#include "cli/metrics-http.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"

#define REQUEST_MAX_BYTES (16 * 1024)
#define REQUEST_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define ANSWER_TIMEOUT_SEC 30
/* How long the client may take to end the connection; what it has sent meanwhile would break off the answer. */
#define LINGER_USEC USEC_PER_SEC
#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The rest of @target behind scheme and host, which proxies send. */
static const char *path_of(const char *target) {
        const char *host = startswith(target, "http://");

        return host ? host + strcspn(host, "/ ?") : target;
}

HttpRequest http_request_parse(const char *text) {
        const char *target = strchr(text, ' ');
        size_t length = target ? (size_t) (target - text) : 0, line = strcspn(text, "\r\n");

        if (length == 0 || length >= line || !text[line])
                return HTTP_BAD;
        const char *path = path_of(target + 1), *end = path + strcspn(path, " ?\r\n"),
                   *version = path + strcspn(path, " \r\n");
        if (!startswith(version, " HTTP/1."))
                return HTTP_BAD;
        bool get = length == 3 && strncmp(text, "GET", 3) == 0, head = length == 4 && strncmp(text, "HEAD", 4) == 0;
        if (!get && !head)
                return HTTP_OTHER_METHOD;
        if (end - path != (ptrdiff_t) strlen("/metrics") || !startswith(path, "/metrics"))
                return HTTP_OTHER_PATH;
        return get ? HTTP_GET : HTTP_HEAD;
}

/* 1; 0: nothing came until @deadline; or -errno. */
static int wait_for(int fd, uint64_t deadline) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };

        for (;;) {
                int n = poll(&pollfd, 1, clock_poll_timeout(deadline));
                if (n >= 0)
                        return n;
                if (errno != EINTR)
                        return -errno;
        }
}

HttpRequest http_request_read(int fd) {
        char text[REQUEST_MAX_BYTES + 1];
        uint64_t deadline = clock_deadline(REQUEST_TIMEOUT_USEC);
        size_t n = 0;

        while (n < REQUEST_MAX_BYTES) {
                int r = wait_for(fd, deadline);
                if (r <= 0)
                        return r == 0 ? HTTP_TOO_LATE : HTTP_BAD;
                ssize_t more = read(fd, text + n, REQUEST_MAX_BYTES - n);
                if (more <= 0)
                        return HTTP_BAD;
                n += (size_t) more;
                text[n] = 0;
                if (strstr(text, "\r\n\r\n") || strstr(text, "\n\n"))
                        return http_request_parse(text);
        }
        return HTTP_BAD;
}

static const char *status_of(HttpRequest request, bool made) {
        switch (request) {
        case HTTP_GET:
        case HTTP_HEAD:
                return made ? "200 OK" : "500 Internal Server Error";
        case HTTP_OTHER_PATH:
                return "404 Not Found";
        case HTTP_OTHER_METHOD:
                return "405 Method Not Allowed\r\nAllow: GET, HEAD";
        case HTTP_TOO_LATE:
                return "408 Request Timeout";
        case HTTP_BAD:
                break;
        }
        return "400 Bad Request";
}

static void linger(int fd) {
        uint64_t deadline = clock_deadline(LINGER_USEC);
        char rest[4096];

        if (shutdown(fd, SHUT_WR) < 0) /* no connection */
                return;
        while (wait_for(fd, deadline) > 0 && read(fd, rest, sizeof(rest)) > 0)
                ;
}

static int write_answer(int fd, const char *head, size_t head_size, const char *body, size_t body_size) {
        int r = fd_write_all(fd, head, head_size);
        return r < 0 ? r : fd_write_all(fd, body, body_size);
}

int http_answer(int fd, HttpRequest request, const char *body, size_t size) {
        bool good = (request == HTTP_GET || request == HTTP_HEAD) && body;
        const char *text = good                                        ? body :
                           request == HTTP_OTHER_PATH                  ? "The metrics are at /metrics\n" :
                           request == HTTP_GET || request == HTTP_HEAD ? "See the journal of nspawn-runner\n" :
                                                                         "";
        char head[512];

        if (!good)
                size = strlen(text);
        int n = snprintf(head, sizeof(head),
                         "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                         status_of(request, body), good ? CONTENT_TYPE : "text/plain; charset=utf-8", size);
        (void) alarm(ANSWER_TIMEOUT_SEC);
        int r = write_answer(fd, head, (size_t) n, text, request == HTTP_HEAD ? 0 : size);
        (void) alarm(0);
        if (r < 0)
                return r;
        linger(fd);
        return 0;
}
