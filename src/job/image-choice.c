/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which image a job gets, and whether the administrator allows that. `prepare` calls this, and `doctor` asks
 * about images that give away the host's root. Only names are looked at here: the caller finds out whether there is
 * such an image. */

#include "job/image-choice.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "config/image-reference.h"

ImageChoice image_choice_make(const Settings *settings, const JobSpec *job, const char *forced, const char *fallback) {
        if (forced)
                return (ImageChoice){ .name = forced, .source = IMAGE_FORCED };
        if (!isempty(job->image.name))
                return (ImageChoice){ job->image.name, IMAGE_OF_JOB, job->image.pull_policies };
        return (ImageChoice){ .name = fallback ? fallback : settings->default_image, .source = IMAGE_DEFAULT };
}

/* A registry chooses what its tags stand for, and whoever may push there chooses what digests it has: a digest makes any
 * tag beside it meaningless. So a pattern that does not mention '@' stands for a digest only if it allows every tag of
 * that repository: it ends with '*', and fits the name without its tag. @name is a reference with a digest. */
static bool allows_each_tag(const char *glob, const char *name) {
        char repository[FILENAME_MAX];
        size_t n = image_reference_repository_length(name);

        if (strchr(glob, '@') || !endswith(glob, "*") || n >= sizeof(repository))
                return false;
        snprintf(repository, sizeof(repository), "%.*s", (int) n, name);
        return fnmatch(glob, repository, 0) == 0;
}

/* The registry is compared separately: a '*' for a part of its name, or of the name of an image of this host, must
 * not match the rest of a registry that the job chose. */
static bool matches(const char *glob, const char *name) {
        size_t glob_length = strcspn(glob, "/"), name_length = strcspn(name, "/");
        char glob_registry[FILENAME_MAX], name_registry[FILENAME_MAX];

        if (!glob[glob_length] != !name[name_length] || glob_length >= sizeof(glob_registry) ||
            name_length >= sizeof(name_registry))
                return false;
        snprintf(glob_registry, sizeof(glob_registry), "%.*s", (int) glob_length, glob);
        snprintf(name_registry, sizeof(name_registry), "%.*s", (int) name_length, name);
        if (fnmatch(glob_registry, name_registry, 0) != 0 || fnmatch(glob + glob_length, name + name_length, 0) != 0)
                return false;
        /* Behind the '@' of an image of this host is a generation. */
        return !name[name_length] || !strchr(name, '@') || strchr(glob, '@') || allows_each_tag(glob, name);
}

/* The patterns for what a job names. What the administrator named needs none. */
static char **patterns_for(const Settings *settings, ImageSource source) {
        return source == IMAGE_OF_JOB     ? settings->allowed_images :
               source == IMAGE_OF_SERVICE ? settings->allowed_services :
                                            NULL;
}

bool image_choice_is_allowed(const Settings *settings, const ImageChoice *choice) {
        char **patterns = patterns_for(settings, choice->source);

        if (strv_length(patterns) == 0)
                return true;
        for (char **glob = patterns; *glob; glob++)
                if (matches(*glob, choice->name))
                        return true;
        return false;
}

bool image_choice_host_root_allowed(const Settings *settings, ImageSource source, const char *name) {
        if (source != IMAGE_OF_JOB && source != IMAGE_OF_SERVICE)
                return true;
        for (char **entry = patterns_for(settings, source); entry && *entry; entry++)
                if (streq(*entry, name))
                        return true;
        return false;
}
