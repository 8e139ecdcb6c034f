/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "source/apt-sources.h"
#include "source/spec.h"
#include "source/suite.h"

typedef struct BuildPlan BuildPlan;

/* A program that makes a root file system; there is one const struct for each. */
typedef struct Builder {
        const char *program;
        bool names_packages; /* prints a step for each package */

        /* Makes the command line that makes the tree in directory @target, which exists and is empty. *ret is for
         * strv_free(). 0 or -ENOMEM. */
        int (*arguments)(const BuildPlan *plan, const char *target, char ***ret);
        /* Likewise, for the command that completes the tree afterwards; NULL: there is none. */
        int (*completion)(const BuildPlan *plan, const char *target, char ***ret);
} Builder;

/* What to build. A NULL field stands for a default. The strings belong to the caller. */
typedef struct BuildRequest {
        const char *suite; /* NULL: the host's own */
        /* URL of the archive; NULL: the host's mirror for its own distribution, else the builder's */
        const char *mirror;
        const char *keyring; /* file with the keys that sign the archive */
        const char *variant; /* as of mmdebstrap(1) */
        char *const *components;
        char *const *packages; /* in addition to those that every image has, */
        bool only_packages;    /* or instead of them */
} BuildRequest;

/* What a definition that names a suite asks for. The strings stay those of @spec. */
BuildRequest build_request_of(const SourceSpec *spec);

/* Everything about a new image but where it is made. */
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

/* Plans an image, with the builders, keys and mirrors that this host has. 0; -ENOMEM; or -EINVAL with a sentence in
 * @reterr_problem that says what is wrong or missing. */
int build_plan_make(const BuildRequest *request, BuildPlan *ret, Problem *reterr_problem);

/* Is @variant one of mmdebstrap(1)'s? */
bool build_variant_known(const char *variant);

/* Makes the environment for builders: PATH, and the proxies of the caller or of the host's apt (base/proxy.h), and
 * nothing else from the caller's environment. *ret is for strv_free(). 0 or -ENOMEM. */
int builder_environment(char ***ret);

/* Returns the part of @line, printed by a builder, that says what the builder does now; NULL: the line does not say
 * it. */
const char *builder_step(const char *line);

extern const Builder builder_mmdebstrap, builder_debootstrap;
