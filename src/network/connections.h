/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

/* Has the kernel forget the connections that were opened from addresses in one of @n networks, of those that it tracks in our
 * network namespace. Otherwise those that were left open stay in its table for hours. What is opened while this runs may
 * stay. It takes about 10 ms, and 2 ms for each thousand in the table. 0; -ELIBACC: libmnl is not installed; or another
 * -errno, after some were forgotten. */
int connections_forget(const IpNetwork *networks, size_t n);
