/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

/* Networks that are closed to jobs as long as no rule of `egress` allows them by name: an "allow any", or one for a larger
 * network, means none of them. */
#define CLOSED_NETWORKS 5
extern const IpNetwork closed_networks[CLOSED_NETWORKS];

/* Whether @address, in network byte order, is in one of them. */
bool closed_has(int family, const uint8_t *address);
