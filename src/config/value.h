/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Types of settings. */

typedef enum BootMode { BOOT_AUTO, BOOT_YES, BOOT_NO, BOOT_EAGER } BootMode;
/* When images of registries are fetched, in GitLab's words. */
typedef enum PullPolicy { PULL_NEVER, PULL_IF_NOT_PRESENT, PULL_ALWAYS, PULL_INVALID } PullPolicy;

PullPolicy pull_policy_parse(const char *text);
/* Who shares GitLab's caches, and how long a working copy lives. */
typedef enum CacheMode { CACHE_PROJECT, CACHE_SHARED, CACHE_NONE } CacheMode;
typedef enum BuildsMode { BUILDS_EPHEMERAL, BUILDS_PERSISTENT } BuildsMode;
/* How private networks get out. */
typedef enum WayOut { WAY_OUT_AUTO, WAY_OUT_NAT, WAY_OUT_PASTA } WayOut;
typedef enum NetworkMode { NETWORK_HOST, NETWORK_NONE, NETWORK_PRIVATE } NetworkMode;

/* The limits for the prefix of the setting network_pool. A job gets 64 addresses. */
#define NETWORK_POOL_PREFIX_MIN 10
#define NETWORK_POOL_PREFIX_MAX 26

/* How many generations of an image are kept by default, including the current one. */
#define GENERATIONS_KEPT 2

/* A size that may depend on the host's memory, or on a file system: "512M", "30%", "infinity". */
typedef struct MemorySize {
        uint64_t bytes;     /* UINT64_MAX: no limit; meaningless while permyriad is not 0 */
        unsigned permyriad; /* hundredths of a percent of the whole, as in systemd; 0: @bytes is the size */
} MemorySize;

/* Containers get users and groups in blocks of this size, which is systemd's. */
#define UID_BLOCK UINT32_C(65536)
/* The most that one container can get. */
#define UID_RANGE_MAX (64 * UID_BLOCK)

/* Returns @size in bytes: the size itself, or its share of @whole_bytes. */
uint64_t memory_size_of(MemorySize size, uint64_t whole_bytes);

/* Returns the bytes that @size stands for on this host, as a share of its memory; UINT64_MAX: no limit. */
uint64_t memory_size_bytes(MemorySize size);
