/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/choose-image.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/job-common.h"
#include "container/cgroup.h"
#include "container/nspawn.h"
#include "container/supervisor.h"
#include "gitlab/exit-status.h"
#include "image/generation.h"
#include "machine/explain.h"
#include "machine/plan.h"
#include "machine/remove.h"

/* Whoever looks at the jobs, as `status` does, holds the lock of a directory for a moment. */
#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* For --verbose and --debug. */
static void log_plan(const Machine *machine, const Image *image, char *const *argv) {
        log_verbose("Image '%s' is '%s', generation %" PRIu64, image->title, image->current_path, image->generation);
        log_verbose("What the job changes goes to '%s'; its state is in '%s'", machine->layer, machine->directory);
        log_verbose("Users of the job's own: %s; system call filter: %s; supervisor: %s",
                    machine->private_users ? "yes" : "no", machine->seccomp_filter ? machine->seccomp_filter : "none",
                    machine->supervisor);
        for (; *argv; argv++)
                log_debug("Its command line: %s", *argv);
}

/* Says which limits do not bind, once for each job: those who wrote it may rely on them. */
static void warn_of_missing_limits(const Machine *machine) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        if (supervisor_pick()->groups(machine->name, &groups) < 0)
                return;
        unsigned limited = cgroup_limited(&groups);
        bool memory = (machine->memory_max_bytes != UINT64_MAX || machine->memory_high_bytes != UINT64_MAX) &&
                      !(limited & CGROUP_MEMORY);
        bool tasks = machine->tasks_max != UINT64_MAX && !(limited & CGROUP_PIDS);
        bool cpu = !(limited & CGROUP_CPU);
        if (memory || tasks || cpu)
                log_warning("Not limited on this host, which has no controller of control groups for it:%s%s%s",
                            memory ? " memory (memory_max, memory_high)" : "", tasks ? " processes (tasks_max)" : "",
                            cpu ? " CPU (cpu_weight)" : "");
}

static int start(const Settings *settings, const JobSpec *job, const JobDirectory *directory, const Image *image,
                 int signal_fd) {
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *problem = NULL;
        const char *unknown = NULL;
        StartStep step;

        if (!nspawn_is_installed()) {
                log_error("systemd-nspawn is not installed: it is in package systemd-container");
                return -ENOENT;
        }
        int r = plan_machine(settings, job, directory, image, &machine);
        if (r >= 0)
                r = plan_seccomp(settings, image, machine, &unknown);
        if (r >= 0)
                r = plan_supervise_command(settings, job->id, &argv);
        if (r < 0) {
                problem = explain_plan(settings, image->title, r, unknown);
                log_error("%s", problem ? problem : strerror(ENOMEM));
                return r == -ENOEXEC ? STAGE_BUILD_FAILURE : r;
        }

        if (plan_lacks_sockets(settings, image))
                log_warning("Image '%s' has programs of 32-bit x86, which cannot make sockets here, so they have no "
                            "network: the setting system_call_filter can let them ('socketcall')",
                            image->title);
        log_notice("Starting machine %s from image '%s' (storage %s, %s)", machine->name, image->title,
                   machine->storage, machine->init ? "booting its systemd" : "without an init system");
        log_plan(machine, image, argv);
        uint64_t begin_usec = clock_now_usec();
        r = job_start(machine, directory, argv, image->fd, settings->start_timeout_usec, signal_fd, &step);
        if (r >= 0) {
                log_verbose("Its agent answered after %" PRIu64 " ms", (clock_now_usec() - begin_usec) / USEC_PER_MSEC);
                warn_of_missing_limits(machine);
                return 0;
        }
        problem = explain_start(settings, machine, directory, step, r);
        log_error("%s", problem ? problem : strerror(ENOMEM));
        if (step == START_READY && r == -ENOEXEC)
                return STAGE_BUILD_FAILURE;
        if (step == START_READY && r != -EINTR)
                log_end_of_machine(directory);
        /* The job named it, and no retry makes it better. */
        return step == START_TREE && r == -EUCLEAN ? STAGE_BUILD_FAILURE : r;
}

/* Takes the job's directory, new: whatever an earlier attempt left is removed. */
static int take_directory(const Settings *settings, const char *id, JobDirectory *ret) {
        if (job_exists(settings, id)) {
                log_verbose("Removing what an earlier attempt left of job %s", id);
                int r = job_remove(settings, id);
                if (r < 0)
                        return log_error_errno(r, "Cannot remove what an earlier attempt left of job %s: %m", id);
        }
        int r = job_directory_lock(settings->runtime_dir, id, true, DIRECTORY_TIMEOUT_USEC, ret);
        if (r == -EBUSY)
                log_error("Job %s is being prepared by another process", id);
        else if (r < 0)
                log_error_errno(r, "Cannot make the job's directory in '%s': %m", settings->runtime_dir);
        return r;
}

/* The settings of the image, where its definition has some, unless the job must not have them. */
static int settings_of_image(const Settings *settings, const ImageChoice *choice, const Image *image, Settings *storage,
                             const Settings **ret) {
        int r = image_settings_logged(settings, image->title, storage, ret);
        if (r != 0)
                return r;
        if (settings->private_users && !(*ret)->private_users &&
            !plan_host_root_allowed(settings, choice->source, image->name)) {
                log_error(
                        "Image '%s' makes root of a job root of the host ('private_users: no' in its definition): jobs "
                        "may choose it only where allowed_images has its name, and not a pattern for it",
                        image->name);
                return STAGE_BUILD_FAILURE;
        }
        return 0;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings, *image_settings = NULL;
        _cleanup_(settings_done) Settings storage = { 0 };
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
        _cleanup_job_spec_ JobSpec job = { 0 };
        _cleanup_image_ Image *image = NULL;

        /* What is half started is removed before we go. */
        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        int r = find_job(invocation, &job);
        if (r < 0)
                return r;
        ImageChoice choice = plan_choose_image(settings, &job, invocation_argument(invocation, 0),
                                               invocation_option(invocation, "default-image"));
        r = choose_image(settings, &choice, signal_fd, &image);
        if (r == 0)
                r = settings_of_image(settings, &choice, image, &storage, &image_settings);
        if (r == 0)
                r = binds_checked_logged(settings, image->title, image_settings);
        if (r != 0)
                return r;

        if (job.n_services > 0)
                log_warning("This driver starts no services: 'services:' of the job is ignored");
        job_collect_some(settings, signal_fd);
        r = take_directory(settings, job.id, &directory);
        if (r < 0)
                return r;
        r = start(image_settings, &job, &directory, image, signal_fd);
        if (r != 0) {
                int q = job_remove_locked(settings, job.id);
                if (q < 0)
                        log_warning("Not all of the failed start could be removed: 'nspawn-runner gc' will");
        }
        return r;
}

static const CommandOption options[] = {
        { "default-image", "IMAGE", "image of jobs that name none", 0 },
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

const Command command_prepare = {
        .name = "prepare",
        .synopsis = "[IMAGE]",
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_STAGE,
        .run = run,
        .help = "Start the machine of a job",
};
