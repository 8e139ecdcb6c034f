/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The most bytes of an id. */
#define ID_MAX 40

/* Why @id cannot be the id of a job or machine; NULL: it can. Ids become parts of paths, unit names and host names: at most
 * ID_MAX letters, digits, '-' and '.', with a letter or digit at both ends and no "..". The text is static and completes "it
 * ...". */
const char *id_problem(const char *id);

/* The machines of a job's services have ids made from the job's: "ID.s1" and so on. No job is called so. */
#define ID_SERVICES_MAX 59

/* The id of service @number (from 1) of job @id: *ret is to be freed. 0; -ENAMETOOLONG: the job's is too long to have
 * services; -ERANGE for a number above ID_SERVICES_MAX; or -ENOMEM. */
int id_of_service(const char *id, unsigned number, char **ret);

/* The number of the service that @id is the id of, with *ret_length (may be NULL) how many bytes of it are the id of its
 * job; 0: it is no service's. */
unsigned id_service_number(const char *id, size_t *ret_length);
