/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What one job may use of the connections that the host's kernel can track (net.netfilter.nf_conntrack_max), which it
 * does for all jobs and for itself in one table. */
typedef struct Tracked {
        unsigned connections; /* at a time */
        unsigned per_second;  /* new ones, for a long time; as many as @connections may be new at once */
} Tracked;

/* The share of one job. If the kernel does not track connections yet (*ret_known is false), it is what a small host
 * would have. */
Tracked tracked_share(bool *ret_known);

/* Whether so much of that table of our network namespace is in use that it should get smaller. */
bool tracked_is_crowded(void);

/* Makes the text of nftables for a table of family inet: sets, and a chain "openings" that refuses each packet that would
 * open a connection beyond the share. Chains go there with packets for which `ct state new` holds, before
 * connections are confirmed. The connections are counted together for each interface that packets come from. 0 with
 * *ret to be freed, or -ENOMEM. */
int tracked_format(const Tracked *share, char **ret);
