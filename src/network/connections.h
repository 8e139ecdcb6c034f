/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

/* Has the kernel forget the connections that were opened from addresses in one of @n networks, of those that it tracks in our
 * network namespace. Otherwise those that were left open stay in its table for hours. What is opened while this runs may
 * stay. It takes about 10 ms, and 2 ms for each thousand in the table. Before each few of them, asks @may_go_on whether the
 * networks still belong to nobody else. 0; -ECANCELED: they do; -ELIBACC: libmnl is not installed; or another -errno, after
 * some were forgotten. */
int connections_forget(const IpNetwork *networks, size_t n, bool (*may_go_on)(const void *userdata),
                       const void *userdata);
