/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The rules of nftables, for the namespace of a hub, that @rules (items of the setting egress) stand for: the first one
 * that matches a packet from a container decides, and behind all of them, link-local addresses are refused and
 * everything else is allowed. Who may not send gets an answer. *ret is to be freed. 0; -EINVAL: one of them is no rule;
 * or -ENOMEM. Pure. */
int egress_format(char *const *rules, char **ret);
