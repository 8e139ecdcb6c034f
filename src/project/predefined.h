/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "project/checkout.h"

/* What a pipeline is started by and for. */
typedef struct Occasion {
        const char *source; /* as CI_PIPELINE_SOURCE has it, or "tag" for the push of a tag */
        const char *ref;    /* NULL: what is checked out */
        const char *file;   /* path of the configuration in the project */
} Occasion;

/* Fills in the request's host, source, ref and project, and the variables that GitLab predefines for a pipeline, as far as the
 * working copy tells them. Everything is in the arena of @variables. -ENOENT: there is no tag to make a pipeline for; or
 * -errno. */
int predefined_fill(const Checkout *checkout, const Occasion *occasion, Variables *variables, PipelineRequest *request);

/* Adds those about the user who starts it, which GitLab lets the configuration's own variables not replace. */
void predefined_fill_user(const Checkout *checkout, Variables *variables);
