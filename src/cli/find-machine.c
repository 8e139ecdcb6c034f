/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the container of a job or service by what a person calls it, for `shell`, `logs` and the like. Only reads, and
 * logs what is wrong with the name. */

#include "cli/find-machine.h"

#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/string.h"
#include "machine/collect.h"
#include "machine/program.h"
#include "machine/remove.h"
#include "machine/services.h"

int find_machine(const Settings *settings, const char *id, char **ret) {
        _cleanup_strv_ char **ids = NULL;
        const char *found = NULL;

        if (machine_exists(settings, id))
                return string_replace(ret, id);
        int r = machine_list(settings, false, &ids);
        if (r < 0)
                return r;
        for (char **job = ids; job && *job; job++) {
                const char *rest = startswith(*job, id);

                if (!rest || *rest != '-' || id_service_number(*job, NULL) > 0)
                        continue;
                if (found)
                        return -ENOTUNIQ;
                found = *job;
        }
        return found ? string_replace(ret, found) : -ENOENT;
}

/* By its number or one of its names. */
static bool is_service(const Settings *settings, const char *id, const char *wanted) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        uint64_t number;

        if (parse_uint64(wanted, &number) >= 0 && number == id_service_number(id, NULL))
                return true;
        if (machine_directory_open(settings->runtime_dir, id, false, &directory) < 0 ||
            machine_load(&directory, &machine) < 0)
                return false;
        for (char **name = machine->names; name && *name; name++)
                if (strcasecmp(*name, wanted) == 0)
                        return true;
        return false;
}

static int find_service(const Settings *settings, const char *job, const char *wanted, char **ret) {
        _cleanup_strv_ char **services = NULL;

        int r = services_list(settings, job, &services);
        if (r < 0)
                return r;
        for (char **service = services; service && *service; service++)
                if (is_service(settings, *service, wanted))
                        return string_replace(ret, *service);
        return -ENXIO;
}

int log_not_running(const char *job, int error) {
        return log_full(LOG_LEVEL_ERROR, error, "Job %s is not running; see 'nspawn-runner status'", job);
}

int find_machine_logged(const Settings *settings, const char *job, const char *service, char **ret) {
        _cleanup_free_ char *id = NULL;

        int r = find_machine(settings, job, &id);
        if (r == -ENOTUNIQ)
                return log_error_errno(
                        r, "Several jobs have number %s: give one's whole id, as 'nspawn-runner status' shows it", job);
        if (r == -ENOENT || r == -EINVAL)
                return log_not_running(job, -ENOENT);
        if (r < 0)
                return log_error_errno(r, "Cannot look for job %s: %m", job);
        if (!service) {
                *ret = TAKE_PTR(id);
                return 0;
        }
        r = find_service(settings, id, service, ret);
        if (r == -ENXIO)
                return log_error_errno(r, "Job %s has no service '%s'; see 'nspawn-runner status'", id, service);
        return r < 0 ? log_error_errno(r, "Cannot look for the services of job %s: %m", id) : 0;
}

static int load(const char *runtime_dir, const char *id, MachineDirectory *ret_directory, Machine **ret_machine) {
        int r = machine_directory_open(runtime_dir, id, false, ret_directory);
        if (r < 0)
                return r;
        r = program_hand_over(ret_directory);
        return r < 0 ? r : machine_load(ret_directory, ret_machine);
}

int open_machine_logged(const Invocation *invocation, const char *service, MachineDirectory *ret_directory,
                        Machine **ret_machine) {
        const char *runtime_dir = invocation->settings->runtime_dir, *job = invocation_argument(invocation, 0);
        _cleanup_free_ char *id = NULL;

        int r = find_machine_logged(invocation->settings, job, service, &id);
        if (r < 0)
                return r;
        r = load(runtime_dir, id, ret_directory, ret_machine);
        if (r == -ENOENT)
                return log_not_running(job, r);
        return r < 0 ? log_error_errno(r, "Cannot read the state of job %s: %m", id) : 0;
}
