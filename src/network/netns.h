/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Network namespaces as descriptors. All of this is about the calling thread. */

/* The one that we are in. Descriptor or -errno. */
int netns_open_own(void);
/* Makes one and enters it. 0 or -errno. */
int netns_new(void);
/* 0 or -errno. */
int netns_enter(int fd);
/* Is it a descriptor of a network namespace? Asks for nothing that could make us wait. */
bool netns_is(int fd);
/* Are these two the same? */
bool netns_same(int a, int b);

/* Writes to a file below /proc/sys/net, of the namespace that we are in: 0 or -errno. What it has already is not written. */
int netns_set(const char *name, const char *value);
