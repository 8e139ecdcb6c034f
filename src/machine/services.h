/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* The machines of a job's services belong to the job: see id_of_service(). */

/* The ids of all services of job @id of which there is a directory or a layer, sorted by their numbers. *ret is for
 * strv_free(). 0 or -errno. */
int services_list(const Settings *settings, const char *id, char ***ret);

/* Calls @visit for each of them whose plan can be read, by their numbers. Best effort. */
void services_visit(const Settings *settings, const char *id,
                    void (*visit)(const Machine *machine, const MachineDirectory *directory, void *userdata),
                    void *userdata);
