/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The networks that jobs do not reach by default: those where clouds tell whoever asks about their machines, credentials
 * included. hub-rules.c refuses them, egress.c lets the administrator open them, and names.c keeps the servers for names
 * that some clouds have there. A constant table. */

#include "network/closed.h"

const IpNetwork closed_networks[CLOSED_NETWORKS] = {
        { AF_INET, { 169, 254 }, 16 },
        { AF_INET6, { 0xfe, 0x80 }, 10 },
        { AF_INET, { 168, 63, 129, 16 }, 32 },                             /* Azure */
        { AF_INET, { 100, 100, 100, 200 }, 32 },                           /* Alibaba Cloud */
        { AF_INET6, { 0xfd, 0, 0x0e, 0xc2, [14] = 2, [15] = 0x54 }, 128 }, /* Amazon: fd00:ec2::254 */
};

bool closed_has(int family, const uint8_t *address) {
        for (size_t i = 0; i < CLOSED_NETWORKS; i++)
                if (closed_networks[i].family == family && ip_network_has(closed_networks + i, address))
                        return true;
        return false;
}
