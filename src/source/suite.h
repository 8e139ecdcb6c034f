/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What is known of a distribution that images can be made of: all the rest, mirrors too, is left to the host's apt and
 * to the builder's own defaults. */
typedef struct Distribution {
        const char *name;       /* ID of os-release */
        const char *label;      /* for people */
        const char *components; /* of the archive, with commas */
        const char *keyring;    /* the archive's keys: the same path on a host that has them and in the image */
        const char *keyring_package;
        const char *archive;        /* last part of the path of its official archive and mirrors */
        bool default_security;      /* debootstrap's own default mirror has the security updates beside it in
                                 * "<mirror>-security" (else: on the mirror itself) */
        const char *const *rolling; /* suites without updates and security of their own */
} Distribution;

/* The host itself, as os-release says. Strings may be NULL. */
typedef struct HostSystem {
        char *id, *codename;
} HostSystem;

void host_system_done(HostSystem *host);
/* @text is the content of an os-release file. Of a derivative, the codename of what it derives from counts, where it
 * says that. 0 or -ENOMEM. */
int host_system_parse(const char *text, HostSystem *ret);
/* Reads /etc/os-release or /usr/lib/os-release. After 0, call host_system_done(). 0; -ENOENT: there is neither; or
 * another -errno. */
int host_system_read(HostSystem *ret);

/* True if @suite can be the name of a suite at all: it goes into URLs and command lines. */
bool suite_name_valid(const char *suite);

/* The distribution that has @suite: NULL when nothing on this host knows it. Asks os-release, the tables of package
 * distro-info-data, debootstrap's scripts and a short list of our own. */
const Distribution *suite_distribution(const char *suite, const HostSystem *host);

/* True for suites that have no updates and no security archive of their own. */
bool suite_is_rolling(const Distribution *distribution, const char *suite);
