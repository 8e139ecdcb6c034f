/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* Expands the name, aliases and user of each service of @spec, and fills in its environment: the job's variables that
 * are public, and those that GitLab Runner adds (CUSTOM_ENV_* of this process), with paths for files; then the
 * service's own variables, which may refer to all variables of the job and to earlier ones of the service. 0 or
 * -ENOMEM. */
int gitlab_complete_services(JobSpec *spec);
