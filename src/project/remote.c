/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the URL of a project's remote. Called by what predefines variables, and by what fetches. What is made of it is
 * shown, and passed to programs: a user or a password that the URL has for HTTP must be in nothing but the fields for
 * them. */

#include "project/remote.h"

#include <stdio.h>

#include "base/string.h"

/* "SCHEME://[USER@]HOST[:PORT]/"; @end is where the path begins. */
static const char *make_base(Arena *arena, const char *url, const char *end) {
        const char *host = strstr(url, "://") + 3;
        const char *at = memrchr(host, '@', (size_t) (end - host));

        if (!at || startswith(url, "ssh:"))
                return arena_printf(arena, "%.*s/", (int) (end - url), url);
        return arena_printf(arena, "%.*s%.*s/", (int) (host - url), url, (int) (end - at - 1), at + 1);
}

/* What "%40" and the like stand for. */
static const char *decode(Arena *arena, const char *text, size_t size) {
        char *copy = arena_copy(arena, text, size), *to = copy;
        unsigned byte;

        for (const char *from = copy; *from; from++)
                if (*from == '%' && strspn(from + 1, "0123456789abcdefABCDEF") >= 2 &&
                    sscanf(from + 1, "%2x", &byte) == 1) {
                        *to++ = (char) byte;
                        from += 2;
                } else
                        *to++ = *from;
        *to = 0;
        return copy;
}

/* "https://USER:PASSWORD@HOST/"; @end is where the path begins. */
static void read_secrets(Arena *arena, const char *url, const char *end, Remote *remote) {
        const char *from = strstr(url, "://") + 3, *at = memrchr(from, '@', (size_t) (end - from));
        const char *colon = at ? memchr(from, ':', (size_t) (at - from)) : NULL;

        if (!colon || !startswith(url, "http"))
                return;
        remote->user = decode(arena, from, (size_t) (colon - from));
        remote->password = decode(arena, colon + 1, (size_t) (at - colon - 1));
}

static Remote parse(Arena *arena, const char *url) {
        Remote remote = { .host = "gitlab.example.com", .protocol = "https", .port = "443" };
        const char *scheme = strstr(url, "://"), *start = scheme ? scheme + 3 : url, *end;
        const char *at = strchr(start, '@'), *slash = strchr(start, '/');

        if (at && (!slash || at < slash))
                start = at + 1;
        if (scheme && !startswith(url, "file:")) {
                end = start + strcspn(start, ":/");
                remote.host = arena_copy(arena, start, (size_t) (end - start));
                if (startswith(url, "http:")) {
                        remote.protocol = "http";
                        remote.port = "80";
                }
                if (*end == ':' && startswith(url, "http"))
                        remote.port = arena_copy(arena, end + 1, strspn(end + 1, "0123456789"));
                start = end + strcspn(end, "/");
                read_secrets(arena, url, start, &remote);
                remote.base = startswith(url, "http:") || startswith(url, "https:") || startswith(url, "ssh:") ?
                                      make_base(arena, url, start) :
                                      NULL;
        } else if (!scheme && (end = strchr(start, ':')) && (!slash || end < slash)) {
                remote.host = arena_copy(arena, start, (size_t) (end - start));
                start = end + 1;
                remote.base = arena_copy(arena, url, (size_t) (start - url));
        } else {
                /* A path on this host: its last two parts stand for a group and a project. */
                const char *last = strrchr(start, '/');
                while (last && last > start && last[-1] != '/')
                        last--;
                start = last ? last : start;
        }
        char *path = arena_string(arena, start + strspn(start, "/"));
        size_t n = strlen(path);
        while (n > 0 && path[n - 1] == '/')
                path[--n] = 0;
        char *suffix = (char *) endswith(path, ".git");
        if (suffix)
                *suffix = 0;
        remote.path = path;
        bool usual = streq(remote.port, "443") || streq(remote.port, "80");
        remote.fqdn = usual ? remote.host : arena_printf(arena, "%s:%s", remote.host, remote.port);
        return remote;
}

Remote remote_parse(Arena *arena, const char *url, const char *server) {
        Remote remote = parse(arena, url);

        if (!server || (!startswith(server, "https://") && !startswith(server, "http://")))
                return remote;
        const Remote other = parse(arena, server);
        if (!remote.base || !streq(other.host, remote.host))
                return remote;
        bool http = startswith(url, "http");
        const char *rest = startswith(remote.path, other.path);
        if (http && (!streq(other.port, remote.port) || !rest || (*other.path && *rest != '/')))
                return remote;
        remote.protocol = other.protocol;
        remote.port = other.port;
        remote.fqdn = *other.path ? arena_printf(arena, "%s/%s", other.fqdn, other.path) : other.fqdn;
        if (http) {
                remote.path = rest + strspn(rest, "/");
                remote.base = *other.path ? arena_printf(arena, "%s%s/", remote.base, other.path) : remote.base;
        }
        return remote;
}
