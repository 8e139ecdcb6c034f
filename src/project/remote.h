/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* The place of a project, from the URL of its remote. All texts are of the arena. */
typedef struct Remote {
        const char *host, *path, *protocol, *port; /* GitLab's own, over HTTP */
        /* The host, with its port unless that is the usual one, and with the path of the server, as CI_SERVER_FQDN. */
        const char *fqdn;
        /* What git needs before the path of a project on the same server: "https://HOST/", "ssh://git@HOST:2222/", "git@HOST:".
         * Without a user or password of HTTP. NULL: the URL names no server. */
        const char *base;
        /* What the URL has of these, for HTTP, decoded. NULL: nothing. They are secret. */
        const char *user, *password;
} Remote;

/* Parses "https://user@host:port/path.git", "ssh://git@host/path.git", "git@host:path.git", "/srv/path". What names no server
 * is made a project of gitlab.example.com. @server, or NULL, is the URL of a GitLab server: if @url is on its host, the ways
 * to reach that over HTTP are those of @server, which may have a path. */
Remote remote_parse(Arena *arena, const char *url, const char *server);
