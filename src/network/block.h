/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

/* The addresses of one job's segment: 64 of IPv4, and a network of IPv6 that goes with them.
 *      1       the hub, which is the containers' gateway
 *      2       the job's own container
 *      3 to 62 other containers of the job
 * The same numbers are the last part of addresses of IPv6. */
typedef struct AddressBlock {
        uint32_t base;             /* of IPv4, in the host's order */
        IpNetwork pool, network;   /* IPv4: what the block is a part of, and the block */
        IpNetwork pool6, network6; /* the same of IPv6 */
} AddressBlock;

#define BLOCK_PREFIX 26
#define BLOCK_PREFIX6 64
#define BLOCK_HUB 1
#define BLOCK_JOB 2
#define BLOCK_MACHINE_MAX 62

/* Where blocks are taken from with `network_pool: auto`: the first of these that the host does not use. NULL after the
 * last. */
const char *block_default_pool(size_t i);

/* How many blocks are in @pool (IPv4). */
uint32_t block_count(const IpNetwork *pool);

/* Block @i of @pool. The network of IPv6 is one of the unique local ones (RFC 4193): 24 bits of it are made from
 * @host_key, which is the same for all jobs of a host, the others are the block's address of IPv4. */
void block_init(AddressBlock *block, const IpNetwork *pool, uint32_t i, const char *host_key);

/* The address with that number; with the block's prefix, or with all bits. */
IpNetwork block_address(const AddressBlock *block, int family, unsigned number, bool whole);
