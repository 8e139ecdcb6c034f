/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The plan of a container as a struct, and the name that it goes by on this host. Called by whoever plans, finds or
 * removes a container. Everything that belongs to a running container is found again by that name, so the same
 * runtime_dir and id must give the same name in every version. */

#include "container/machine.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/string.h"

/* @path without symlinks, as far as it exists. */
static void resolve(const char *path, char ret[static PATH_MAX]) {
        char existing[PATH_MAX];
        size_t n = strnlen(path, sizeof(existing) - 1);

        memcpy(existing, path, n);
        existing[n] = 0;
        while (n > 0 && !realpath(existing, ret)) {
                while (n > 0 && existing[n - 1] != '/')
                        n--;
                while (n > 0 && existing[n - 1] == '/')
                        n--;
                existing[n] = 0;
        }
        size_t length = n > 0 ? strlen(ret) : 0;
        snprintf(ret + length, PATH_MAX - length, "%s", path + n);
}

void machine_prefix(const char *runtime_dir, char ret[static MACHINE_PREFIX_BYTES]) {
        static const uint8_t no_key[16];
        char path[PATH_MAX], usual[PATH_MAX];
        Hash hash;

        resolve(runtime_dir, path);
        resolve(RUNTIME_DIR_DEFAULT, usual);
        if (streq(path, usual)) {
                strcpy(ret, "nspawn-runner-job-");
                return;
        }
        hash_init(&hash, no_key);
        hash_string(&hash, path);
        snprintf(ret, MACHINE_PREFIX_BYTES, "nspawn-runner-%08" PRIx32 "-", (uint32_t) hash_finish(&hash));
}

int machine_name(const char *runtime_dir, const char *id, char **ret) {
        char prefix[MACHINE_PREFIX_BYTES];

        machine_prefix(runtime_dir, prefix);
        return string_printf(ret, "%s%s", prefix, id);
}

bool machine_in_segment(const Machine *machine) {
        switch (machine->settings.network) {
        case NETWORK_PRIVATE:
                return true;
        case NETWORK_NONE:
                return machine->has_segment || machine->network_of;
        case NETWORK_HOST:
                break;
        }
        return false;
}

int machine_description(const Machine *machine, char **ret) {
        size_t length = strcspn(machine->id, "-");

        if (machine->names)
                return string_printf(ret, "Service %s of a CI job, image %s (%s)", machine->names[0], machine->image,
                                     machine->name);
        if (!machine->project && !machine->job_name)
                return string_printf(ret, "Container of image %s (%s)", machine->image, machine->name);
        return string_printf(ret, "CI job %.*s%s%s%s%s%s, image %s (%s)", (int) length, machine->id,
                             machine->job_name ? " '" : "", machine->job_name ? machine->job_name : "",
                             machine->job_name ? "'" : "", machine->project ? " of " : "",
                             machine->project ? machine->project : "", machine->image, machine->name);
}

static void service_done(Machine *machine) {
        strv_free(machine->names);
        strv_free(machine->command);
        strv_free(machine->directories);
        free(machine->boot_target);
        strv_free(machine->ports);
}

void machine_free(Machine *machine) {
        if (!machine)
                return;
        char *strings[] = {
                machine->id,
                machine->name,
                machine->directory,
                machine->layer,
                machine->image,
                machine->image_path,
                machine->image_handle,
                machine->agent_path,
                machine->preload,
                machine->supervisor,
                machine->init,
                machine->uuid,
                machine->seccomp_filter,
                machine->hostname,
                machine->user,
                machine->working_dir,
                machine->builds_dir,
                machine->bash_path,
                machine->runner_path,
                machine->lack,
                machine->helper,
                machine->helper_path,
                machine->helper_handle,
                machine->job_name,
                machine->job_stage,
                machine->project,
                machine->job_url,
                machine->started_by,
        };
        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(strings[i]);
        free(machine->network_of);
        strv_free(machine->hosts);
        strv_free(machine->environment);
        strv_free(machine->helper_environment);
        strv_free(machine->volumes);
        service_done(machine);
        settings_done(&machine->settings);
        free(machine);
}
