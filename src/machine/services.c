/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the machines of a job's services. Called by whatever removes a job, and by commands that look at one. Only
 * ids are compared, so that a machine that was hardly begun, or is half removed, is not missed. */

#include "machine/services.h"

#include "base/id.h"
#include "base/string.h"

static int compare_numbers(const void *a, const void *b) {
        unsigned x = id_service_number(*(char *const *) a, NULL), y = id_service_number(*(char *const *) b, NULL);

        return x < y ? -1 : x > y;
}

int services_list(const Settings *settings, const char *id, char ***ret) {
        _cleanup_strv_ char **all = NULL, **services = NULL;
        char prefix[MACHINE_PREFIX_BYTES];
        size_t length;

        machine_prefix(settings->runtime_dir, prefix);
        int r = machine_directory_list(settings->runtime_dir, &all);
        if (r < 0)
                return r;
        r = layers_list(settings->root_dir, prefix, &all);
        if (r < 0)
                return r;
        strv_sort_unique(all);
        for (char **service = all; service && *service; service++) {
                if (id_service_number(*service, &length) == 0 || length != strlen(id) ||
                    strncmp(*service, id, length) != 0)
                        continue;
                r = strv_extend(&services, *service);
                if (r < 0)
                        return r;
        }
        SORT(services, strv_length(services), compare_numbers);
        *ret = TAKE_PTR(services);
        return 0;
}

void services_visit(const Settings *settings, const char *id,
                    void (*visit)(const Machine *machine, const MachineDirectory *directory, void *userdata),
                    void *userdata) {
        _cleanup_strv_ char **ids = NULL;

        if (services_list(settings, id, &ids) < 0)
                return;
        for (char **service = ids; service && *service; service++) {
                _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
                _cleanup_machine_ Machine *machine = NULL;

                if (machine_directory_open(settings->runtime_dir, *service, false, &directory) >= 0 &&
                    machine_load(&directory, &machine) >= 0 && machine->names)
                        visit(machine, &directory, userdata);
        }
}
