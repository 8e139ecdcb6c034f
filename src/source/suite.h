/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A distribution that images can be made of. Everything else, also mirrors, comes from the host's apt and the builder's
 * own defaults. */
typedef struct Distribution {
        const char *name;       /* ID of os-release */
        const char *label;      /* for people */
        const char *components; /* of the archive, with commas */
        const char *keyring;    /* path of the archive's keys, on the host and in the image */
        const char *keyring_package;
        const char *keyring_url; /* of a directory that has this package, for hosts of other distributions */
        const char *archive;     /* last part of the path of its official archive and mirrors */
        bool default_security;   /* security updates for debootstrap's default mirror are in "<mirror>-security" (else:
                                     * on the mirror itself) */
        const char *const *rolling; /* suites without updates and security of their own */
} Distribution;

/* The host's own system, as its os-release describes it. Strings may be NULL. */
typedef struct HostSystem {
        char *id, *codename;
} HostSystem;

void host_system_done(HostSystem *host);
/* Parses @text, the content of an os-release file. A derivative gets the codename of the distribution that it derives
 * from, if the file has it. 0 with @ret for host_system_done(), or -ENOMEM. */
int host_system_parse(const char *text, HostSystem *ret);
/* Reads /etc/os-release, or else /usr/lib/os-release. 0, and @ret is for host_system_done(); -ENOENT: there is neither; or
 * another -errno. */
int host_system_read(HostSystem *ret);

/* Can @suite be the name of a suite? Such names go into URLs and command lines. */
bool suite_name_valid(const char *suite);

/* Finds the distribution that has @suite; NULL: nothing on this host knows the suite. Asks os-release, the tables of
 * package distro-info-data, debootstrap's scripts and a short list of our own. */
const Distribution *suite_distribution(const char *suite, const HostSystem *host);

/* Lists the names of all suites that this host's tables and our list know, sorted. *ret is for strv_free(). 0 or
 * -ENOMEM. */
int suite_list(char ***ret);

/* Returns the suite that @typed may have meant, to be freed; NULL: no name is near, or memory ran out. */
char *suite_nearest(const char *typed);

/* True for suites that have no updates and no security archive of their own. */
bool suite_is_rolling(const Distribution *distribution, const char *suite);
