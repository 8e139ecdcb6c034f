/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* skopeo's transport for registries. */
#define SKOPEO_REGISTRY "docker://"

/* What skopeo needs for one reference. */
typedef struct Skopeo {
        char **environment;  /* in addition to builder_environment() */
        char **readable;     /* as in Confinement (source/confine.h) */
        bool online, daemon; /* it talks to a registry (online), or to docker's daemon */
} Skopeo;

void skopeo_done(Skopeo *skopeo);
#define _cleanup_skopeo_ _cleanup_(skopeo_done)

/* Finds out what skopeo needs for @reference, which has a transport. 0 with @ret for skopeo_done(), or -ENOMEM. */
int skopeo_for(const char *reference, Skopeo *ret);

/* What an error message of skopeo means, in words for people. */
typedef struct SkopeoFailure {
        const char *says;
        bool is_refusal;   /* another try would not help */
        const char *means; /* with at least one %s for the registry */
} SkopeoFailure;

/* Returns the known failure that @line, printed by skopeo, reports; NULL: it reports none. Static. */
const SkopeoFailure *skopeo_failure(const char *line);

/* Fills in @reterr_problem with what @failure means for @reference. Returns -EIO. */
int skopeo_explain(const SkopeoFailure *failure, const char *reference, Problem *reterr_problem);
