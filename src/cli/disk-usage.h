/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "tree/usage.h"

/* What is below root_dir, as `df` shows it. */

typedef enum DiskUsageKind {
        DISK_USAGE_REGISTRY_IMAGES,
        DISK_USAGE_CACHES,
        DISK_USAGE_WORKING_COPIES,
        DISK_USAGE_IMAGES,
        DISK_USAGE_GENERATIONS,
        DISK_USAGE_LAYERS,
        DISK_USAGE_KEPT_TREES,
        DISK_USAGE_PUSHED_IMAGES,
        DISK_USAGE_BEING_MADE,
        DISK_USAGE_TRASH,
        DISK_USAGE_LOGS,
        DISK_USAGE_KINDS,
} DiskUsageKind;

typedef struct DiskUsageName {
        const char *row;   /* in the table of `df` */
        const char *label; /* in the metrics */
} DiskUsageName;

extern const DiskUsageName disk_usage_names[DISK_USAGE_KINDS];

/* A row: @name is the image's, or for kinds of which there is one row how many there are, as in "(3)". With @tree NULL it is no
 * row: something of this kind could not be measured, and that was logged. 0, or -errno to end. */
typedef int (*DiskUsageRow)(DiskUsageKind kind, const char *name, const UsageOfTree *tree, void *userdata);

/* Walks through all trees below @root_dir, which may take minutes, and calls @row for each image, generation and image of a
 * registry, and once for each other kind of which there is something. Generations are those of all directories of images
 * (maintain/image-roots.h), and so is what is being made. What cannot be measured is logged and left out.
 * *ret_total gets the bytes of all that was measured, shared data counted once. Only root can look into all directories. 0;
 * DISK_USAGE_LACKS: something was left out; or -errno: of @row, or there was no memory. */
#define DISK_USAGE_LACKS 1
int disk_usage_measure(const char *root_dir, DiskUsageRow row, void *userdata, uint64_t *ret_total);
