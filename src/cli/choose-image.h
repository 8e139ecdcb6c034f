/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/image.h"
#include "job/image-choice.h"

/* Opens the image of a job, after fetching it from its registry if need be, with progress in the job's log. The image
 * is held until it is freed. When @cancel_fd becomes readable, fetching stops. Returns 0; STAGE_BUILD_FAILURE if the
 * job is at fault; or -errno; both logged. */
int choose_image(const Settings *settings, const ImageChoice *choice, int cancel_fd, Image **ret);
