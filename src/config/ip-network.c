/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads and writes networks as text, for the checks of settings and for the code that carries them out. It must look
 * only at the text, never at the host. */

#include "config/ip-network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/string.h"

/* Is a bit set behind the first @prefix bits? */
static bool has_host_bits(const uint8_t *address, unsigned prefix, unsigned width) {
        for (unsigned bit = prefix; bit < width; bit++)
                if (address[bit / 8] & (0x80 >> bit % 8))
                        return true;
        return false;
}

int ip_network_parse(const char *text, IpNetwork *ret) {
        char address[INET6_ADDRSTRLEN];
        size_t n = strcspn(text, "/");
        IpNetwork network = { .family = memchr(text, ':', n) ? AF_INET6 : AF_INET };
        unsigned width = network.family == AF_INET ? 32 : 128;
        uint64_t prefix = width;

        if (n >= sizeof(address))
                return -EINVAL;
        memcpy(address, text, n);
        address[n] = 0;
        if (inet_pton(network.family, address, network.address) != 1)
                return -EINVAL;
        if (text[n] && (parse_uint64(text + n + 1, &prefix) < 0 || prefix > width))
                return -EINVAL;
        network.prefix = (unsigned) prefix;
        if (has_host_bits(network.address, network.prefix, width))
                return -EINVAL;
        *ret = network;
        return 0;
}

bool ip_network_has(const IpNetwork *network, const uint8_t *address) {
        for (unsigned bit = 0; bit < network->prefix; bit++)
                if ((network->address[bit / 8] ^ address[bit / 8]) & (0x80 >> bit % 8))
                        return false;
        return true;
}

bool ip_network_contains(const IpNetwork *outer, const IpNetwork *inner) {
        return outer->family == inner->family && outer->prefix <= inner->prefix &&
               ip_network_has(outer, inner->address);
}

const char *ip_network_format(const IpNetwork *network, char buffer[static IP_NETWORK_TEXT_MAX]) {
        char address[INET6_ADDRSTRLEN] = "";

        (void) inet_ntop(network->family, network->address, address, sizeof(address));
        snprintf(buffer, IP_NETWORK_TEXT_MAX, "%s/%u", address, network->prefix);
        return buffer;
}
