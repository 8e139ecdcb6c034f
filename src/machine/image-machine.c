/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/image-machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/proxy.h"
#include "base/string.h"
#include "container/channel.h"
#include "container/nspawn.h"
#include "image/image.h"
#include "machine/explain.h"
#include "machine/plan.h"
#include "machine/remove.h"
#include "machine/tree-files.h"
#include "storage/storage.h"

#define ID_PREFIX "image-"
/* Whoever looks at the jobs holds the lock of a directory for a moment. */
#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)
/* From the end of the container until its supervisor has written why. */
#define ENDED_TIMEOUT_USEC (2 * USEC_PER_SEC)

static void image_machine_free(ImageMachine *machine) {
        if (!machine)
                return;
        machine_free(machine->machine);
        job_directory_done(&machine->directory);
        tree_files_free(machine->files);
        free(machine);
}
DEFINE_CLEANUP(ImageMachine *, image_machine_free)

static int make_job(JobSpec *ret) {
        uint64_t number;

        if (getrandom(&number, sizeof(number), 0) != sizeof(number))
                return -EIO;
        return string_printf(&ret->id, ID_PREFIX "%016llx", (unsigned long long) number);
}

static int open_tree_as_image(const ImageMachineRequest *request, Image **ret) {
        _cleanup_image_ Image *image = calloc(1, sizeof(Image));

        if (!image)
                return -ENOMEM;
        image->fd = open(request->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (image->fd < 0)
                return -errno;
        if (string_replace(&image->name, request->name) < 0 || string_replace(&image->title, request->name) < 0 ||
            string_replace(&image->path, request->tree) < 0 || string_replace(&image->current_path, request->tree) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(image);
        return 0;
}

/* It ends with us. */
static int set_owner(Machine *machine) {
        machine->owner_pid = (uint64_t) getpid();
        return process_start_time(getpid(), &machine->owner_start);
}

/* For whoever installs something: nobody is there to answer apt. */
static int add_surroundings(char ***environment) {
        int r = proxy_environment(environment);
        return r < 0 ? r : strv_extend(environment, "DEBIAN_FRONTEND=noninteractive");
}

static int adjust(const ImageMachineRequest *request, Machine *machine) {
        int r = set_owner(machine);

        if (r >= 0 && request->in_place)
                r = string_replace(&machine->storage, storage_tree.name);
        if (r >= 0 && request->environment) {
                strv_free(TAKE_PTR(machine->environment));
                r = strv_copy(request->environment, &machine->environment);
        }
        if (r >= 0 && request->in_place)
                r = add_surroundings(&machine->environment);
        if (r >= 0 && request->user)
                r = string_replace(&machine->user, request->user);
        if (r >= 0 && request->working_dir)
                r = string_replace(&machine->working_dir, request->working_dir);
        return r;
}

static int plan(const ImageMachineRequest *request, const JobSpec *job, const Image *image, ImageMachine *machine,
                char ***ret_argv, char **ret_problem) {
        Settings settings = *request->settings; /* borrows everything */
        const char *unknown = NULL;

        if (request->in_place) {
                settings.network = NETWORK_HOST;
                settings.bind = settings.bind_ro = NULL;
        }
        int r = plan_machine(&settings, job, &machine->directory, image, &machine->machine);
        if (r >= 0)
                r = adjust(request, machine->machine);
        if (r >= 0)
                r = plan_seccomp(&settings, image, machine->machine, &unknown);
        if (r >= 0)
                r = plan_supervise_command(&settings, job->id, ret_argv);
        if (r < 0)
                *ret_problem = explain_plan(&settings, image->title, r, unknown);
        return r;
}

/* Of a machine that ended by itself. */
static char *why_it_ended(const JobDirectory *directory) {
        job_file_wait(directory, JOB_FILE_ENDED, ENDED_TIMEOUT_USEC);
        return job_file_read(directory, JOB_FILE_ENDED);
}

static const char *last_line(char *text) {
        size_t n = text ? strlen(text) : 0;

        while (n > 0 && text[n - 1] == '\n')
                text[--n] = 0;
        const char *newline = n > 0 ? strrchr(text, '\n') : NULL;
        return newline ? newline + 1 : text;
}

static void explain_failed_start(const ImageMachine *machine, StartStep step, int error, char **ret_problem) {
        _cleanup_free_ char *what = explain_start(machine->settings, machine->machine, &machine->directory, step,
                                                  error);

        if (step != START_READY || error == -EINTR || error == -ENOEXEC) {
                *ret_problem = TAKE_PTR(what);
                return;
        }
        _cleanup_free_ char *why = why_it_ended(&machine->directory);
        _cleanup_free_ char *console = job_file_read(&machine->directory, JOB_FILE_CONSOLE);
        const char *line = last_line(console);
        if (what)
                (void) string_printf(
                        ret_problem, "%s%s%s%s%s", what, why ? ": " : "", why ? why : "",
                        isempty(line) ? "" : "; the last line of its console: ", isempty(line) ? "" : line);
}

/* With the directory locked. */
static int start_locked(const ImageMachineRequest *request, const JobSpec *job, const Image *image,
                        ImageMachine *machine, char **ret_problem) {
        _cleanup_strv_ char **argv = NULL;
        StartStep step;

        int r = plan(request, job, image, machine, &argv, ret_problem);
        if (r < 0)
                return r;
        if (request->in_place) {
                r = tree_files_save(image->fd, &machine->files);
                if (r < 0)
                        return r;
        }
        r = job_start(machine->machine, &machine->directory, argv, image->fd, request->settings->start_timeout_usec,
                      request->cancel_fd, &step);
        if (r < 0) {
                explain_failed_start(machine, step, r, ret_problem);
                return r;
        }
        return machine->files ? tree_files_note(image->fd, machine->files) : 0;
}

static int start(const ImageMachineRequest *request, ImageMachine **ret, char **ret_problem) {
        _cleanup_(image_machine_freep) ImageMachine *machine = calloc(1, sizeof(ImageMachine));
        _cleanup_job_spec_ JobSpec job = { 0 };
        const Image *image = request->image;
        _cleanup_image_ Image *tree = NULL;

        if (!machine)
                return -ENOMEM;
        machine->settings = request->settings;
        machine->directory = JOB_DIRECTORY_NONE;
        (void) job_collect(request->settings, false, NULL); /* best effort, as in `prepare` */
        int r = make_job(&job);
        if (r >= 0 && !image) {
                r = open_tree_as_image(request, &tree);
                image = tree;
        }
        if (r >= 0)
                r = job_directory_lock(request->settings->runtime_dir, job.id, true, DIRECTORY_TIMEOUT_USEC,
                                       &machine->directory);
        if (r < 0)
                return r;
        r = start_locked(request, &job, image, machine, ret_problem);
        if (r < 0) {
                (void) job_remove_locked(request->settings, job.id);
                return r;
        }
        /* It is its supervisor that says from here on that it lives. */
        (void) flock(machine->directory.fd, LOCK_UN);
        *ret = TAKE_PTR(machine);
        return 0;
}

int image_machine_start(const ImageMachineRequest *request, ImageMachine **ret, char **ret_problem) {
        *ret_problem = NULL;
        if (!nspawn_is_installed()) {
                *ret_problem = strdup("systemd-nspawn is not installed: it is in package systemd-container");
                return -ENOENT;
        }
        int r = start(request, ret, ret_problem);
        if (r < 0 && !*ret_problem)
                (void) string_printf(ret_problem, "Cannot start a machine of image '%s': %s",
                                     request->image ? request->image->title : request->name, strerror(-r));
        return r;
}

int image_machine_run(const ImageMachine *machine, const StepRequest *request, StepOutcome *ret) {
        const Machine *plan = machine->machine;
        StepRequest full = *request;

        if (!full.environment)
                full.environment = plan->environment;
        if (!full.user)
                full.user = plan->user;
        if (!full.directory)
                full.directory = plan->working_dir;
        full.machine = machine->directory.path;
        if (full.kill_timeout_usec == 0)
                full.kill_timeout_usec = plan->kill_timeout_usec;
        _cleanup_close_ int socket_fd = channel_connect(machine->directory.path);
        if (socket_fd == -ECONNREFUSED) {
                *ret = (StepOutcome){ .result = STEP_MACHINE_GONE, .error = ECONNREFUSED };
                return 0;
        }
        return socket_fd < 0 ? socket_fd : step_run(socket_fd, &full, ret);
}

char *image_machine_explain(const ImageMachine *machine, const StepOutcome *outcome) {
        _cleanup_free_ char *why = NULL;
        char *text = NULL;

        switch (outcome->result) {
        case STEP_EXITED:
                if (outcome->exited.code == CLD_EXITED)
                        (void) string_printf(&text, "ended with exit status %d", outcome->exited.status);
                else
                        (void) string_printf(&text, "was killed by %s", signal_name(outcome->exited.status));
                break;
        case STEP_NO_SHELL:
                why = outcome->error == ENOEXEC ? explain_exec(machine->machine, "it", ENOEXEC) : NULL;
                (void) string_printf(&text, "cannot be executed: %s", why ? why : strerror(outcome->error));
                break;
        case STEP_NO_USER:
                (void) string_printf(&text, "is to run as user '%s', whom the image does not have",
                                     machine->machine->user ? machine->machine->user : "root");
                break;
        case STEP_NO_DIRECTORY:
                (void) string_printf(&text, "is to start in a directory that cannot be entered: %s",
                                     strerror(outcome->error));
                break;
        case STEP_FAILED:
                (void) string_printf(&text, "could not be started by the agent: %s", strerror(outcome->error));
                break;
        case STEP_CANCELLED:
                (void) string_printf(&text, "was cancelled by %s", signal_name(outcome->signal));
                break;
        case STEP_MACHINE_GONE:
                why = why_it_ended(&machine->directory);
                (void) string_printf(&text, "lost its machine%s%s", why ? ": " : "", why ? why : "");
                break;
        }
        return text;
}

int image_machine_stop(ImageMachine *machine) {
        if (!machine)
                return 0;
        int r = job_remove(machine->settings, machine->machine->id);
        if (r >= 0 && machine->files) {
                _cleanup_close_ int tree_fd = open_directory_at(AT_FDCWD, machine->machine->image_path, false, 0);
                r = tree_fd < 0 ? tree_fd : tree_files_restore(tree_fd, machine->files, machine->machine->name);
        }
        image_machine_free(machine);
        return r;
}
