/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Lines of a container's /etc/hosts. A new tree without that file gets HOSTS_LOCALHOST (tree/finish.c); the agent appends the
 * container's own line (agent/first.c); machine/tree-files.c removes that line from a tree that is kept. */

#define HOSTS_LOCALHOST          \
        "127.0.0.1\tlocalhost\n" \
        "::1\t\tlocalhost ip6-localhost ip6-loopback\n"

/* For host name %s. */
#define HOSTS_OWN_LINE "127.0.1.1\t%s\n"
