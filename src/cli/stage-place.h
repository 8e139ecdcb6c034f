/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"
#include "machine/step.h"

/* Where the script of a stage runs, and with which program: the job's own stages in its image, GitLab's own in the
 * helper's root if the container has one. */
typedef struct StagePlace {
        char *argv[2]; /* the shell; "" for whichever the image has */
        char **environment;
        char **directories; /* GitLab's, below which the project and the caches are */
        char **shared;      /* of the container, in the helper */
        bool own;           /* GitLab Runner wrote the script by itself */
} StagePlace;

void stage_place_done(StagePlace *place);
#define _cleanup_stage_place_ _cleanup_(stage_place_done)

/* Fills in what of @request depends on @stage, the argument of `run` (NULL: not known); @shell replaces what the
 * setting says, or is NULL. @request is valid as long as *ret and @machine are. 0 or -errno. */
int stage_place(const Settings *settings, const JobSpec *job, const Machine *machine, const char *stage,
                const char *shell, StagePlace *ret, StepRequest *request);

/* After a script of GitLab's own failed: says what the image lacks, if that may be the reason. */
void stage_explain_lack(const Machine *machine, const StagePlace *place);
