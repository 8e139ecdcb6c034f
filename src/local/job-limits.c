/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says what a job asks for that no run on this machine can do, so that nobody relies on it. Called by the process of
 * a job, once for each. Pure: it only finds the words, and never keeps a job from running. */

#include "base/string.h"
#include "local/job.h"

static const struct {
        const char *keyword, *what;
} limits[] = {
        { "secrets", "the job gets no secrets of a vault: give variables with --variable or --variable-file" },
        { "id_tokens", "there is no server that signs tokens: give variables with --variable or --variable-file" },
        { "identity", "there is no server that knows this job" },
        { "release", "no release is made" },
        { "environment", "nothing is recorded as deployed; the script runs, with CI_ENVIRONMENT_NAME" },
        { "pages", "nothing is published; the files are in the job's artifacts" },
        { "dast_configuration", "there is no profile for it" },
};

/* A job with this name is one of Pages without saying so. */
static bool asks_for(const LocalJob *job, const char *keyword) {
        const Value *value = map_get_set(job->job->config, keyword);

        if (value_is(value, VALUE_BOOLEAN))
                return value->boolean;
        return value || (streq(keyword, "pages") && streq(job->job->name, "pages"));
}

const char *local_limit(const LocalJob *job, size_t i) {
        for (size_t k = 0; k < ELEMENTSOF(limits); k++)
                if (asks_for(job, limits[k].keyword) && i-- == 0)
                        return arena_printf(job->arena, "'%s' does not work here: %s", limits[k].keyword,
                                            limits[k].what);
        return NULL;
}
