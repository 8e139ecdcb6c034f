/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "config/settings.h"

/* Writes what there is now as OpenMetrics: containers by state, images, and the room that is in use, as it was measured last.
 * @measure: walks through all trees below root_dir for that, which may take minutes. What goes meanwhile is left out; what
 * cannot be read, too, after it was logged. 0 or -ENOMEM. */
int metrics_now_write(FILE *f, const Settings *settings, bool measure);
