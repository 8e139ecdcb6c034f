/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

/* The addresses of one job's segment: a block of 64 IPv4 addresses, and the IPv6 network that belongs to it.
 *      1       the hub, which is the containers' gateway
 *      2       the job's own container
 *      3 to 62 other containers of the job
 * IPv6 addresses end with the same numbers. */
typedef struct AddressBlock {
        uint32_t base;             /* IPv4, in the host's byte order */
        IpNetwork pool, network;   /* IPv4: the network that the block is a part of, and the block */
        IpNetwork pool6, network6; /* the same for IPv6 */
} AddressBlock;

#define BLOCK_PREFIX 26
#define BLOCK_PREFIX6 64
#define BLOCK_HUB 1
#define BLOCK_JOB 2
#define BLOCK_MACHINE_MAX 62

/* Returns pool @i to take blocks from with `network_pool: auto`, which uses the first of them that the host does not
 * use. NULL after the last. Static. */
const char *block_default_pool(size_t i);

/* Returns how many blocks are in @pool (IPv4). */
uint32_t block_count(const IpNetwork *pool);

/* Computes block @i of @pool (IPv4). Its IPv6 network is a unique local one (RFC 4193): 24 bits of it are made from
 * @host_key, which is the same for all jobs of a host; the other bits are the block's IPv4 address. */
void block_init(AddressBlock *block, const IpNetwork *pool, uint32_t i, const char *host_key);

/* Returns the address with that number in the block: with @whole, with a prefix of all its bits; else with the block's
 * prefix. */
IpNetwork block_address(const AddressBlock *block, int family, unsigned number, bool whole);
