/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides what maintenance has to do with an image, from facts that its callers (make.c and forecast.c) have already
 * read. It must not touch a tree. */

#include "maintain/decide.h"

#include <inttypes.h>

#include "base/string.h"
#include "source/source.h"

int decide_base_digest(const Image *base, char **ret) {
        _cleanup_generation_ Generation *known = NULL;

        int r = generation_load_of(base, &known);
        if (r < 0)
                return r;
        return string_printf(ret, "%s@%" PRIu64 " of %" PRIu64, base->name, known->number, known->updated_usec);
}

int decide_from_source(const Decision *decision, bool *ret) {
        const Definition *definition = decision->definition;
        const Generation *known = decision->known;
        _cleanup_free_ char *digest = NULL;
        int r;

        /* An image made by hand has no source: it is only updated, if that is possible. */
        *ret = !known || definition->recreate || (known->source && !streq_null(known->source, decision->description));
        switch (definition->source.kind) {
        case SOURCE_NONE:
                *ret = false;
                return 0;
        case SOURCE_SUITE:
        case SOURCE_COMMAND:
                if (*ret)
                        return 0;
                r = source_recipe(&definition->source, &digest);
                if (r < 0)
                        return r;
                *ret = known->digest && !streq(known->digest, digest);
                return 0;
        case SOURCE_OCI:
        case SOURCE_TARBALL:
                *ret = true;
                return 0;
        case SOURCE_FROM:
                if (*ret)
                        return 0;
                r = decide_base_digest(decision->base, &digest);
                if (r < 0)
                        return r;
                *ret = !streq_null(digest, known->digest);
                return 0;
        }
        return -EINVAL;
}

bool decide_can_be_updated(const Definition *definition) {
        return definition->has_tasks || definition->source.kind == SOURCE_SUITE;
}
