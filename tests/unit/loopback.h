/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/link.h"

/* Switches the loopback device of our network namespace on, as a host has it. 0 or -errno. */
static inline int switch_loopback_on(void) {
        _cleanup_netlink_ NetlinkSocket *socket = NULL;
        NetlinkBatch batch = { 0 };
        const char *what;

        int r = netlink_open(NETLINK_ROUTE, &socket);
        if (r < 0)
                return r;
        link_set_up(&batch, 1);
        return netlink_run(socket, &batch, &what);
}
