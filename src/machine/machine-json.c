/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the plan of a machine as machine.json and reads it back. directory.c calls this: before anything is started,
 * and for `supervise` and every later command about the machine. A file that lacks something, or has a value of
 * another type, must be refused: what it says is done as root. */

#include <string.h>

#include "base/fd.h"
#include "base/record.h"
#include "machine/directory.h"

#define MACHINE_FILE "machine.json"
#define MACHINE_MAX_BYTES (16 * 1024 * 1024) /* a service has variables of the job */

#define FIELD(name, kind, is_required) \
        { #name, kind, offsetof(Machine, name), is_required, .absent = UINT64_MAX }

/* What is not a setting. */
static const RecordField facts[] = {
        FIELD(id, RECORD_STRING, true),
        FIELD(name, RECORD_STRING, true),
        FIELD(hostname, RECORD_STRING, false),
        FIELD(directory, RECORD_STRING, true),
        FIELD(layer, RECORD_STRING, true),
        FIELD(image, RECORD_STRING, true),
        FIELD(image_path, RECORD_STRING, true),
        FIELD(image_handle, RECORD_STRING, false),
        FIELD(agent_path, RECORD_STRING, true),
        FIELD(preload, RECORD_STRING, false),
        FIELD(supervisor, RECORD_STRING, true),
        FIELD(uuid, RECORD_STRING, true),
        FIELD(init, RECORD_STRING, false),
        FIELD(lazy, RECORD_BOOL, false),
        FIELD(environment, RECORD_LIST, false),
        FIELD(user, RECORD_STRING, false),
        FIELD(working_dir, RECORD_STRING, false),
        FIELD(builds_dir, RECORD_STRING, false),
        FIELD(volumes, RECORD_LIST, false),
        FIELD(bash_path, RECORD_STRING, false),
        FIELD(runner_path, RECORD_STRING, false),
        FIELD(job_name, RECORD_STRING, false),
        FIELD(job_stage, RECORD_STRING, false),
        FIELD(project, RECORD_STRING, false),
        FIELD(job_url, RECORD_STRING, false),
        FIELD(started_by, RECORD_STRING, false),
        FIELD(names, RECORD_LIST, false),
        FIELD(command, RECORD_LIST, false),
        FIELD(directories, RECORD_LIST, false),
        FIELD(boot_target, RECORD_STRING, false),
        FIELD(ports, RECORD_LIST, false),
        FIELD(lack, RECORD_STRING, false),
        FIELD(helper, RECORD_STRING, false),
        FIELD(helper_path, RECORD_STRING, false),
        FIELD(helper_handle, RECORD_STRING, false),
        FIELD(helper_generation, RECORD_NUMBER, false),
        FIELD(helper_environment, RECORD_LIST, false),
        FIELD(seccomp_filter, RECORD_STRING, false),
        FIELD(generation, RECORD_NUMBER, false),
        FIELD(network_of, RECORD_STRING, false),
        FIELD(network_number, RECORD_NUMBER, false),
        FIELD(hosts, RECORD_LIST, false),
        FIELD(has_segment, RECORD_BOOL, false),
        FIELD(interactive, RECORD_BOOL, true),
        FIELD(needs_loop, RECORD_BOOL, false),
        FIELD(runtime_max_usec, RECORD_NUMBER, false),
        FIELD(since_usec, RECORD_NUMBER, true),
        FIELD(owner_pid, RECORD_NUMBER, false),
        FIELD(owner_start, RECORD_NUMBER, false),
};

/* The facts, and the settings of machines under their names. The last one has no key. */
typedef struct Fields {
        RecordField list[ELEMENTSOF(facts) + SETTINGS_MAX + 1];
} Fields;

static Fields all_fields(void) {
        Fields fields = { 0 };
        size_t n = ELEMENTSOF(facts);

        memcpy(fields.list, facts, sizeof(facts));
        for (size_t i = 0; settings_info(i); i++)
                if (setting_is_machine(settings_info(i)))
                        fields.list[n++] = setting_record(settings_info(i), offsetof(Machine, settings));
        return fields;
}

int machine_save(const Machine *machine, const MachineDirectory *directory) {
        _cleanup_free_ char *text = NULL;

        Fields fields = all_fields();
        int r = record_format(fields.list, machine, &text);
        return r < 0 ? r : file_replace_unsynced_at(directory->fd, MACHINE_FILE, text, strlen(text), 0600);
}

int machine_load(const MachineDirectory *directory, Machine **ret) {
        _cleanup_machine_ Machine *machine = calloc(1, sizeof(Machine));
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (!machine)
                return -ENOMEM;
        int r = file_read_at(directory->fd, MACHINE_FILE, MACHINE_MAX_BYTES, &text, &size);
        if (r < 0)
                return r;
        r = record_parse(all_fields().list, text, size, machine);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(machine);
        return 0;
}
