/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* When the image of a job or service is fetched. */

typedef enum PullOutcome {
        PULL_NOT_ALLOWED = 1, /* allowed_pull_policies does not list it, or there is no such policy */
} PullOutcome;

typedef struct PullChoice {
        char **policies;     /* to try in this order, until the image is there: pull_policy_parse() knows all of them */
        bool of_job;         /* the job chose them, and not the setting `pull` */
        const char *refused; /* what the job asked for and cannot have, belongs to the job; NULL: nothing */
} PullChoice;

void pull_choice_done(PullChoice *choice);
#define _cleanup_pull_choice_ _cleanup_(pull_choice_done)

/* Decides from the settings `pull` and `allowed_pull_policies`, and from the job's `pull_policy` (@wanted, may be
 * NULL). Without allowed_pull_policies, a job cannot get an image that is here without asking the registry if `pull` always
 * asks; policies that it cannot have are left out. 0, PULL_NOT_ALLOWED with ret->refused, or -ENOMEM. */
int pull_choose(const Settings *settings, char *const *wanted, PullChoice *ret);

/* Does the setting `pull` let images be fetched? */
bool pull_fetches(const Settings *settings);
