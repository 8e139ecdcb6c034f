/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides when the image of a job or service is fetched: what the administrator says, and within that the job. `prepare`
 * calls this before it opens an image. Nothing is fetched here. */

#include "job/pull.h"

#include "base/string.h"

void pull_choice_done(PullChoice *choice) {
        strv_free(choice->policies);
        choice->policies = NULL;
}

static bool has(char *const *policies, const char *policy) {
        for (; policies && *policies; policies++)
                if (streq(*policies, policy))
                        return true;
        return false;
}

bool pull_fetches(const Settings *settings) {
        return has(settings->pull, "if-not-present") || has(settings->pull, "always");
}

/* The policy that a job gets when it asks for @wanted; NULL: none. */
static const char *grant(const Settings *settings, const char *wanted) {
        if (settings->allowed_pull_policies)
                return has(settings->allowed_pull_policies, wanted) ? wanted : NULL;
        /* A job cannot get an image that the registry has lost, or refuses to this runner, by not asking the
         * registry. */
        bool may_not_ask = !pull_fetches(settings) || has(settings->pull, "if-not-present") ||
                           has(settings->pull, "never");
        if (streq(wanted, "never"))
                return may_not_ask ? wanted : NULL;
        if (!pull_fetches(settings))
                return NULL;
        if (streq(wanted, "always"))
                return wanted;
        return !streq(wanted, "if-not-present") ? NULL : has(settings->pull, "if-not-present") ? wanted : "always";
}

int pull_choose(const Settings *settings, char *const *wanted, PullChoice *ret) {
        _cleanup_pull_choice_ PullChoice choice = { 0 };

        for (; wanted && *wanted; wanted++) {
                const char *granted = grant(settings, *wanted);
                /* Each makes a registry be asked once, however often the job names it. */
                bool is_new = granted && !has(choice.policies, granted);
                int r = is_new ? strv_extend(&choice.policies, granted) : 0;
                if (r < 0)
                        return r;
                if (!granted && !choice.refused)
                        choice.refused = *wanted;
        }
        choice.of_job = choice.policies;
        /* An empty list asks no registry, either. */
        int r = choice.policies ? 0 : strv_copy(settings->pull ? settings->pull : ARGV("never"), &choice.policies);
        if (r < 0)
                return r;
        *ret = choice;
        choice.policies = NULL;
        return ret->refused && settings->allowed_pull_policies ? PULL_NOT_ALLOWED : 0;
}
