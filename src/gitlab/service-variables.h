/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/name-table.h"
#include "job/spec.h"

/* Expands the name, aliases and user of each service of @spec, with @variables as of gitlab_variables(). 0 or -ENOMEM. */
int gitlab_name_services(JobSpec *spec, const NameTable *variables);

/* Fills in the environment of each service: the job's variables that are public, and those that GitLab Runner adds
 * (CUSTOM_ENV_* of this process), with paths for files; then the service's own variables, which may refer to all variables
 * of the job and to earlier ones of the service. For the one command that starts services. 0; -E2BIG: a service's own
 * variables, or those of all services, are too long; or -ENOMEM. */
int gitlab_fill_services(JobSpec *spec);
