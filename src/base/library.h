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
 *      r = library_load(LIBRARY_BTRFSUTIL, names, (void **) &btrfs); */
#define LIBRARY_POINTER(function) typeof(&function) function;
#define LIBRARY_NAME(function) #function,

/* All of them: id, soname, package in Debian 12, who needs it, and what for. Who needs it is one of
 *
 *      SECCOMP, SYSTEMD, PRIVATE_NETWORK   jobs with the default settings, see doctor/libraries.c
 *      BTRFS                               jobs where the images are on btrfs
 *      COMMANDS                            some commands, and no job
 *
 * `doctor` has a line for each, and Debian's package depends on the first and recommends the others: debian/library-depends
 * reads these lines. */
#define LIBRARIES(X)                                                                                                  \
        X(SECCOMP, "libseccomp.so.2", "libseccomp2", SECCOMP, "it makes the filter of system calls")                  \
        X(SYSTEMD, "libsystemd.so.0", "libsystemd0", SYSTEMD, "it makes jobs services of systemd")                    \
        X(MNL, "libmnl.so.0", "libmnl0", PRIVATE_NETWORK, "it makes the networks of jobs")                            \
        X(NFTABLES, "libnftables.so.1", "libnftables1", PRIVATE_NETWORK, "it makes the rule by which jobs get out")   \
        X(BTRFSUTIL, "libbtrfsutil.so.1", "libbtrfsutil1", BTRFS, "it makes snapshots where the images are on btrfs") \
        X(SMARTCOLS, "libsmartcols.so.1", "libsmartcols1", COMMANDS, "it prints chroot-list and status as tables")    \
        X(PCRE2, "libpcre2-8.so.0", "libpcre2-8-0", COMMANDS, "exec evaluates patterns in rules with it")             \
        X(ARCHIVE, "libarchive.so.13", "libarchive13", COMMANDS, "exec keeps caches and artifacts with it")           \
        X(EXPAT, "libexpat.so.1", "libexpat1", COMMANDS, "exec reads reports of tests with it")

#define LIBRARY_ID(id, soname, package, needed_by, why) LIBRARY_##id,
typedef enum Library { LIBRARIES(LIBRARY_ID) _LIBRARY_MAX } Library;

/* The name by which the dynamic linker finds it, such as "libseccomp.so.2". Static. */
const char *library_soname(Library library);

/* Loads @library, which stays loaded, and stores the addresses of @names (NULL-terminated) in @ret_functions, in that
 * order. 0; -ENOENT: the library is not installed; -ELIBBAD: it lacks a function. */
int library_load(Library library, const char *const names[], void **ret_functions);
