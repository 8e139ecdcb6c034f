/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <signal.h>
#include <sys/signalfd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/command.h"
#include "cli/image-common.h"
#include "cli/job-common.h"
#include "container/nspawn.h"
#include "container/seccomp.h"
#include "gitlab/exit-status.h"
#include "image/generation.h"
#include "job/job.h"
#include "job/plan.h"

/* Whoever looks at the jobs, as `status` does, holds the lock of a directory for a moment. */
#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* Whose fault is it that the image cannot be had? The job's, if it named it. */
static int image_failure(const ImageChoice *choice, int error) {
        return choice->source == IMAGE_OF_JOB ? STAGE_BUILD_FAILURE : error;
}

/* An old generation of an allowed image is allowed; a directory that is just called so is another image. @image is NULL
 * before anything was opened: then the name may yet be either. */
static bool is_allowed(const Settings *settings, const ImageChoice *choice, const Image *image) {
        _cleanup_free_ char *name = NULL;
        uint64_t number;

        if (plan_image_allowed(settings, choice))
                return true;
        if (image)
                return plan_image_allowed(settings, &(ImageChoice){ image->name, choice->source });
        return generation_split(choice->name, &name, &number) >= 0 &&
               plan_image_allowed(settings, &(ImageChoice){ name, choice->source });
}

static int explain_not_allowed(const ImageChoice *choice) {
        log_error("Image '%s' is not among this runner's allowed_images", choice->name);
        return STAGE_BUILD_FAILURE;
}

static int open_image(const Settings *settings, const ImageChoice *choice, Image **ret) {
        _cleanup_image_ Image *image = NULL;

        if (!choice->name) {
                log_error("The job names no image ('image:' in .gitlab-ci.yml), and there is no default: give "
                          "--default-image to prepare, or set default_image in the configuration");
                return STAGE_BUILD_FAILURE;
        }
        const char *problem = image_name_problem(choice->name);
        if (problem) {
                log_error("Image name '%.200s' %s", choice->name, problem);
                return image_failure(choice, -EINVAL);
        }
        if (!is_allowed(settings, choice, NULL))
                return explain_not_allowed(choice);

        int r = generation_hold_reference(settings->root_dir, choice->name, &image);
        if (r >= 0 && !is_allowed(settings, choice, image))
                return explain_not_allowed(choice);
        if (r >= 0) {
                *ret = TAKE_PTR(image);
                return 0;
        }
        if (r == -ENOENT && access(settings->root_dir, F_OK) < 0) {
                log_error("The image root '%s' does not exist: make an image with 'nspawn-runner chroot-create %s'",
                          settings->root_dir, choice->name);
                return r;
        }
        if (r == -ENOENT) {
                log_no_image(settings, choice->name);
                return STAGE_BUILD_FAILURE; /* also a default image: no retry makes it */
        }
        if (r == -ENODATA || r == -ENOTDIR || r == -ELOOP) {
                log_error("'%s/%s' is not an image: %s", settings->root_dir, choice->name,
                          r == -ENODATA ? "it holds no root file system (empty, or half made)" :
                                          "it is not a directory (symlinks are not followed)");
                log_available_images(settings);
                return STAGE_BUILD_FAILURE;
        }
        if (r == -EBUSY)
                log_error("Image '%s' is being removed, or an older version of nspawn-runner changes it in place",
                          choice->name);
        else
                log_error_errno(r, "Cannot open image '%s' in '%s': %m", choice->name, settings->root_dir);
        return r;
}

static int explain_plan(const Settings *settings, const Image *image, int r) {
        if (r == -ENOEXEC) {
                log_error("Image '%s' has no systemd to boot, and its definition or the configuration says 'boot: yes'",
                          image->name);
                return STAGE_BUILD_FAILURE;
        }
        if (r == -ENOSYS)
                log_error("There is no storage driver '%s'", settings->storage);
        else if (r == -EPROTO)
                log_error("nspawn-runner-agent is not installed: it belongs beside nspawn-runner, or in " LIBEXECDIR);
        else
                log_error_errno(r, "Cannot plan the machine: %m");
        return r;
}

/* The filter is compiled by the first job after the host's boot. */
static int add_seccomp_filter(const Settings *settings, Machine *machine) {
        _cleanup_free_ char *directory = NULL;
        const char *unknown = NULL;

        if (!settings->seccomp)
                return 0;
        if (string_printf(&directory, "%s/seccomp", settings->runtime_dir) < 0)
                return log_oom();
        int r = seccomp_filter_prepare(directory, settings->system_call_filter, &machine->seccomp_filter, &unknown);
        if (r == -EINVAL && unknown)
                log_error("system_call_filter: there is no system call or group '%s'", unknown);
        else if (r == -ENOENT)
                log_error(
                        "The seccomp filter cannot be made: libseccomp2 or systemd-analyze (package systemd) is missing");
        else if (r < 0)
                log_error_errno(r, "Cannot make the seccomp filter in '%s': %m", directory);
        return r;
}

static int explain_start(const Settings *settings, const Machine *machine, const JobDirectory *directory,
                         StartStep step, int r) {
        switch (step) {
        case START_STATE:
                return log_error_errno(r, "Cannot write the job's state to '%s': %m", directory->path);
        case START_LAYER:
                if (r == -ELIBACC)
                        log_error(
                                "Storage driver '%s' needs a library that is not installed: see 'nspawn-runner doctor'",
                                machine->storage);
                else
                        log_error_errno(r, "Cannot make the job's layer '%s' (storage %s): %m", machine->layer,
                                        machine->storage);
                return r;
        case START_SUPERVISOR:
                if (r == -EEXIST) {
                        log_error("A job with id %s runs already, under another runtime_dir", machine->id);
                        return r;
                }
                return log_error_errno(r, "Cannot start the machine's supervisor (%s): %m", machine->supervisor);
        case START_READY:
                break;
        }
        if (r == -EINTR)
                log_error("Cancelled while the machine was starting");
        else if (r == -ETIMEDOUT)
                log_error("The machine did not get ready within %llu s (start_timeout)",
                          (unsigned long long) (settings->start_timeout_usec / USEC_PER_SEC));
        else if (r == -ECONNRESET)
                log_error("The machine of image '%s' ended while it was starting", machine->image);
        else
                log_error_errno(r, "The machine's agent cannot be talked to: %m");
        if (r != -EINTR)
                log_end_of_machine(directory);
        return r;
}

/* The command that carries the machine out: ourselves, with the configuration of this call. */
static int supervise_command(const Invocation *invocation, const char *id, char ***ret) {
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *self = NULL, *directory = NULL;

        int r = own_executable(&self, &directory);
        if (r >= 0)
                r = strv_extend(&argv, self);
        if (r >= 0 && log_get_level() >= LOG_LEVEL_DEBUG)
                r = strv_extend(&argv, "--debug");
        if (r >= 0)
                r = strv_extend(&argv, "supervise");
        if (r >= 0)
                r = strv_extendf(&argv, "%s/jobs/%s", invocation->settings->runtime_dir, id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

static int start(const Invocation *invocation, const Settings *settings, const JobIdentity *identity,
                 const JobDirectory *directory, const Image *image, int signal_fd) {
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_strv_ char **argv = NULL;
        StartStep step;

        if (!nspawn_is_installed()) {
                log_error("systemd-nspawn is not installed: it is in package systemd-container");
                return -ENOENT;
        }
        int r = plan_machine(settings, identity, directory, image, &machine);
        if (r < 0)
                return explain_plan(settings, image, r);
        r = add_seccomp_filter(settings, machine);
        if (r < 0)
                return r;
        r = supervise_command(invocation, identity->id, &argv);
        if (r < 0)
                return log_error_errno(r, "Cannot find our own executable: %m");

        log_notice("Starting machine %s from image '%s' (storage %s, %s)", machine->name, image->name, machine->storage,
                   machine->init ? "booting its systemd" : "without an init system");
        r = job_start(machine, directory, argv, image->fd, settings->start_timeout_usec, signal_fd, &step);
        return r < 0 ? explain_start(settings, machine, directory, step, r) : 0;
}

/* SIGTERM and the like, as a descriptor: what is half started is removed before we go. */
static int watch_signals(void) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
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

int cmd_prepare(const Invocation *invocation) {
        const Settings *settings = invocation->settings, *image_settings = NULL;
        _cleanup_(settings_done) Settings storage = { 0 };
        _cleanup_job_directory_ JobDirectory directory = JOB_DIRECTORY_NONE;
        _cleanup_identity_ JobIdentity identity = { 0 };
        _cleanup_image_ Image *image = NULL;

        _cleanup_close_ int signal_fd = watch_signals();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        int r = find_job(invocation, &identity);
        if (r < 0)
                return r;
        ImageChoice choice = plan_choose_image(settings, &identity, invocation_argument(invocation, 0),
                                               invocation_option(invocation, "default-image"));
        r = open_image(settings, &choice, &image);
        if (r == 0)
                r = image_settings_logged(settings, image->name, &storage, &image_settings);
        if (r != 0)
                return r;

        if (identity.response.n_services > 0)
                log_warning("This driver starts no services: 'services:' of the job is ignored");
        (void) job_collect(settings, false, NULL); /* best effort: `gc` tells what is wrong */
        r = take_directory(settings, identity.id, &directory);
        if (r < 0)
                return r;
        r = start(invocation, image_settings, &identity, &directory, image, signal_fd);
        if (r != 0) {
                int q = job_remove_locked(settings, identity.id);
                if (q < 0)
                        log_warning("Not all of the failed start could be removed: 'nspawn-runner gc' will");
        }
        return r;
}
