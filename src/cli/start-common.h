/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/image-choice.h"
#include "machine/plan.h"
#include "machine/start.h"

/* Shared by starting the container of a job and those of its services. These functions log, so a caller does not do
 * it again. They return 0; STAGE_BUILD_FAILURE if the job is at fault; or -errno. */

/* The settings of the image: over @settings, what its definition says, unless the job must not have that. *ret is
 * @settings or @storage; call settings_done() for @storage. */
int settings_of_image_logged(const Settings *settings, const ImageChoice *choice, const Image *image, Settings *storage,
                             const Settings **ret);

/* Notes in @request the program that the container ends with: `exec`, or the GitLab Runner that called us. Called before
 * anything takes long: when that program has been killed, nobody can tell any more which one it was. */
void plan_note_owner(MachineRequest *request);

/* The plan of the container, and the command that carries it out. */
int plan_logged(const MachineRequest *request, Machine **ret, char ***ret_argv);

/* Logs why a start failed with @outcome, a StartOutcome or -errno, and returns what the command is to return:
 * -ECANCELED only where somebody cancelled the start. */
int failed_start_logged(const Machine *machine, const MachineDirectory *directory, int outcome, const Problem *problem);
