/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* The machines of a job's services belong to the job: see id_of_service(). */

/* The ids of those that anything can be seen of in the directories, by their numbers. *ret is for strv_free(). 0 or
 * -errno. */
int services_list(const Settings *settings, const char *id, char ***ret);
