/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts a machine from its plan and waits until its agent answers, for all callers that want one. It must not remove
 * what a failed start leaves: machine_remove_locked() does. */

#include "machine/start.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"
#include "container/bind.h"
#include "container/channel.h"
#include "container/supervisor.h"
#include "container/volume.h"
#include "image/lock.h"
#include "machine/explain.h"
#include "machine/program.h"
#include "machine/remove.h"
#include "storage/storage.h"
#include "tree/check.h"
#include "tree/subvolume.h"

static int make_directory(int dir_fd, const char *name, mode_t mode) {
        if (mkdirat(dir_fd, name, mode) < 0)
                return errno == EEXIST ? 0 : -errno;
        /* Regardless of our umask. */
        return fchmodat(dir_fd, name, mode, 0) < 0 ? -errno : 0;
}

/* Makes an empty volume. As in Docker, every user of the container may write there. */
static int make_layer_volume(int layer_fd, const char *name) {
        /* A subvolume of its own: subvolumes that a job makes in it are removed with it. */
        if (btrfs_is(layer_fd) && btrfs_load_library() >= 0)
                (void) btrfs_subvolume_create(layer_fd, LAYER_VOLUMES);
        _cleanup_close_ int volumes_fd = open_directory_at(layer_fd, LAYER_VOLUMES, true, 0700);
        if (volumes_fd < 0)
                return volumes_fd;
        if (fchmod(volumes_fd, 0700) < 0)
                return -errno;
        return make_directory(volumes_fd, name, VOLUME_MODE);
}

/* Those of the volumes that are in the layer itself. */
static int make_layer_volumes(const Machine *machine, int layer_fd) {
        _cleanup_free_ char *above = NULL;

        int r = string_printf(&above, "%s/" LAYER_VOLUMES "/", machine->layer);
        if (r < 0)
                return r;
        for (char **text = machine->volumes; text && *text; text++) {
                _cleanup_volume_ Volume volume = { 0 };

                r = volume_parse(*text, &volume);
                if (r < 0)
                        return r;
                const char *name = startswith(volume.source, above);
                r = name ? make_layer_volume(layer_fd, name) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int machine_make_layer(const Machine *machine, int tree_fd, int *ret_layer_fd) {
        const StorageDriver *driver = storage_of_machine(machine->settings.storage);
        _cleanup_free_ char *layers = strdup(machine->layer);

        if (!layers)
                return -ENOMEM;
        *strrchr(layers, '/') = 0;
        if (mkdir(layers, 0700) < 0 && errno != EEXIST)
                return -errno;
        _cleanup_close_ int layer_fd = directory_lock(AT_FDCWD, machine->layer, true, LOCK_SH,
                                                      MACHINE_STOP_TIMEOUT_USEC);
        if (layer_fd < 0)
                return layer_fd;
        /* Nobody may remove the image while it is copied, or before the supervisor has it: the lock stays as long as the
         * caller has the image open. */
        int r = image_lock_shared(tree_fd);
        if (r < 0)
                return r;
        r = driver->create(tree_fd, layer_fd);
        if (r < 0)
                return r;
        r = make_layer_volumes(machine, layer_fd);
        if (r < 0)
                return r;
        *ret_layer_fd = TAKE_FD(layer_fd);
        return 0;
}

/* Checks the tree before anything is made for the machine: the root will have what the tree has. */
static int check_tree(const Machine *machine, int tree_fd, Problem *reterr_problem) {
        _cleanup_strv_ char **targets = NULL;
        Problem problem = { 0 };

        int r = bind_targets(machine, &targets);
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot read the plan's mounts: %m");
        r = tree_check(tree_fd, targets, &problem);
        if (r == TREE_REFUSED)
                return problem_set(reterr_problem, START_IMAGE_REFUSED, "Image '%s' cannot be used: %s", machine->image,
                                   problem.text);
        return r < 0 ? problem_set(reterr_problem, r, "Cannot look at image '%s': %m", machine->image) : 0;
}

static int fail_layer(const Machine *machine, int error, Problem *reterr_problem) {
        const char *storage = machine->settings.storage;

        if (error == -ELIBACC)
                return problem_set(reterr_problem, error,
                                   "Storage driver '%s' needs a library that is not installed: see 'nspawn-runner "
                                   "doctor'",
                                   storage);
        if (error == -ENOTTY && streq(storage, "btrfs"))
                return problem_set(
                        reterr_problem, error,
                        "Cannot make the job's layer '%s': 'storage: btrfs' needs btrfs, and the layer would "
                        "be on another file system",
                        machine->layer);
        return problem_set(reterr_problem, error, "Cannot make the job's layer '%s' (storage %s): %m", machine->layer,
                           storage);
}

static int start_supervisor(const Machine *machine, char *const argv[], int listen_fd, Problem *reterr_problem) {
        const Supervisor *supervisor = supervisor_pick();
        Problem problem = { 0 };

        int r = supervisor->start(machine, argv, listen_fd, &problem);
        if (r == -EEXIST) {
                /* A machine of this id still runs although its state was removed. */
                problem = (Problem){ 0 };
                r = supervisor->stop(machine->name, MACHINE_STOP_TIMEOUT_USEC);
                if (r == 0)
                        r = supervisor->start(machine, argv, listen_fd, &problem);
        }
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot start the container's supervisor (%s): %s",
                                   machine->supervisor, problem_text(&problem, r));
        return 0;
}

static int wait_ready(const Machine *machine, int socket_fd, int signal_fd, uint64_t timeout_usec,
                      Problem *reterr_problem) {
        int r = channel_wait_ready(socket_fd, signal_fd, timeout_usec, true);

        switch (r) {
        case -EINTR:
                return problem_set(reterr_problem, START_CANCELLED, "Cancelled while the container was starting");
        case -ETIMEDOUT:
                return problem_set(reterr_problem, START_NOT_READY,
                                   "The container did not get ready within %llu s (start_timeout)",
                                   (unsigned long long) (timeout_usec / USEC_PER_SEC));
        case -ECONNRESET:
                return problem_set(reterr_problem, START_NOT_READY,
                                   "The container of image '%s' ended while it was starting", machine->image);
        case -ENOEXEC:
                if (machine->command)
                        return problem_set(reterr_problem, START_NOT_EXECUTABLE,
                                           "Image '%s' cannot run the service's command '%s'", machine->image,
                                           machine->command[0]);
                explain_exec(machine, machine->init, ENOEXEC, reterr_problem);
                return START_NOT_EXECUTABLE;
        default:
                return r < 0 ? problem_set(reterr_problem, START_NOT_READY, "Cannot talk to the container's agent: %s",
                                           strerror(-r)) :
                               0;
        }
}

void machine_starting_done(MachineStarting *starting) {
        closep(&starting->socket_fd);
        closep(&starting->layer_fd);
        *starting = MACHINE_STARTING_NONE;
}

/* Writes the plan and makes the agent's socket. We connect to it before anybody serves it. */
static int make_state(const Machine *machine, const MachineDirectory *directory, int *ret_listen_fd,
                      int *ret_socket_fd) {
        int r = program_note(directory);
        if (r < 0)
                return r;
        r = machine_save(machine, directory);
        if (r < 0)
                return r;
        _cleanup_close_ int listen_fd = channel_listen(directory->path);
        if (listen_fd < 0)
                return listen_fd;
        int socket_fd = channel_connect(directory->path);
        if (socket_fd < 0)
                return socket_fd;
        *ret_listen_fd = TAKE_FD(listen_fd);
        *ret_socket_fd = socket_fd;
        return 0;
}

int machine_start_begin(const Machine *machine, const MachineDirectory *directory, char *const supervise_argv[],
                        int tree_fd, MachineStarting *ret, Problem *reterr_problem) {
        _cleanup_close_ int layer_fd = -EBADF, listen_fd = -EBADF, socket_fd = -EBADF;

        int r = make_state(machine, directory, &listen_fd, &socket_fd);
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot write the job's state to '%s': %m", directory->path);

        r = check_tree(machine, tree_fd, reterr_problem);
        if (r != 0)
                return r;
        r = machine_make_layer(machine, tree_fd, &layer_fd);
        if (r < 0)
                return fail_layer(machine, r, reterr_problem);
        r = start_supervisor(machine, supervise_argv, listen_fd, reterr_problem);
        if (r < 0)
                return r;

        /* The listening descriptor is closed here, so that the connection breaks as soon as the machine ends. */
        *ret = (MachineStarting){ .socket_fd = TAKE_FD(socket_fd), .layer_fd = TAKE_FD(layer_fd) };
        return 0;
}

int machine_start_wait(const Machine *machine, const MachineStarting *starting, uint64_t timeout_usec, int signal_fd,
                       Problem *reterr_problem) {
        return wait_ready(machine, starting->socket_fd, signal_fd, timeout_usec, reterr_problem);
}

int machine_start(const Machine *machine, const MachineDirectory *directory, char *const supervise_argv[], int tree_fd,
                  uint64_t timeout_usec, int signal_fd, Problem *reterr_problem) {
        _cleanup_machine_starting_ MachineStarting starting = MACHINE_STARTING_NONE;

        int r = machine_start_begin(machine, directory, supervise_argv, tree_fd, &starting, reterr_problem);
        return r != 0 ? r : machine_start_wait(machine, &starting, timeout_usec, signal_fd, reterr_problem);
}
