/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* Under which names the containers of a job find its services, as GitLab Runner's Docker executor gives them. */

/* Does the job want its services' output in its log (CI_DEBUG_SERVICES)? */
bool job_debugs_services(const JobSpec *job);

/* The names that service image @image brings: without tag, digest and the registry's port, '/' as "__", and as '-'
 * where that makes a difference. *ret is for strv_free(). 0 or -ENOMEM. */
int service_names_of_image(const char *image, char ***ret);

/* @text, what the job has as aliases of a service, with blanks or commas between them. *ret is for strv_free(), NULL
 * where there is none. 0 or -ENOMEM. */
int service_names_split(const char *text, char ***ret);

/* May @name be a line in a hosts file, and a name in a log? */
bool service_name_is_valid(const char *name);

/* The names of one service. */
typedef struct ServiceNames {
        char **names;   /* NULL: none is left, and the service is not to be started */
        char **taken;   /* an earlier service, or the job itself, has them */
        char **invalid; /* that no host can have */
} ServiceNames;

void service_names_free(ServiceNames *names, size_t n);

/* The names of all services of @job, in their order, job->n_services of them: to be freed by service_names_free().
 * First come, first served; @own (NULL: none) are names that the job itself has. 0 or -ENOMEM. */
int service_names_assign(const JobSpec *job, char *const *own, ServiceNames **ret);
