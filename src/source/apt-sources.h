/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "source/suite.h"

/* One place where the host's apt gets packages, so that images come from the same mirrors. */
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

/* These two append the enabled binary sources of a file's @text in one-line style (sources.list) or in deb822 style
 * (*.sources). Entries that they do not understand are skipped. 0 or -ENOMEM. */
int apt_sources_parse_list(const char *text, AptSources *sources);
int apt_sources_parse_deb822(const char *text, AptSources *sources);

/* Reads sources.list and sources.list.d/ of @directory (such as /etc/apt), as far as they are there and apt itself could read
 * them. 0; or -errno, so that no mirror is left out because a directory cannot be read to its end. */
int apt_sources_read(const char *directory, AptSources *ret);

/* Where packages for images of a distribution come from. A NULL field stands for the builder's own default. */
typedef struct Mirror {
        char *archive;
        char *security;
        char *keyring; /* file with the keys that sign the archive and its security updates; NULL: the distribution's
                        * own */
} Mirror;

void mirror_done(Mirror *mirror);
#define _cleanup_mirror_ _cleanup_(mirror_done)

/* Picks from @sources the mirrors of @distribution; the host runs its suite @codename. Other archives for that suite do
 * not count. 0 or -ENOMEM; *ret is empty if no source fits. */
int mirror_pick(const AptSources *sources, const Distribution *distribution, const char *codename, Mirror *ret);

/* Replaces the archive of @mirror, which is the host's own mirror or empty, with @archive. Security updates still come
 * from where the host gets them, unless the distribution has them on every mirror. Keys for another archive are
 * dropped. 0 or -ENOMEM. */
int mirror_replace(Mirror *mirror, const Distribution *distribution, const char *archive);

/* Makes the lines of a sources.list for @suite and @components (with commas), its updates and, if @mirror has them, its
 * security updates. *ret_lines is for strv_free(). 0 or -ENOMEM. */
int mirror_sources_list(const Mirror *mirror, const Distribution *distribution, const char *suite,
                        const char *components, char ***ret_lines);
