/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Libraries that only some commands need are loaded when they are first used: each one linked costs every start of the
 * program, and GitLab Runner starts it a dozen times in a job.
 *
 * A user lists its functions in an X macro and gets a struct of typed pointers:
 *
 *      #define BTRFS_FUNCTIONS(X) X(btrfs_util_create_snapshot) X(btrfs_util_delete_subvolume)
 *      typedef struct BtrfsLibrary { BTRFS_FUNCTIONS(LIBRARY_POINTER) } BtrfsLibrary;
 *      static const char *const names[] = { BTRFS_FUNCTIONS(LIBRARY_NAME) NULL };
 *      static BtrfsLibrary btrfs;
 *      r = library_load("libbtrfsutil.so.1", names, (void **) &btrfs); */
#define LIBRARY_POINTER(function) typeof(&function) function;
#define LIBRARY_NAME(function) #function,

/* Loads @soname, which stays loaded, and stores the addresses of @names (NULL-terminated) in @ret_functions, in that
 * order. 0; -ENOENT: the library is not installed; -ELIBBAD: it lacks a function. */
int library_load(const char *soname, const char *const names[], void **ret_functions);
