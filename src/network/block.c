/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Computes the addresses of a job's segment, for hub.c and for machine/segment.c, which gives containers their numbers.
 * This is only arithmetic: nothing here may look at the host or reserve addresses. */

#include "network/block.h"

#include <string.h>

#include "base/hash.h"

/* Private networks of IPv4 (RFC 1918, and RFC 2544's for measurements) that Docker, podman, libvirt, LXD and Kubernetes
 * do not use by default. */
static const char *const default_pools[] = { "10.213.0.0/16", "172.30.0.0/16", "198.18.0.0/16", NULL };

const char *block_default_pool(size_t i) {
        return i < ELEMENTSOF(default_pools) ? default_pools[i] : NULL;
}

uint32_t block_count(const IpNetwork *pool) {
        return UINT32_C(1) << (BLOCK_PREFIX - pool->prefix);
}

static void set_address4(IpNetwork *network, uint32_t address, unsigned prefix) {
        *network = (IpNetwork){ .family = AF_INET, .prefix = prefix };
        for (unsigned i = 0; i < 4; i++)
                network->address[i] = (uint8_t) (address >> (24 - 8 * i));
}

void block_init(AddressBlock *block, const IpNetwork *pool, uint32_t i, const char *host_key) {
        static const uint8_t key[16] = "nspawn-runner-v6";
        uint32_t base = 0;
        Hash hash;

        for (unsigned n = 0; n < 4; n++)
                base = base << 8 | pool->address[n];
        *block = (AddressBlock){ .base = base + (i << (32 - BLOCK_PREFIX)), .pool = *pool };
        set_address4(&block->network, block->base, BLOCK_PREFIX);

        hash_init(&hash, key);
        hash_string(&hash, host_key);
        uint64_t ours = hash_finish(&hash);
        block->pool6 = (IpNetwork){ .family = AF_INET6, .prefix = 32 };
        block->pool6.address[0] = 0xfd;
        memcpy(block->pool6.address + 1, &ours, 3);
        block->network6 = block->pool6;
        block->network6.prefix = BLOCK_PREFIX6;
        memcpy(block->network6.address + 4, block->network.address, 4);
}

IpNetwork block_address(const AddressBlock *block, int family, unsigned number, bool whole) {
        IpNetwork address = family == AF_INET ? block->network : block->network6;

        address.address[family == AF_INET ? 3 : 15] |= (uint8_t) number;
        if (whole)
                address.prefix = family == AF_INET ? 32 : 128;
        return address;
}
