/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Network namespaces as descriptors. The functions change only the calling thread. */

/* Opens the network namespace that we are in. Returns a descriptor or -errno. */
int netns_open_own(void);
/* Makes a new network namespace and enters it. 0 or -errno. */
int netns_new(void);
/* Enters the network namespace @fd. 0 or -errno. */
int netns_enter(int fd);
/* Is @fd a descriptor of a network namespace? Any descriptor may be passed: the check cannot wait. */
bool netns_is(int fd);
/* Are these two descriptors of the same namespace? */
bool netns_same(int a, int b);

/* Whether the kernel forwards packets, for netns_set(). */
#define NETNS_FORWARD4 "ipv4/ip_forward"
#define NETNS_FORWARD6 "ipv6/conf/all/forwarding"

/* Writes @value to file @name below /proc/sys/net, in the network namespace that we are in, unless the file has that
 * value already. 0 or -errno. */
int netns_set(const char *name, const char *value);
