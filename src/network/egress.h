/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Makes rules of nftables, for the namespace of a hub, from @rules (items of the setting egress). The first rule that
 * matches a packet from a container decides. If none matches, link-local addresses are refused and everything else is
 * allowed. The sender of a refused packet gets an answer. *ret is to be freed. 0; -EINVAL: one of @rules is no rule; or
 * -ENOMEM. Pure. */
int egress_format(char *const *rules, char **ret);
