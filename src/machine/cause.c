/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out what a failed script ran into: memory, disk, or the number of processes. Called by `run` after a script
 * that failed. The script may have failed for another reason, so causes are only reported and never change the
 * result. */

#include "machine/cause.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/supervisor.h"
#include "machine/inside.h"
#include "machine/kernel-log.h"
#include "machine/out-of-memory.h"

/* A disk with less room than this counts as full: a program fails when its next buffer does not fit. */
#define BUFFER_BYTES (UINT64_C(1) << 20)

void machine_causes_done(MachineCauses *causes) {
        free(causes->memory);
        free(causes->disk);
        free(causes->tasks);
}

static char *explain_memory(const Machine *machine) {
        char used[FORMAT_BYTES_MAX], *text = NULL;
        OomVictim victim;

        if (oom_victim_find(machine->name, &victim))
                (void) string_printf(&text, OUT_OF_MEMORY ": '%s' used %s", victim.name,
                                     format_bytes(victim.used_bytes, used));
        else
                (void) string_printf(&text, OUT_OF_MEMORY);
        return text;
}

bool disk_is_full(uint64_t free_units, uint64_t total_units, uint64_t unit_bytes, bool limited) {
        uint64_t least = BUFFER_BYTES / MAX(unit_bytes, UINT64_C(1));

        if (total_units == 0) /* it has no such limit */
                return false;
        return free_units <= (limited ? total_units / 100 : 0) + least;
}

/* Of the supervisor's own processes, not of pasta, which has another view of files. */
static void keep_first(pid_t pid, void *userdata) {
        pid_t *first = userdata;

        if (*first == 0 && !process_in_other_namespace(pid, "pid"))
                *first = pid;
}

/* The job's root, where only its supervisor sees it: the path leads through that process's mounts. */
static int open_root(const Machine *machine, const CgroupSet *groups) {
        _cleanup_cgroup_set_ CgroupSet supervise = { 0 };
        _cleanup_free_ char *path = NULL;
        pid_t pid = 0;

        for (size_t i = 0; i < groups->n; i++) {
                if (!(groups->directories[i].flags & (CGROUP_UNIFIED | CGROUP_SYSTEMD)))
                        continue;
                CgroupDirectory *directory = &supervise.directories[supervise.n];
                if (string_printf(&directory->path, "%s/supervise", groups->directories[i].path) < 0)
                        return -ENOMEM;
                directory->flags = groups->directories[i].flags;
                supervise.n++;
        }
        (void) cgroup_visit(&supervise, keep_first, &pid);
        if (pid == 0)
                return -ESRCH;
        int r = string_printf(&path, "/proc/%d/root%s/root", (int) pid, machine->directory);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, false, 0);
}

static const char *who_has(const Machine *machine) {
        return machine->names ? "service" : "job";
}

static char *explain_disk(const Machine *machine, const CgroupSet *groups) {
        const Settings *settings = &machine->settings;
        char size[FORMAT_BYTES_MAX], *text = NULL;
        uint64_t limit_bytes = settings->disk_max;
        const char *setting = "disk_max", *who = who_has(machine);
        struct statvfs s;

        if (streq(settings->storage, "tmpfs") && settings->tmpfs_size.bytes < limit_bytes) {
                limit_bytes = settings->tmpfs_size.bytes;
                setting = "tmpfs_size";
        }
        _cleanup_close_ int root_fd = open_root(machine, groups);
        if (root_fd < 0 || fstatvfs(root_fd, &s) < 0)
                return NULL;
        bool limited = limit_bytes != UINT64_MAX;
        bool bytes = disk_is_full(s.f_bavail, s.f_blocks, s.f_frsize, limited);
        bool files = disk_is_full(s.f_favail, s.f_files, BUFFER_BYTES, limited);
        if (!bytes && !files)
                return NULL;
        if (!limited)
                (void) string_printf(&text, "The host's disk is full%s",
                                     bytes ? "" : ": it has no room for more files");
        else if (bytes)
                (void) string_printf(&text, "The %s used up its %s of disk (%s)", who, format_bytes(limit_bytes, size),
                                     setting);
        else
                (void) string_printf(&text,
                                     "The %s has as many files as %s of disk can have, which are %" PRIu64 " (%s)", who,
                                     format_bytes(limit_bytes, size), (uint64_t) s.f_files, setting);
        return text;
}

/* Each time that processes were refused is reported once. */
static char *explain_tasks(const Machine *machine, const MachineDirectory *directory, const CgroupSet *groups) {
        _cleanup_free_ char *said = machine_file_read(directory, MACHINE_FILE_TASKS_REFUSED);
        uint64_t refused, refused_said = 0;
        char count[32], *text = NULL;

        if (cgroup_tasks_refused(groups, &refused) < 0)
                return NULL;
        if (said)
                (void) parse_uint64(said, &refused_said);
        if (refused <= refused_said)
                return NULL;
        snprintf(count, sizeof(count), "%" PRIu64, refused);
        (void) machine_file_write(directory, MACHINE_FILE_TASKS_REFUSED, count);
        (void) string_printf(
                &text, "The %s could not start more processes: it has as many as it may have (tasks_max: %" PRIu64 ")",
                who_has(machine), machine->settings.tasks_max);
        return text;
}

void machine_causes_find(const Machine *machine, const MachineDirectory *directory, MachineCauses *ret) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        if (supervisor_pick()->groups(machine->name, &groups) < 0)
                return;
        if (machine_ran_out_of_memory(&groups, directory))
                ret->memory = explain_memory(machine);
        ret->disk = explain_disk(machine, &groups);
        ret->tasks = explain_tasks(machine, directory, &groups);
}
