/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds what is installed with the program: the agent and the library for systemd-nspawn. The planner asks, and `doctor`.
 * Both go where root's processes execute them, so no place is looked into that only the environment or the current
 * directory names. */

#include "machine/part.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/string.h"
#include "preload/userns-owner.h"

void part_places_done(PartPlaces *places) {
        free(places->beside);
        free(places->moved);
        free(places->installed);
}

/* The directory of the program without the last part of it, BINDIR_IN_PREFIX: the prefix, to be freed. 0; -ENOENT: the
 * program is in no such directory; or -ENOMEM. */
static int prefix_of(const char *directory, char **ret) {
        const char *bin = "/" BINDIR_IN_PREFIX;
        size_t n = strlen(directory), n_bin = strlen(bin);

        if (!bin[1] || n < n_bin || !streq(directory + n - n_bin, bin))
                return -ENOENT;
        char *prefix = strndup(directory, n - n_bin);
        if (!prefix)
                return -ENOMEM;
        *ret = prefix;
        return 0;
}

int part_places(const char *directory, const char *name, PartPlaces *ret) {
        _cleanup_part_places_ PartPlaces places = { 0 };
        _cleanup_free_ char *prefix = NULL;

        if (string_printf(&places.beside, "%s/%s", directory, name) < 0 ||
            string_printf(&places.installed, LIBEXECDIR "/%s", name) < 0)
                return -ENOMEM;
        int r = prefix_of(directory, &prefix);
        if (r == 0)
                r = string_printf(&places.moved, "%s/" LIBEXECDIR_IN_PREFIX "/%s", prefix, name);
        if (r == -ENOMEM)
                return r;
        *ret = places;
        places = (PartPlaces){ 0 };
        return 0;
}

static int find(const char *name, int mode, char **ret) {
        _cleanup_free_ char *self = NULL, *directory = NULL;
        _cleanup_part_places_ PartPlaces places = { 0 };

        int r = own_executable(&self, &directory);
        if (r < 0)
                return r;
        r = part_places(directory, name, &places);
        if (r < 0)
                return r;
        char **list[] = { &places.beside, &places.moved, &places.installed };
        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                if (*list[i] && access(*list[i], mode) >= 0) {
                        *ret = TAKE_PTR(*list[i]);
                        return 0;
                }
        return -ENOENT;
}

int part_find_agent(char **ret) {
        return find(PART_AGENT, X_OK, ret);
}

int part_find_preload(char **ret) {
        _cleanup_free_ char *path = NULL;

        int r = find(USERNS_OWNER_LIBRARY, R_OK, &path);
        if (r < 0)
                return r;
        if (strpbrk(path, ": ")) /* these separate paths in LD_PRELOAD */
                return -ENOENT;
        *ret = TAKE_PTR(path);
        return 0;
}
