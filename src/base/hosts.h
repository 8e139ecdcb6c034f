/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a container's /etc/hosts has. A new tree gets HOSTS_LOCALHOST where it has no such file (tree/finish.c), the agent
 * appends the container's own line (agent/first.c), and where that was done in a tree that is kept, the line goes again
 * (machine/tree-files.c). */

#define HOSTS_LOCALHOST          \
        "127.0.0.1\tlocalhost\n" \
        "::1\t\tlocalhost ip6-localhost ip6-loopback\n"

/* Of host name %s. */
#define HOSTS_OWN_LINE "127.0.1.1\t%s\n"
