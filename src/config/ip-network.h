/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <netinet/in.h>

#include "base/macro.h"

/* A network of IPv4 or IPv6, such as "10.1.0.0/16" or "fe80::/10". */
typedef struct IpNetwork {
        int family;          /* AF_INET or AF_INET6 */
        uint8_t address[16]; /* in network byte order; IPv4 uses the first 4 bytes */
        unsigned prefix;     /* length, in bits */
} IpNetwork;

/* Room for any address or network as text. */
#define IP_NETWORK_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("/128"))

/* Parses ADDRESS or ADDRESS/PREFIX; an address alone gets a prefix of all bits. 0; or -EINVAL: it is neither, or has
 * bits set behind the prefix. */
int ip_network_parse(const char *text, IpNetwork *ret);

/* Whether @address, in network byte order and of the network's family, belongs to the network. */
bool ip_network_has(const IpNetwork *network, const uint8_t *address);

/* Whether all addresses of @inner belong to @outer; their families may differ. */
bool ip_network_contains(const IpNetwork *outer, const IpNetwork *inner);

/* Writes the network as text, with its prefix. Returns @buffer. */
const char *ip_network_format(const IpNetwork *network, char buffer[static IP_NETWORK_TEXT_MAX]);
