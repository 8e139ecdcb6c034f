/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/cgroup.h"
#include "container/machine.h"

/* The directory of a job, `<runtime_dir>/jobs/<id>/`: there from before anything of the job is started until all of it is
 * gone. It holds
 *      machine.json   the plan of its machine
 *      agent.sock     where its agent listens (container/channel.h)
 *      console.log    the end of what the container printed
 *      ended          why the machine ended, if it did by itself
 *      oom-kills      how many of its processes were killed for want of memory, when a script last said so
 *      root, work     where the supervisor mounts, in its own mount namespace
 * An flock on the directory itself is held by whoever makes or removes it. */
typedef struct JobDirectory {
        char *path;
        int fd;
} JobDirectory;

#define JOB_DIRECTORY_NONE   \
        (JobDirectory) {     \
                .fd = -EBADF \
        }

void job_directory_done(JobDirectory *directory);
#define _cleanup_job_directory_ _cleanup_(job_directory_done)

/* Opens the directory of job @id. With @create it is made if missing. 0, -ENOENT, or -errno. */
int job_directory_open(const char *runtime_dir, const char *id, bool create, JobDirectory *ret);

/* Opens and locks it, waiting up to @timeout_usec for who has the lock. -EBUSY when somebody still has it; -ENOENT when
 * missing and not @create. */
int job_directory_lock(const char *runtime_dir, const char *id, bool create, uint64_t timeout_usec, JobDirectory *ret);

/* Does somebody make or remove the job at this moment? Looking does not disturb others who look. */
bool job_directory_is_locked(const char *runtime_dir, const char *id);

/* Removes the directory with all that is in it: the last step of removing a job. */
int job_directory_remove(const char *runtime_dir, const char *id);

/* The ids that have a directory: appended to @ids. 0 or -errno; no runtime directory is no job. */
int job_directory_list(const char *runtime_dir, char ***ids);

/* The layer called @name in `<root_dir>/.layers`: descriptor or -errno. */
int layer_open(const char *root_dir, const char *name, bool create);
/* What the names of layers there have after @prefix, see machine_prefix(): as job_directory_list(). */
int layers_list(const char *root_dir, const char *prefix, char ***ids);

/* The plan: written whole or not at all, read with every value checked for its type. 0, -EBADMSG, or -errno. */
int machine_save(const Machine *machine, const JobDirectory *directory);
int machine_load(const JobDirectory *directory, Machine **ret);

/* Short texts, at most 64 KiB: NULL where there is none. */
#define JOB_FILE_CONSOLE "console.log"
#define JOB_FILE_ENDED "ended"
#define JOB_FILE_OOM_KILLS "oom-kills"
char *job_file_read(const JobDirectory *directory, const char *name);
/* Waits for the file to be there, at most @timeout_usec: its reader may be faster than its writer. */
void job_file_wait(const JobDirectory *directory, const char *name, uint64_t timeout_usec);
int job_file_write(const JobDirectory *directory, const char *name, const char *text);
