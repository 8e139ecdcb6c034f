/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Below a tree: dpkg's file with the state of each package. And the most that is read of such a file. */
#define DPKG_STATUS "var/lib/dpkg/status"
#define PACKAGES_FILE_BYTES_MAX ((size_t) 256 * 1024 * 1024)

/* The packages that are installed in a tree, from the files of dpkg, apk or pacman. */
typedef struct Package {
        char *name; /* with ":architecture" if that is not the tree's own */
        char *version;
} Package;

typedef struct PackageList {
        Package *packages; /* sorted by name */
        size_t n;
} PackageList;

void package_list_done(PackageList *list);
#define _cleanup_package_list_ _cleanup_(package_list_done)

/* Reads the packages of the tree @tree_fd; follows no symlink out of it. 0 with @ret for package_list_done(); -ENOENT:
 * the tree has none of these package managers; or another -errno. */
int packages_read(int tree_fd, PackageList *ret);

/* Reads @text of @size bytes, the content of dpkg's status file; leaves out what is not in its format. 0 with @ret for
 * package_list_done(), or -ENOMEM. */
int packages_parse_dpkg(const char *text, size_t size, PackageList *ret);

/* The same for apk's list of what is installed. */
int packages_parse_apk(const char *text, size_t size, PackageList *ret);
