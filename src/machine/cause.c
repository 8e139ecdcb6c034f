/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out what a failed script ran into: memory, disk, or the number of processes. Called by `run` after a script
 * that failed. The script may have failed for another reason, so causes are only reported and never change the
 * result. */

#include "machine/cause.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/slice.h"
#include "container/supervisor.h"
#include "machine/inside.h"
#include "machine/kernel-log.h"
#include "machine/out-of-memory.h"
#include "machine/root.h"
#include "machine/shared.h"
#include "storage/storage.h"

/* A disk with less room than this counts as full: a program fails when its next buffer does not fit. */
#define BUFFER_BYTES (UINT64_C(1) << 20)

void machine_causes_done(MachineCauses *causes) {
        free(causes->memory);
        free(causes->disk);
        free(causes->tasks);
}

static char *explain_memory(const Machine *machine, const MachineDirectory *directory, const CgroupSet *groups) {
        const char *what = machine_ran_out_of_memory(machine, groups, directory);
        char used[FORMAT_BYTES_MAX], *text = NULL;
        OomVictim victim;

        if (!what)
                return NULL;
        if (oom_victim_find(machine->name, &victim))
                (void) string_printf(&text, "%s: '%s' used %s", what, victim.name,
                                     format_bytes(victim.used_bytes, used));
        else
                text = strdup(what);
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

/* A directory that only the job's supervisor sees: the way leads through that process's mounts. */
static int open_in_supervise(const CgroupSet *groups, const char *directory_path) {
        _cleanup_cgroup_set_ CgroupSet supervise = { 0 };
        _cleanup_free_ char *path = NULL;
        pid_t pid = 0;

        for (size_t i = 0; i < groups->n; i++) {
                if (!(groups->directories[i].flags & (CGROUP_UNIFIED | CGROUP_SYSTEMD)))
                        continue;
                CgroupDirectory *directory = &supervise.directories[supervise.n];
                if (string_printf(&directory->path, "%s/" CGROUP_SUPERVISE, groups->directories[i].path) < 0)
                        return -ENOMEM;
                directory->flags = groups->directories[i].flags;
                supervise.n++;
        }
        (void) cgroup_visit(&supervise, keep_first, &pid);
        if (pid == 0)
                return -ESRCH;
        int r = string_printf(&path, "/proc/%d/root%s", (int) pid, directory_path);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, false, 0);
}

static const char *who_has(const Machine *machine) {
        return machine->names ? "service" : "job";
}

/* What is left of a disk. */
typedef struct Room {
        bool no_bytes, no_files;
        uint64_t max_files;
} Room;

static int look_at_root(int root_fd, bool limited, Room *ret) {
        struct statvfs s;

        if (fstatvfs(root_fd, &s) < 0)
                return -errno;
        *ret = (Room){
                .no_bytes = disk_is_full(s.f_bavail, s.f_blocks, s.f_frsize, limited),
                .no_files = disk_is_full(s.f_favail, s.f_files, BUFFER_BYTES, limited),
                .max_files = s.f_files,
        };
        return 0;
}

/* In the root of a job that a quota limits, statvfs() may tell about the whole disk. */
static int look_at_quota(const StorageDriver *driver, const char *layer, uint64_t max_bytes, Room *room) {
        uint64_t used_bytes;

        _cleanup_close_ int layer_fd = open_directory_at(AT_FDCWD, layer, false, 0);
        if (layer_fd < 0)
                return layer_fd;
        int r = driver->usage(layer_fd, &used_bytes);
        if (r < 0)
                return r;
        room->no_bytes = disk_is_full(max_bytes - MIN(used_bytes, max_bytes), max_bytes, 1, true);
        return 0;
}

static int look(const Machine *machine, int root_fd, uint64_t limit_bytes, Room *ret) {
        const StorageDriver *driver = storage_of_machine(machine->settings.storage);

        int r = look_at_root(root_fd, limit_bytes != UINT64_MAX, ret);
        return r < 0 || !driver || !driver->usage ? r : look_at_quota(driver, machine->layer, limit_bytes, ret);
}

static bool is_full(const Room *room) {
        return room->no_bytes || room->no_files;
}

static char *say_full(const Machine *machine, const Room *room, uint64_t limit_bytes, const char *setting) {
        char size[FORMAT_BYTES_MAX], *text = NULL;
        const char *who = who_has(machine);

        if (limit_bytes == UINT64_MAX)
                (void) string_printf(&text, "The host's disk is full%s",
                                     room->no_bytes ? "" : ": it has no room for more files");
        else if (room->no_bytes)
                (void) string_printf(&text, "The %s used up its %s of disk (%s)", who, format_bytes(limit_bytes, size),
                                     setting);
        else
                (void) string_printf(&text,
                                     "The %s has as many files as %s of disk can have, which are %" PRIu64 " (%s)", who,
                                     format_bytes(limit_bytes, size), room->max_files, setting);
        return text;
}

/* What the job shares with its services, where that is limited on its own. */
static char *explain_shared(const Machine *machine, const CgroupSet *groups) {
        _cleanup_free_ char *directory = NULL;
        Room room = { 0 };

        if (machine->names || shared_volumes_directory(machine, &directory) < 0 || !directory)
                return NULL;
        _cleanup_close_ int fd = open_in_supervise(groups, directory);
        if (fd < 0 || look_at_root(fd, true, &room) < 0 || !is_full(&room))
                return NULL;
        return say_full(machine, &room, machine->settings.disk_max, "disk_max");
}

static char *explain_disk(const Machine *machine, const CgroupSet *groups) {
        const Settings *settings = &machine->settings;
        uint64_t limit_bytes = settings->disk_max;
        const char *setting = "disk_max";
        _cleanup_free_ char *path = NULL;
        Room room = { 0 };

        if (streq(settings->storage, "tmpfs") && settings->tmpfs_size.bytes < limit_bytes) {
                limit_bytes = settings->tmpfs_size.bytes;
                setting = "tmpfs_size";
        }
        if (machine_root_path(machine, &path) < 0)
                return NULL;
        _cleanup_close_ int root_fd = open_in_supervise(groups, path);
        if (root_fd < 0 || look(machine, root_fd, limit_bytes, &room) < 0)
                return NULL;
        return is_full(&room) ? say_full(machine, &room, limit_bytes, setting) : explain_shared(machine, groups);
}

/* How often processes were refused. */
typedef struct Refused {
        uint64_t own; /* with the machine's limit, or unless @told also with that of the whole job */
        uint64_t all; /* with that one */
        bool told;
} Refused;

static int count_refused(const Machine *machine, const CgroupSet *groups, Refused *ret) {
        _cleanup_cgroup_set_ CgroupSet slice = { 0 };
        uint64_t all;

        *ret = (Refused){ 0 };
        int r = cgroup_tasks_refused(groups, &ret->own);
        if (r < 0)
                return r;
        ret->told = supervisor_pick()->slice(machine->name, &slice) >= 0 && cgroup_tasks_refused_own(&slice, &all) >= 0;
        /* Nothing tells which of its containers a limit of the whole job hit: it is said once, of the job. */
        if (ret->told && !machine->names)
                ret->all = all;
        return 0;
}

/* Which limit it was. If the kernel does not tell, it may be the larger one, too. */
static char *describe_refused(const Machine *machine, bool all, bool told) {
        const uint64_t own = machine->settings.tasks_max, job = slice_limits(machine).tasks_max;
        bool together = slice_is_of(machine) || machine->network_of;
        char *text = NULL;

        if (all || job <= own)
                (void) string_printf(&text,
                                     "The job%s could not start more processes: %s as many as %s may have "
                                     "(job_tasks_max: %" PRIu64 ")",
                                     together ? " and its services" : "", together ? "they have" : "it has",
                                     together ? "they" : "it", job);
        else if (together && !told && job != UINT64_MAX)
                (void) string_printf(&text,
                                     "The %s could not start more processes: it has as many as it may have (tasks_max: "
                                     "%" PRIu64 "), or the job and its services together (job_tasks_max: %" PRIu64 ")",
                                     who_has(machine), own, job);
        else
                (void) string_printf(
                        &text,
                        "The %s could not start more processes: it has as many as it may have (tasks_max: %" PRIu64 ")",
                        who_has(machine), own);
        return text;
}

/* Each time that processes were refused is reported once. */
static char *explain_tasks(const Machine *machine, const MachineDirectory *directory, const CgroupSet *groups) {
        _cleanup_free_ char *text = machine_file_read(directory, MACHINE_FILE_TASKS_REFUSED);
        Refused said = { 0 }, now;
        char numbers[56];

        if (count_refused(machine, groups, &now) < 0)
                return NULL;
        if (text)
                (void) sscanf(text, "%" SCNu64 " %" SCNu64, &said.own, &said.all);
        if (now.own <= said.own && now.all <= said.all)
                return NULL;
        snprintf(numbers, sizeof(numbers), "%" PRIu64 " %" PRIu64, now.own, now.all);
        (void) machine_file_write(directory, MACHINE_FILE_TASKS_REFUSED, numbers);
        return describe_refused(machine, now.own <= said.own, now.told);
}

void machine_causes_find(const Machine *machine, const MachineDirectory *directory, MachineCauses *ret) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        if (supervisor_pick()->groups(machine->name, &groups) < 0)
                return;
        ret->memory = explain_memory(machine, directory, &groups);
        ret->disk = explain_disk(machine, &groups);
        ret->tasks = explain_tasks(machine, directory, &groups);
}
