/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The packages that are installed in a tree, as its package manager's own files have it: dpkg, apk and pacman. */
typedef struct Package {
        char *name; /* with ":architecture" where that is a foreign one */
        char *version;
} Package;

typedef struct PackageList {
        Package *packages; /* sorted by name */
        size_t n;
} PackageList;

void package_list_done(PackageList *list);
#define _cleanup_package_list_ _cleanup_(package_list_done)

/* The packages of the tree @tree_fd; symlinks are resolved inside it. After 0, call package_list_done(). 0; -ENOENT
 * when it has none of those package managers; or -errno. */
int packages_read(int tree_fd, PackageList *ret);

/* dpkg's status file, @text of @size bytes. 0 or -ENOMEM; what is not of its format is left out. */
int packages_parse_dpkg(const char *text, size_t size, PackageList *ret);

/* apk's list of what is installed: likewise. */
int packages_parse_apk(const char *text, size_t size, PackageList *ret);
