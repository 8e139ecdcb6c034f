/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "source/apt-sources.h"
#include "source/suite.h"

typedef struct BuildPlan BuildPlan;

/* A program that makes a root file system: one const struct each. */
typedef struct Builder {
        const char *program;
        bool names_packages; /* prints a step for each package */

        /* Its command line for making the tree in the directory @target, which exists and is empty. *ret is for
         * strv_free(). 0 or -ENOMEM. */
        int (*arguments)(const BuildPlan *plan, const char *target, char ***ret);
        /* Likewise, for what completes the tree then; or NULL. */
        int (*completion)(const BuildPlan *plan, const char *target, char ***ret);
} Builder;

/* What is asked for; whatever is NULL is chosen. The strings belong to the caller. */
typedef struct BuildRequest {
        const char *suite; /* NULL: the host's own */
        const char
                *mirror; /* URL of the archive; NULL: the host's mirror for its own distribution, else the builder's */
        const char *keyring; /* file with the keys that sign it */
        const char *variant; /* as of mmdebstrap(1) */
        char *const *components;
        char *const *packages; /* besides those that every image has */
} BuildRequest;

/* All that decides about a new image but its place. */
struct BuildPlan {
        const Builder *builder;
        const Distribution *distribution;
        char *suite;
        Mirror mirror;
        char *variant;
        char *components; /* with commas */
        char *packages;   /* with commas */
        bool eatmydata;
};

void build_plan_done(BuildPlan *plan);
#define _cleanup_build_plan_ _cleanup_(build_plan_done)

/* Plans an image with what this host has. 0, -ENOMEM, or -EINVAL with @reterr_problem saying in a sentence
 * what is wrong or missing. */
int build_plan_make(const BuildRequest *request, BuildPlan *ret, Problem *reterr_problem);

/* Can @variant be asked for at all? */
bool build_variant_known(const char *variant);

/* The environment for builders: the host's proxies, as its apt has them, and nothing else of the caller's but its
 * PATH. *ret is for strv_free(). 0 or -ENOMEM. */
int builder_environment(char ***ret);

/* What the builder says it does now: the part of @line to show, or NULL where the line is no news. */
const char *builder_step(const char *line);

extern const Builder builder_mmdebstrap, builder_debootstrap;
