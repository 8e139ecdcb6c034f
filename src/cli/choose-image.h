/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/image.h"
#include "job/image-choice.h"

/* The image of a job, held until it is closed, and fetched from its registry if need be, with progress in the job's log:
 * that stops when @cancel_fd becomes readable. Returns 0; STAGE_BUILD_FAILURE where it is the job that is at fault; or
 * -errno; both logged. */
int choose_image(const Settings *settings, const ImageChoice *choice, int cancel_fd, Image **ret);
