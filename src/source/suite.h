/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A distribution that images can be made of. All else, mirrors too, comes from the host's apt and the builder's own
 * defaults. */
typedef struct Distribution {
        const char *name;       /* ID of os-release */
        const char *label;      /* for people */
        const char *components; /* of the archive, with commas */
        const char *keyring;    /* the archive's keys; the path is the same on the host and in the image */
        const char *keyring_package;
        const char *keyring_url; /* of a directory that has this package, for hosts of other distributions */
        const char *archive;     /* last part of the path of its official archive and mirrors */
        bool default_security;   /* security updates for debootstrap's default mirror are in "<mirror>-security" (else:
                                     * on the mirror itself) */
        const char *const *rolling; /* suites without updates and security of their own */
} Distribution;

/* The host itself, as os-release says. Strings may be NULL. */
typedef struct HostSystem {
        char *id, *codename;
} HostSystem;

void host_system_done(HostSystem *host);
/* @text is the content of an os-release file. A derivative gets the codename of the distribution that it derives from, if
 * the file has that. 0 or -ENOMEM. */
int host_system_parse(const char *text, HostSystem *ret);
/* Reads /etc/os-release, or else /usr/lib/os-release. 0, and @ret is for host_system_done(); -ENOENT: there is neither; or
 * another -errno. */
int host_system_read(HostSystem *ret);

/* Can @suite be the name of a suite? Such names go into URLs and command lines. */
bool suite_name_valid(const char *suite);

/* The distribution that has @suite: NULL when nothing on this host knows it. Asks os-release, the tables of package
 * distro-info-data, debootstrap's scripts and a short list of our own. */
const Distribution *suite_distribution(const char *suite, const HostSystem *host);

/* The names of all suites that this host's tables and our list know, sorted. *ret is for strv_free(). 0 or -ENOMEM. */
int suite_list(char ***ret);

/* The suite that @typed may have meant, to be freed; NULL: none is near. */
char *suite_nearest(const char *typed);

/* True for suites that have no updates and no security archive of their own. */
bool suite_is_rolling(const Distribution *distribution, const char *suite);
