/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "tree/usage.h"

/* What is below root_dir, as `df` shows it. */

/* A row: @kind is such as "image" or "trash"; @name is the image's, or for kinds of which there is one row how many there are,
 * as in "(3)". With @tree NULL it is no row: something of this kind could not be measured, and that was logged. 0, or -errno
 * to end. */
typedef int (*DiskUsageRow)(const char *kind, const char *name, const UsageOfTree *tree, void *userdata);

/* Walks through all trees below @root_dir, which may take minutes, and calls @row for each image, generation and image of a
 * registry, and once for each other kind of which there is something. What cannot be measured is logged and left out.
 * *ret_total gets the bytes of all that was measured, shared data counted once. Only root can look into all directories. 0;
 * DISK_USAGE_LACKS: something was left out; or -errno: of @row, or there was no memory. */
#define DISK_USAGE_LACKS 1
int disk_usage_measure(const char *root_dir, DiskUsageRow row, void *userdata, uint64_t *ret_total);
