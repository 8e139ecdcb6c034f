/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* The transport of registries, as skopeo writes it. */
#define SKOPEO_REGISTRY "docker://"

/* What skopeo needs for one reference. */
typedef struct Skopeo {
        char **environment;  /* in addition to builder_environment() */
        char **readable;     /* as in Confinement (source/confine.h) */
        bool online, daemon; /* it talks to a registry, or to docker's daemon */
} Skopeo;

void skopeo_done(Skopeo *skopeo);
#define _cleanup_skopeo_ _cleanup_(skopeo_done)

/* Finds that out for @reference, with transport. 0, and @ret is for skopeo_done(); or -ENOMEM. */
int skopeo_for(const char *reference, Skopeo *ret);

/* What a line that skopeo printed means for a person. */
typedef struct SkopeoFailure {
        const char *says;
        bool is_refusal;   /* asking again would not help */
        const char *means; /* with %s for the registry */
} SkopeoFailure;

/* NULL: the line says nothing that we know. */
const SkopeoFailure *skopeo_failure(const char *line);

/* Fills in @reterr_problem. Returns -EIO. */
int skopeo_explain(const SkopeoFailure *failure, const char *reference, Problem *reterr_problem);
