/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/socket.h>

#include "base/macro.h"

/* The number of servers that libc uses (MAXNS in resolv.h). */
#define NAMES_SERVERS_MAX 3

/* How names are looked up in a segment. */
typedef struct Names {
        char *text; /* resolv.conf for the containers */
        /* Servers of the host that containers cannot reach, such as 127.0.0.53, or perhaps not, as those with IPv6. Containers
         * ask the hub instead, which relays to these servers (network/relay.h). */
        struct sockaddr_storage relayed[NAMES_SERVERS_MAX];
        size_t n_relayed;
} Names;

void names_done(Names *names);

/* Makes the names' configuration from @host_text, the host's resolv.conf (NULL: it has none). @hub is the hub's address
 * as text. Servers keep their order; lines about other things stay. 0 with @ret for names_done(), or -ENOMEM. */
int names_make(const char *host_text, const char *hub, Names *ret);
