/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "project/checkout.h"

/* Why a pipeline is started, and for what. */
typedef struct Occasion {
        const char *source; /* a value of CI_PIPELINE_SOURCE, or "tag" for the push of a tag */
        const char *ref;    /* NULL: what is checked out */
        const char *file;   /* path of the configuration in the project */
        const char *server; /* URL of a GitLab server, or NULL: as remote_parse() has it */
} Occasion;

/* Fills in the request's host, source, ref and project, and the variables that GitLab predefines for a pipeline, as far
 * as they follow from the working copy. Everything is in the arena of @variables. 0; -ENOENT: there is no tag to make a
 * pipeline for; or another -errno. */
int predefined_fill(const Checkout *checkout, const Occasion *occasion, Variables *variables, PipelineRequest *request);

/* Adds the variables about the user who starts the pipeline, which the configuration's own variables cannot replace in
 * GitLab. */
void predefined_fill_user(const Checkout *checkout, Variables *variables);
