/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What a request of HTTP/1 asks for: RFC 9112. */
typedef enum HttpRequest {
        HTTP_GET,        /* the metrics */
        HTTP_HEAD,       /* what would come with them */
        HTTP_OTHER_PATH, /* there is only /metrics */
        HTTP_OTHER_METHOD,
        HTTP_BAD, /* it is none, too long, or cut off */
        HTTP_TOO_LATE,
} HttpRequest;

/* What the request that begins with @text asks for. Looks at its first line only. */
HttpRequest http_request_parse(const char *text);

/* Reads a request's headers from @fd, waiting for them no longer than some seconds. */
HttpRequest http_request_read(int fd);

/* Answers it on @fd with @body, of @size bytes (NULL: the metrics cannot be made), and ends the connection if it is one. A
 * client that does not take the answer for some seconds ends this process (SIGALRM). 0 or -errno. */
int http_answer(int fd, HttpRequest request, const char *body, size_t size);
