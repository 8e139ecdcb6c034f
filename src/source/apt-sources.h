/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "source/suite.h"

/* What the host's apt takes its own distribution from, so that images come over the same mirrors. */
typedef struct AptSource {
        char *uri;
        char *suite;
        char **components;
        char *keyring; /* path of Signed-By, or NULL */
} AptSource;

typedef struct AptSources {
        AptSource *sources;
        size_t n;
} AptSources;

void apt_sources_done(AptSources *sources);
#define _cleanup_apt_sources_ _cleanup_(apt_sources_done)

/* Append the enabled binary sources of a file in one-line style (sources.list) or in deb822 style (*.sources). What is
 * not understood is skipped: it is apt's business. 0 or -ENOMEM. */
int apt_sources_parse_list(const char *text, AptSources *sources);
int apt_sources_parse_deb822(const char *text, AptSources *sources);

/* Reads sources.list and sources.list.d/ of @directory (such as /etc/apt). 0 or -ENOMEM. */
int apt_sources_read(const char *directory, AptSources *ret);

/* Where images of a distribution come from. Both may be NULL: the builder's own default then. */
typedef struct Mirror {
        char *archive;
        char *security;
        char *keyring; /* that signs them; NULL: the distribution's own */
} Mirror;

void mirror_done(Mirror *mirror);
#define _cleanup_mirror_ _cleanup_(mirror_done)

/* Picks from @sources those of @distribution itself, of which the host runs suite @codename, and not what others
 * provide for the same suite. 0 or -ENOMEM; *ret is empty where nothing fits. */
int mirror_pick(const AptSources *sources, const Distribution *distribution, const char *codename, Mirror *ret);

/* Makes @archive the one that @mirror, the host's own or an empty one, stands for. Security updates still come from
 * where the host has them, unless the distribution has them on every mirror; keys for another archive are forgotten.
 * 0 or -ENOMEM. */
int mirror_replace(Mirror *mirror, const Distribution *distribution, const char *archive);

/* The lines of a sources.list for @suite and @components (with commas): with its updates and, where @mirror has them,
 * security updates. *ret_lines is for strv_free(). 0 or -ENOMEM. */
int mirror_sources_list(const Mirror *mirror, const Distribution *distribution, const char *suite,
                        const char *components, char ***ret_lines);
