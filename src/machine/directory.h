/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/cgroup.h"
#include "container/machine.h"

/* The directory of a machine, `<runtime_dir>/jobs/<id>/`: there from before anything of the machine is started until all
 * of it is gone. It holds
 *      machine.json   its plan
 *      agent.sock     where its agent listens (container/channel.h)
 *      console.log    the end of what the container printed
 *      log.N          what the container printed, from byte N on (machine/log.h)
 *      ended          why the machine ended, if it did by itself
 *      network        how others join its segment (machine/segment.h)
 *      program        which program started it (machine/program.h)
 *      result         how its job ended, as far as its scripts say (machine/job-end.h)
 *      failed         which script of its job failed (machine/kept.h)
 *      kept           until when it is kept, and kept-size what it has written (machine/kept.h)
 *      steps          how long each step took (machine/usage.h)
 *      tasks-refused  how often a process could not be made because of tasks_max, when a script last said so
 *      oom-kills      how many of its processes were killed for want of memory, when a script last said so
 *      counted        says that its job is in metrics_file (cli/report.c)
 *      log-shown      how much of a service's log its job was shown (job/service-log.c)
 *      mount, root, work
 *                     where the supervisor mounts, in its own mount namespace
 *      binds          what the settings bind and bind_ro, and volumes, are mounted from (container/bind.h)
 *      tools, helper  programs of the host, and the root that GitLab's own stages run in (container/tools.h)
 * The process that makes or removes the machine holds an flock on the directory itself. */
typedef struct MachineDirectory {
        char *path;
        int fd;
} MachineDirectory;

#define MACHINE_DIRECTORY_NONE \
        (MachineDirectory) {   \
                .fd = -EBADF   \
        }

void machine_directory_done(MachineDirectory *directory);
#define _cleanup_machine_directory_ _cleanup_(machine_directory_done)

/* The path of the directory of machine @id, whether it is there or not: *ret is to be freed. 0 or -ENOMEM. */
int machine_directory_path(const char *runtime_dir, const char *id, char **ret);

/* Opens the directory of machine @id; @create makes it if it is missing. After 0, call machine_directory_done(). 0;
 * -EINVAL: @id cannot be an id; -ENOENT; or another -errno with @ret untouched. */
int machine_directory_open(const char *runtime_dir, const char *id, bool create, MachineDirectory *ret);

/* The same, and locks it until machine_directory_done(); waits up to @timeout_usec for another process that has the
 * lock. -EBUSY: it still has the lock. */
int machine_directory_lock(const char *runtime_dir, const char *id, bool create, uint64_t timeout_usec,
                           MachineDirectory *ret);

/* Does a process make or remove the machine at this moment? Several may ask at once. */
bool machine_directory_is_locked(const char *runtime_dir, const char *id);

/* Removes the directory with all that is in it, as the last step of removing a machine. */
int machine_directory_remove(const char *runtime_dir, const char *id);

/* Appends to @ids the ids that have a directory; without a runtime directory, there are none. 0 or -errno. */
int machine_directory_list(const char *runtime_dir, char ***ids);

/* The directory of all layers, in root_dir. */
#define LAYERS_DIRECTORY ".layers"

/* Opens the layer @name in `<root_dir>/.layers`; @create makes it if it is missing. Returns its descriptor, which is
 * the caller's, or -errno. */
int layer_open(const char *root_dir, const char *name, bool create);
/* Appends to @ids what follows @prefix in the names of layers, see machine_prefix(). 0 or -errno. */
int layers_list(const char *root_dir, const char *prefix, char ***ids);

/* Write the plan, completely or not at all, and read it; *ret is for machine_free(). 0; -EBADMSG: a value has the wrong type;
 * or another -errno. */
int machine_save(const Machine *machine, const MachineDirectory *directory);
int machine_load(const MachineDirectory *directory, Machine **ret);

/* Short texts, at most 64 KiB. Reading returns a text to be freed, or NULL if there is none or it is empty; writing returns 0
 * or -errno. */
#define MACHINE_FILE_CONSOLE "console.log"
#define MACHINE_FILE_ENDED "ended"
#define MACHINE_FILE_NETWORK "network"
#define MACHINE_FILE_OOM_KILLS "oom-kills"
#define MACHINE_FILE_TASKS_REFUSED "tasks-refused"
char *machine_file_read(const MachineDirectory *directory, const char *name);
/* Waits at most @timeout_usec for the file to appear: its writer may be slower than its reader. */
void machine_file_wait(const MachineDirectory *directory, const char *name, uint64_t timeout_usec);
int machine_file_write(const MachineDirectory *directory, const char *name, const char *text);
