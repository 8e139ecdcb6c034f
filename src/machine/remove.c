/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Removes a machine, however it was started and however far that came: only its id is needed. The directory must go
 * last: if this is killed, it shows that there is more to remove. */

#include "machine/remove.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/string.h"
#include "container/nspawn.h"
#include "container/supervisor.h"
#include "container/uid-range.h"
#include "machine/directory.h"
#include "machine/segment-file.h"
#include "machine/services.h"
#include "storage/storage.h"
#include "storage/trash.h"

/* How long to wait for a lock. After that, what its holder may have started meanwhile is killed again. */
#define LOCK_ROUND_USEC (10 * USEC_PER_MSEC)

/* How long to remove layers ourselves before a process in the background goes on: most jobs write little. */
#define TRASH_PATIENCE_USEC (20 * USEC_PER_MSEC)

/* The path of a machine's layer, from its plan: `--root` may differ between two calls. Without a plan, where this
 * call's settings put it. */
static int layer_path(const Settings *settings, const char *id, char **ret) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        int r = machine_directory_open(settings->runtime_dir, id, false, &directory);
        if (r == 0)
                r = machine_load(&directory, &machine);
        if (r == 0)
                return string_replace(ret, machine->layer);
        if (r != -ENOENT && r != -EBADMSG)
                return r; /* there may be a plan with another path */
        char prefix[MACHINE_PREFIX_BYTES];
        machine_prefix(settings->runtime_dir, prefix);
        return string_printf(ret, "%s/" LAYERS_DIRECTORY "/%s%s", settings->root_dir, prefix, id);
}

int machine_layer_open(const Settings *settings, const char *id) {
        _cleanup_free_ char *path = NULL;

        int r = layer_path(settings, id, &path);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, false, 0);
}

int machine_layer_is_held(const Settings *settings, const char *id) {
        _cleanup_close_ int layer_fd = machine_layer_open(settings, id);

        if (layer_fd < 0)
                return layer_fd == -ENOENT ? 0 : layer_fd;
        int r = lock_try(layer_fd, LOCK_EX);
        return r == -EBUSY ? 1 : r;
}

/* The directory of images that a layer at @path is below. */
static int root_of_layer(const char *path, char **ret) {
        char *root = strdup(path);

        if (!root)
                return -ENOMEM;
        for (unsigned i = 0; i < 2; i++) {
                char *slash = strrchr(root, '/');
                if (slash)
                        *slash = 0;
        }
        *ret = root;
        return 0;
}

/* A full disk may have no room for the trash, and an administrator may have mounted something at the layers. */
static int remove_layer_here(int layer_fd, const char *path) {
        int r = storage_remove_any(layer_fd, USEC_INFINITY);
        if (r == -EINPROGRESS)
                return 0; /* the layer is left for those who look for dead jobs */
        if (r < 0)
                return r;
        return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Moves the layer to the trash, which is quick however large it is. *ret_trash_fd, which the caller closes, is the
 * trash that it is in, or that an earlier attempt, killed meanwhile, has put it in. Untouched where there is nothing
 * to empty. */
static int discard_layer(const Settings *settings, const char *id, char **ret_root, int *ret_trash_fd) {
        _cleanup_free_ char *path = NULL, *root = NULL;

        int r = layer_path(settings, id, &path);
        if (r < 0)
                return r;
        r = root_of_layer(path, &root);
        if (r < 0)
                return r;
        _cleanup_close_ int layer_fd = open_directory_at(AT_FDCWD, path, false, 0);
        if (layer_fd < 0 && layer_fd != -ENOENT)
                return layer_fd;
        _cleanup_close_ int trash_fd = trash_open(root, layer_fd >= 0);
        if (layer_fd >= 0) {
                r = lock_wait(layer_fd, LOCK_EX, MACHINE_STOP_TIMEOUT_USEC);
                if (r < 0)
                        return r;
                if (trash_fd < 0 || trash_take(trash_fd, AT_FDCWD, path) < 0)
                        return remove_layer_here(layer_fd, path);
        }
        if (trash_fd < 0)
                return 0;
        *ret_root = TAKE_PTR(root);
        *ret_trash_fd = TAKE_FD(trash_fd);
        return 0;
}

static void forget_connections(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        if (machine_directory_open(settings->runtime_dir, id, false, &directory) >= 0)
                segment_file_forget(&directory);
}

/* We have the job's lock, so nobody starts more services meanwhile. */
static int remove_services(const Settings *settings, const char *id) {
        _cleanup_strv_ char **services = NULL;
        int result = 0;

        if (id_service_number(id, NULL) > 0)
                return 0;
        int r = services_list(settings, id, &services);
        if (r < 0)
                return r;
        for (char **service = services; service && *service; service++) {
                r = machine_remove(settings, *service);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}

static int discard(const Settings *settings, const char *id, char **ret_root, int *ret_trash_fd) {
        _cleanup_free_ char *name = NULL;

        int r = remove_services(settings, id);
        if (r < 0)
                return r;
        r = machine_name(settings->runtime_dir, id, &name);
        if (r < 0)
                return r;
        r = supervisor_pick()->stop(name, MACHINE_STOP_TIMEOUT_USEC);
        if (r < 0)
                return r;
        forget_connections(settings, id);
        nspawn_remove_leftovers(name);
        (void) uid_range_collect(false); /* of a supervisor that was killed */
        r = discard_layer(settings, id, ret_root, ret_trash_fd);
        if (r < 0)
                return r;
        return machine_directory_remove(settings->runtime_dir, id);
}

int machine_discard_locked(const Settings *settings, const char *id) {
        _cleanup_close_ int trash_fd = -EBADF;
        _cleanup_free_ char *root = NULL;

        return discard(settings, id, &root, &trash_fd);
}

void machine_empty_trash_behind(const char *root_dir) {
        _cleanup_close_ int trash_fd = trash_open(root_dir, false);

        if (trash_fd >= 0 && trash_waits(trash_fd))
                process_spawn_own(ARGV("empty-trash", root_dir));
}

int machine_remove_locked(const Settings *settings, const char *id) {
        _cleanup_close_ int trash_fd = -EBADF;
        _cleanup_free_ char *root = NULL;

        int r = discard(settings, id, &root, &trash_fd);
        if (r < 0)
                return r;
        if (trash_fd < 0)
                return 0;
        r = trash_empty(trash_fd, clock_deadline(TRASH_PATIENCE_USEC), NULL);
        if (r == TRASH_LATER || r == -ETIME)
                machine_empty_trash_behind(root);
        return 0;
}

/* The directory is made if it is missing, as after a boot of the host: its lock keeps a `prepare` of the same machine out
 * while we remove what is left. Returns as machine_directory_lock(). Where no directory can be made, `prepare` cannot make
 * one either: 0, without a lock. */
static int lock_to_remove(const char *runtime_dir, const char *id, MachineDirectory *ret) {
        int r = machine_directory_lock(runtime_dir, id, false, LOCK_ROUND_USEC, ret);

        if (r != -ENOENT)
                return r;
        r = machine_directory_lock(runtime_dir, id, true, LOCK_ROUND_USEC, ret);
        return r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -ENOENT ? 0 : r;
}

int machine_remove(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        uint64_t deadline = clock_deadline(MACHINE_STOP_TIMEOUT_USEC);
        _cleanup_free_ char *name = NULL;

        int r = machine_name(settings->runtime_dir, id, &name);
        if (r < 0)
                return r;
        while ((r = lock_to_remove(settings->runtime_dir, id, &directory)) == -EBUSY) {
                /* A `prepare` or another `cleanup` has the lock. Without its container, `prepare` gives up and
                 * unlocks. */
                r = supervisor_pick()->stop(name, MACHINE_STOP_TIMEOUT_USEC);
                if (r < 0)
                        return r;
                if (clock_now_usec() >= deadline)
                        return -EBUSY;
        }
        return r < 0 ? r : machine_remove_locked(settings, id);
}

bool machine_exists(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        if (machine_directory_open(settings->runtime_dir, id, false, &directory) != -ENOENT)
                return true;
        _cleanup_close_ int layer_fd = machine_layer_open(settings, id);
        return layer_fd != -ENOENT;
}
