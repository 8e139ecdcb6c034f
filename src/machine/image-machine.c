/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts a machine to work in an image, runs commands in it, and removes it again: for chroot-run, chroot-login and
 * maintenance. A machine in place writes to the tree itself, which nobody else may use meanwhile, and must leave none
 * of its own files there. */

#include "machine/image-machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/new-file.h"
#include "base/process.h"
#include "base/proxy.h"
#include "base/string.h"
#include "container/channel.h"
#include "container/nspawn.h"
#include "container/volume.h"
#include "machine/collect.h"
#include "machine/explain.h"
#include "machine/plan.h"
#include "machine/remove.h"
#include "machine/start.h"
#include "machine/tree-files.h"
#include "storage/storage.h"
#include "tree/copy-tree.h"

#define ID_PREFIX "image-"
/* Whoever looks at the machines holds the lock of a directory for a moment. */
#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)
/* How long a supervisor may take to write why its container ended. */
#define ENDED_TIMEOUT_USEC (2 * USEC_PER_SEC)

static void image_machine_free(ImageMachine *machine) {
        if (!machine)
                return;
        machine_free(machine->machine);
        machine_directory_done(&machine->directory);
        tree_files_free(machine->files);
        free(machine);
}
DEFINE_CLEANUP(ImageMachine *, image_machine_free)

static int make_id(char **ret) {
        char number[RANDOM_NAME_BYTES];

        int r = random_name(number);
        return r < 0 ? r : string_printf(ret, ID_PREFIX "%s", number);
}

/* Nobody is there to answer apt's questions. */
static int add_surroundings(char ***environment) {
        int r = proxy_environment(environment);
        return r < 0 ? r : strv_extend(environment, "DEBIAN_FRONTEND=noninteractive");
}

/* The request for a machine in a tree, and what must live as long as the request. */
typedef struct Parts {
        MachineRequest machine;
        Generation *known;
        char *id;
        char **environment;
        int tree_fd; /* of request->tree */
} Parts;

static void parts_done(Parts *parts) {
        generation_free(parts->known);
        free(parts->id);
        strv_free(parts->environment);
        closep(&parts->tree_fd);
}

static int take_tree(const ImageMachineRequest *request, Parts *parts) {
        parts->tree_fd = open(request->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (parts->tree_fd < 0)
                return -errno;
        int r = request->environment ? strv_copy(request->environment, &parts->environment) : 0;
        if (r < 0)
                return r;
        if (request->in_place) {
                r = add_surroundings(&parts->environment);
                if (r < 0)
                        return r;
        }
        parts->machine.image = request->name;
        parts->machine.tree_path = request->tree;
        parts->machine.tree_fd = parts->tree_fd;
        parts->machine.in_place = request->in_place;
        parts->machine.eager = request->in_place; /* playbooks and packages take the system as it is */
        parts->machine.interactive = request->interactive;
        parts->machine.hostname = request->hostname;
        parts->machine.environment = parts->environment;
        parts->machine.user = request->user;
        parts->machine.working_dir = request->working_dir;
        return 0;
}

static int find_parts(const ImageMachineRequest *request, Parts *parts) {
        int r = make_id(&parts->id);
        if (r < 0)
                return r;
        parts->machine.settings = request->settings;
        parts->machine.id = parts->id;
        parts->machine.owned = true;
        return request->image ? plan_take_image(&parts->machine, request->image, &parts->known) :
                                take_tree(request, parts);
}

/* Each is a volume in the machine's own layer. */
static int copy_path(const Machine *machine, size_t i, char **ret) {
        return string_printf(ret, "%s/" LAYER_VOLUMES "/copy%zu", machine->layer, i);
}

static int plan_copies(const ImageMachineRequest *request, Machine *machine) {
        for (size_t i = 0; i < request->n_copies; i++) {
                _cleanup_free_ char *path = NULL;

                int r = copy_path(machine, i, &path);
                if (r < 0)
                        return r;
                r = volume_add(&machine->volumes, path, request->copies[i].target, false, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Called when the machine has started and we have run nothing in it. What starts there by itself can already write to
 * the copies, but cannot lead us elsewhere. */
static int make_copies(const ImageMachineRequest *request, const Machine *machine, Problem *reterr_problem) {
        for (size_t i = 0; i < request->n_copies; i++) {
                _cleanup_free_ char *path = NULL;

                int r = copy_path(machine, i, &path);
                if (r < 0)
                        return r;
                _cleanup_close_ int fd = open_without_symlinks(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
                r = fd < 0 ? fd : copy_tree(request->copies[i].source_fd, fd, NULL, request->cancel_fd);
                if (r < 0)
                        return problem_set(reterr_problem, r, "Cannot copy what is to be at '%s': %m",
                                           request->copies[i].target);
        }
        return 0;
}

static int plan(const ImageMachineRequest *full, const MachineRequest *request, ImageMachine *machine, char ***ret_argv,
                Problem *reterr_problem) {
        int r = plan_machine(request, &machine->machine, reterr_problem);
        if (r != 0)
                return r;
        r = plan_copies(full, machine->machine);
        if (r < 0)
                return r;
        r = plan_seccomp(request, machine->machine, reterr_problem);
        return r != 0 ? r : plan_supervise_command(request->settings, request->id, ret_argv);
}

/* Why a machine ended that ended by itself, to be freed; NULL: it is not known. */
static char *why_it_ended(const MachineDirectory *directory) {
        machine_file_wait(directory, MACHINE_FILE_ENDED, ENDED_TIMEOUT_USEC);
        return machine_file_read(directory, MACHINE_FILE_ENDED);
}

static const char *last_line(char *text) {
        size_t n = text ? strlen(text) : 0;

        while (n > 0 && text[n - 1] == '\n')
                text[--n] = 0;
        const char *newline = n > 0 ? strrchr(text, '\n') : NULL;
        return newline ? newline + 1 : text;
}

/* Adds what the container said before it ended. */
static void add_last_words(const ImageMachine *machine, Problem *problem) {
        _cleanup_free_ char *why = why_it_ended(&machine->directory);
        _cleanup_free_ char *console = machine_file_read(&machine->directory, MACHINE_FILE_CONSOLE);
        const char *line = last_line(console);

        (void) problem_set(problem, 0, "%s%s%s%s%s", problem->text, why ? ": " : "", why ? why : "",
                           isempty(line) ? "" : "; the last line of its console: ", isempty(line) ? "" : line);
}

/* The caller holds the lock of the directory. */
static int start_locked(const ImageMachineRequest *full, const MachineRequest *request, ImageMachine *machine,
                        Problem *reterr_problem) {
        _cleanup_strv_ char **argv = NULL;

        int r = plan(full, request, machine, &argv, reterr_problem);
        if (r != 0)
                return r < 0 ? r : -ENOEXEC;
        if (request->in_place) {
                r = tree_files_save(request->tree_fd, &machine->files);
                if (r < 0)
                        return r;
        }
        r = machine_start(machine->machine, &machine->directory, argv, request->tree_fd,
                          request->settings->start_timeout_usec, full->cancel_fd, reterr_problem);
        if (r == START_NOT_READY)
                add_last_words(machine, reterr_problem);
        if (r != 0)
                return r == START_CANCELLED ? -EINTR : r > 0 ? -ENOEXEC : r;
        r = make_copies(full, machine->machine, reterr_problem);
        if (r < 0)
                return r;
        return machine->files ? tree_files_note(request->tree_fd, machine->files) : 0;
}

static int start(const ImageMachineRequest *request, ImageMachine **ret, Problem *reterr_problem) {
        _cleanup_(image_machine_freep) ImageMachine *machine = calloc(1, sizeof(ImageMachine));
        _cleanup_(parts_done) Parts parts = { .machine = MACHINE_REQUEST_NONE, .tree_fd = -EBADF };

        if (!machine)
                return -ENOMEM;
        machine->settings = request->settings;
        machine->directory = MACHINE_DIRECTORY_NONE;
        /* Best effort. Unlike in `prepare`, also what has just ended goes: a command that was killed is called again. */
        (void) machine_collect(request->settings, false, NULL);
        int r = find_parts(request, &parts);
        if (r < 0)
                return r;
        r = machine_directory_lock(request->settings->runtime_dir, parts.id, true, DIRECTORY_TIMEOUT_USEC,
                                   &machine->directory);
        if (r < 0)
                return r;
        r = start_locked(request, &parts.machine, machine, reterr_problem);
        if (r < 0) {
                (void) machine_remove_locked(request->settings, parts.id);
                return r;
        }
        /* From here on, the locks of its supervisor say that the machine is alive. */
        (void) lock_try(machine->directory.fd, LOCK_UN);
        *ret = TAKE_PTR(machine);
        return 0;
}

int image_machine_start(const ImageMachineRequest *request, ImageMachine **ret, Problem *reterr_problem) {
        *reterr_problem = (Problem){ 0 };
        if (!nspawn_is_installed())
                return problem_set(reterr_problem, -ENOENT,
                                   "systemd-nspawn is not installed: it is in package systemd-container");
        int r = start(request, ret, reterr_problem);
        if (r < 0 && !reterr_problem->text[0])
                return problem_set(reterr_problem, r, "Cannot start a container of image '%s': %m",
                                   request->image ? request->image->title : request->name);
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
                full.kill_timeout_usec = plan->settings.kill_timeout_usec;
        _cleanup_close_ int socket_fd = channel_connect(machine->directory.path);
        if (socket_fd == -ECONNREFUSED) {
                *ret = (StepOutcome){ .result = STEP_MACHINE_GONE, .error = ECONNREFUSED };
                return 0;
        }
        return socket_fd < 0 ? socket_fd : step_run(socket_fd, &full, ret);
}

void image_machine_explain(const ImageMachine *machine, const StepOutcome *outcome, Problem *ret) {
        _cleanup_free_ char *why = NULL;
        const int error = -outcome->error;

        switch (outcome->result) {
        case STEP_EXITED:
                if (outcome->exited.code == CLD_EXITED)
                        (void) problem_set(ret, error, "ended with exit status %d", outcome->exited.status);
                else
                        (void) problem_set(ret, error, "was killed by %s", signal_name(outcome->exited.status));
                break;
        case STEP_NO_SHELL:
                (void) problem_set(ret, error, "%m");
                if (error == -ENOEXEC)
                        explain_exec(machine->machine, "it", ENOEXEC, ret);
                (void) problem_set(ret, error, "cannot be executed: %s", ret->text);
                break;
        case STEP_NO_USER:
                (void) problem_set(ret, error, "cannot run as user '%s': the image has no such user",
                                   machine->machine->user ? machine->machine->user : "root");
                break;
        case STEP_NO_DIRECTORY:
                (void) problem_set(ret, error, "cannot enter its working directory: %m");
                break;
        case STEP_NO_HELPER: /* these machines have none */
        case STEP_FAILED:
                (void) problem_set(ret, error, "could not be started by the agent: %m");
                break;
        case STEP_CANCELLED:
                (void) problem_set(ret, error, "was cancelled by %s", signal_name(outcome->signal));
                break;
        case STEP_MACHINE_GONE:
                why = why_it_ended(&machine->directory);
                (void) problem_set(ret, error, "lost its container%s%s", why ? ": " : "", why ? why : "");
                break;
        }
}

/* Ends the machine. If it worked in the tree itself, puts the tree's own files back. */
static int stop_and_restore(const ImageMachine *machine) {
        const Machine *plan = machine->machine;

        int r = machine_remove(machine->settings, plan->id);
        if (r < 0 || !machine->files)
                return r;
        _cleanup_close_ int tree_fd = open_directory_at(AT_FDCWD, plan->image_path, false, 0);
        if (tree_fd < 0)
                return tree_fd;
        return tree_files_restore(tree_fd, machine->files, plan->hostname ? plan->hostname : plan->name);
}

int image_machine_stop(ImageMachine *machine) {
        if (!machine)
                return 0;
        int r = stop_and_restore(machine);
        image_machine_free(machine);
        return r;
}
