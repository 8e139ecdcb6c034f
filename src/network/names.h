/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/socket.h>

#include "base/macro.h"

/* As many as libc looks at (MAXNS in resolv.h). */
#define NAMES_SERVERS_MAX 3

/* How names are looked up in a segment. */
typedef struct Names {
        char *text; /* resolv.conf for the containers */
        /* Servers of the host that containers cannot reach, such as 127.0.0.53: they ask the hub instead, where
         * somebody relays to these (network/relay.h). */
        struct sockaddr_storage relayed[NAMES_SERVERS_MAX];
        size_t n_relayed;
} Names;

void names_done(Names *names);

/* What follows from the host's resolv.conf @host_text (NULL: it has none). @hub: the hub's address, as text; @ipv6:
 * containers have IPv6. Servers keep their order; all lines about something else stay. 0 or -ENOMEM. */
int names_make(const char *host_text, const char *hub, bool ipv6, Names *ret);
