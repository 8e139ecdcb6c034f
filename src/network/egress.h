/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

/* Makes rules of nftables, for the namespace of a hub, from @rules (items of the setting egress). The first rule that
 * matches a packet from a container decides; one that allows more than a closed network does not match packets to that. If
 * none matches, closed networks are refused and everything else is allowed. The sender of a refused packet gets an answer.
 * *ret is to be freed. 0; -EINVAL: one of @rules is no rule; or -ENOMEM. Pure. */
int egress_format(char *const *rules, char **ret);

/* Does one of @rules allow something in @closed, one of the closed networks, by name? Pure. */
bool egress_opens(char *const *rules, const IpNetwork *closed);
