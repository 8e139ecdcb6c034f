/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `status`: lists the jobs that exist now, with their services. Only reads, and shows what is known of a job
 * that is just being made or removed. */

#include <inttypes.h>
#include <stdio.h>

#include "base/id.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "container/cgroup.h"
#include "container/supervisor.h"
#include "machine/collect.h"
#include "machine/directory.h"
#include "machine/services.h"

static const TableColumn columns[] = {
        { "id", COLUMN_TEXT },    { "service", COLUMN_TEXT },  { "image", COLUMN_TEXT },
        { "since", COLUMN_TEXT }, { "boot", COLUMN_TEXT },     { "storage", COLUMN_TEXT },
        { "state", COLUMN_TEXT }, { "memory", COLUMN_NUMBER }, { 0 },
};

static bool memory_of(const Machine *machine, bool json, char ret[static 24]) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        uint64_t bytes;

        if (supervisor_pick()->groups(machine->name, &groups) < 0 || cgroup_memory_bytes(&groups, &bytes) < 0)
                return false;
        if (json)
                snprintf(ret, 24, "%" PRIu64, bytes);
        else
                (void) format_bytes(bytes, ret);
        return true;
}

static int add_job(const Settings *settings, const char *id, bool json, Table *table, size_t *n_rows) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        MachineState job = machine_state(settings, id);
        const char *state = machine_state_name(job);
        char since[FORMAT_TIME_BYTES], memory[24];

        if (job == MACHINE_GONE)
                return 0;
        (*n_rows)++;
        if (machine_directory_open(settings->runtime_dir, id, false, &directory) < 0 ||
            machine_load(&directory, &machine) < 0) {
                /* Just being made or removed, or after a crash; the last known state still tells something. */
                const char *cells[ELEMENTSOF(columns) - 1] = { id, NULL, NULL, NULL, NULL, NULL, state, NULL };
                return table_add(table, cells);
        }
        format_time(machine->since_usec, json, since);
        const char *cells[ELEMENTSOF(columns) - 1] = {
                id,
                machine->names ? machine->names[0] : NULL,
                machine->image,
                since,
                machine->init ? "yes" : "no",
                machine->settings.storage,
                state,
                memory_of(machine, json, memory) ? memory : NULL,
        };
        return table_add(table, cells);
}

static bool contains(char *const *ids, const char *id, size_t length) {
        for (; ids && *ids; ids++)
                if (strncmp(*ids, id, length) == 0 && !(*ids)[length])
                        return true;
        return false;
}

/* A job, and below it its services. Those of a job that is not there any more stand by themselves. */
static int add_with_services(const Settings *settings, char *const *ids, const char *id, bool json, Table *table,
                             size_t *n_rows) {
        _cleanup_strv_ char **services = NULL;
        size_t length;

        if (id_service_number(id, &length) > 0 && contains(ids, id, length))
                return 0;
        int r = add_job(settings, id, json, table, n_rows);
        if (r < 0)
                return r;
        r = services_list(settings, id, &services);
        for (char **service = services; r >= 0 && service && *service; service++)
                r = add_job(settings, *service, json, table, n_rows);
        return r;
}

static int print_jobs(const Settings *settings, char *const *ids, bool json, Table *table, size_t *n_rows) {
        for (char *const *id = ids; id && *id; id++) {
                int r = add_with_services(settings, ids, *id, json, table, n_rows);
                if (r < 0)
                        return r;
        }
        return table_print(table);
}

static int run(const Invocation *invocation) {
        bool json = invocation_has(invocation, "json");
        _cleanup_table_ Table *table = NULL;
        _cleanup_strv_ char **ids = NULL;
        size_t n_rows = 0;

        int r = machine_list(invocation->settings, true, &ids);
        if (r < 0)
                return log_error_errno(r, "Cannot list the jobs: %m");
        r = table_new_logged("jobs", columns, json, &table);
        if (r < 0)
                return r;
        r = print_jobs(invocation->settings, ids, json, table, &n_rows);
        if (r < 0)
                return log_error_errno(r, "Cannot print the jobs: %m");
        if (!json && n_rows == 0)
                log_notice("No jobs");
        return 0;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_status = {
        .name = "status",
        .synopsis = "",
        .options = options,
        .run = run,
        .help = "List the jobs that exist now",
};
