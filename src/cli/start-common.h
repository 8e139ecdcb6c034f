/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/image-choice.h"
#include "machine/plan.h"
#include "machine/start.h"

/* What is common to starting the container of a job and those of its services. These functions log, so a caller does
 * not do it again. They return 0; STAGE_BUILD_FAILURE where it is the job that is at fault; or -errno. */

/* The settings of the image, where its definition has some, unless the job must not have them: *ret is @settings or
 * @storage, which is for settings_done(). */
int settings_of_image_logged(const Settings *settings, const ImageChoice *choice, const Image *image, Settings *storage,
                             const Settings **ret);

/* The plan of the container, and the command that carries it out. */
int plan_logged(const MachineRequest *request, Machine **ret, char ***ret_argv);

/* What to return for a StartOutcome or -errno, and what was said about it. */
int failed_start_logged(const Machine *machine, const MachineDirectory *directory, int outcome, const Problem *problem);
