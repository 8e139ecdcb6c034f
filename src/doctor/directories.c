/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: the directories of images and jobs, storage and binds, tried as a job would use them. A trial
 * looks like a job without a container, so that `gc` removes what a killed `doctor` leaves. */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/file-system.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"
#include "container/bind.h"
#include "definition/definition.h"
#include "doctor/check.h"
#include "image/generation.h"
#include "image/image.h"
#include "machine/directory.h"
#include "machine/plan.h"
#include "machine/remove.h"
#include "machine/root.h"
#include "machine/start.h"
#include "maintain/named-image.h"
#include "maintain/space.h"
#include "storage/root-mount.h"
#include "storage/storage.h"
#include "store/place.h"
#include "tree/quota-group.h"
#include "tree/subvolume.h"

/* Less is hardly enough for one image and what a job makes. */
#define SPACE_MIN_BYTES (UINT64_C(1) << 30)

static CheckResult check_root_dir(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *path = invocation->settings->root_dir;
        struct statvfs s;
        char buffer[FILE_SYSTEM_NAME_MAX];

        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return check_say(CHECK_NOTE, ret_detail, "%s does not exist yet", path);
        if (fd < 0 || fstatvfs(fd, &s) < 0)
                return check_say(CHECK_MISSING, ret_detail, "%s: %s", path, strerror(errno));
        if (s.f_flag & ST_RDONLY)
                return check_say(CHECK_MISSING, ret_detail, "%s is on a read-only file system", path);
        if (access(path, W_OK) < 0)
                return check_say(CHECK_MISSING, ret_detail, "%s is not writable", path);

        Space space;
        int enough = space_look(invocation->settings, &space);
        if (enough < 0)
                return check_errno(enough, ret_detail);
        uint64_t free_bytes = space.now.free_bytes;
        return check_say(free_bytes < SPACE_MIN_BYTES || !enough ? CHECK_NOTE : CHECK_OK, ret_detail,
                         "%s, %s, %" PRIu64 ".%" PRIu64 " GiB free%s", path, file_system_name(fd, buffer),
                         free_bytes >> 30, (free_bytes & (SPACE_MIN_BYTES - 1)) * 10 >> 30,
                         enough ? "" : ", which is less than disk_reserve");
}

static CheckResult check_runtime_dir(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *path = invocation->settings->runtime_dir;
        struct statfs s;
        char buffer[FILE_SYSTEM_NAME_MAX];

        int r = mkdir_parents(path, 0755);
        if (r < 0)
                return check_say(CHECK_MISSING, ret_detail, "%s: %s", path, strerror(-r));
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstatfs(fd, &s) < 0 || access(path, W_OK) < 0)
                return check_say(CHECK_MISSING, ret_detail, "%s: %s", path, strerror(errno));
        if ((unsigned) s.f_type != TMPFS_MAGIC && (unsigned) s.f_type != RAMFS_MAGIC)
                return check_say(CHECK_NOTE, ret_detail, "%s is on %s and not on a tmpfs", path,
                                 file_system_name(fd, buffer));
        char prefix[MACHINE_PREFIX_BYTES];
        machine_prefix(path, prefix);
        return check_say(CHECK_OK, ret_detail, "%s; containers are called %sID", path, prefix);
}

/* --- the storage driver, tried as a job would use it --- */

typedef struct Trial {
        const Settings *settings;
        char id[32], image_id[32]; /* of containers that are never started: `gc` removes what is left */
        char *image_name, *image_path;
        MachineDirectory directory;
        Machine *machine;
        MachineRoot root;
        int layer_fd, image_layer_fd, image_fd;
        const char *what; /* is being done */
        Problem problem;  /* with the plan */
} Trial;

/* A plain directory, which the overlay driver makes, is an image for every driver. */
static int trial_make_image(Trial *trial) {
        const Settings *settings = trial->settings;

        if (machine_name(settings->runtime_dir, trial->image_id, &trial->image_name) < 0 ||
            string_printf(&trial->image_path, "%s/" LAYERS_DIRECTORY "/%s/" OVERLAY_UPPER, settings->root_dir,
                          trial->image_name) < 0)
                return -ENOMEM;
        trial->what = "make a layer";
        trial->image_layer_fd = layer_open(settings->root_dir, trial->image_name, true);
        if (trial->image_layer_fd < 0)
                return trial->image_layer_fd;
        int r = lock_try(trial->image_layer_fd, LOCK_SH);
        if (r < 0)
                return r;
        r = storage_overlay.create(-EBADF, trial->image_layer_fd);
        if (r < 0)
                return r;
        trial->image_fd = open_directory_at(AT_FDCWD, trial->image_path, false, 0);
        return MIN(trial->image_fd, 0);
}

/* An empty image, and a container of it without a start. */
static int trial_begin(Trial *trial) {
        MachineRequest request = MACHINE_REQUEST_NONE;

        trial->what = "make a directory for a job";
        int r = machine_directory_lock(trial->settings->runtime_dir, trial->id, true, 0, &trial->directory);
        if (r < 0)
                return r;
        r = trial_make_image(trial);
        if (r < 0)
                return r;

        trial->what = "make the plan of a container";
        request.settings = trial->settings;
        request.id = trial->id;
        request.image = "doctor";
        request.tree_path = trial->image_path;
        request.tree_fd = trial->image_fd;
        request.interactive = true; /* there is no init to find */
        r = plan_machine(&request, &trial->machine, &trial->problem);
        if (r != 0)
                return r;
        trial->what = "make a layer";
        r = machine_make_layer(trial->machine, trial->image_fd, &trial->layer_fd);
        if (r < 0)
                return r;
        trial->root.machine = trial->machine;
        trial->root.directory_fd = trial->directory.fd;
        trial->what = "lock the layer";
        return machine_root_lock(&trial->root, NULL);
}

/* In a child, with which all that is mounted goes. */
static int trial_mount(const void *userdata) {
        MachineRoot root = ((const Trial *) userdata)->root;

        int r = machine_root_unshare(&root, NULL);
        if (r < 0)
                return r;
        r = machine_root_mount(&root, NULL);
        if (r < 0)
                return r;
        r = machine_root_complete(&root, NULL);
        if (r < 0)
                return r;
        _cleanup_close_ int root_fd = open_directory_at(AT_FDCWD, root.path, false, 0);
        if (root_fd < 0)
                return root_fd;
        /* As the job's root: the host's root has no number in a mapped mount and can make nothing there (EOVERFLOW). */
        (void) setfsgid(root.users.base);
        (void) setfsuid(root.users.base);
        _cleanup_close_ int file_fd = openat(root_fd, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return file_fd < 0 ? -errno : fd_write_all(file_fd, "x", 1);
}

static int trial_end(Trial *trial) {
        machine_root_done(&trial->root);
        closep(&trial->image_fd);
        closep(&trial->layer_fd);
        closep(&trial->image_layer_fd);
        int r = trial->directory.fd < 0 ? 0 : machine_remove_locked(trial->settings, trial->id);
        int q = machine_exists(trial->settings, trial->image_id) ? machine_remove(trial->settings, trial->image_id) : 0;
        machine_directory_done(&trial->directory);
        machine_free(trial->machine);
        free(trial->image_name);
        free(trial->image_path);
        return r < 0 ? r : q;
}

static CheckResult check_storage(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        Trial trial = {
                .settings = settings,
                .directory = MACHINE_DIRECTORY_NONE,
                .root = MACHINE_ROOT_NONE,
                .layer_fd = -EBADF,
                .image_layer_fd = -EBADF,
                .image_fd = -EBADF,
        };

        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return check_say(CHECK_NOTE, ret_detail, "not tried: there is no %s", settings->root_dir);
        const StorageDriver *driver = storage_pick(settings->storage, root_fd);
        if (!driver)
                return check_say(CHECK_MISSING, ret_detail, "none is possible on the file system of %s",
                                 settings->root_dir);

        driver = storage_limited(driver, settings->disk_max, root_fd);
        snprintf(trial.id, sizeof(trial.id), "doctor-%d", (int) getpid());
        snprintf(trial.image_id, sizeof(trial.image_id), "doctor-%d-image", (int) getpid());
        int r = trial_begin(&trial);
        if (r == 0) {
                trial.what = "mount an image";
                r = check_in_child(trial_mount, &trial);
        }
        int q = trial_end(&trial);
        if (r == 0 && q < 0) {
                trial.what = "remove a layer";
                r = q;
        }
        if (r == PLAN_NO_AGENT)
                return check_say(CHECK_NOTE, ret_detail, "not tried: nspawn-runner-agent is not installed (see above)");
        if (r == -ENOPKG)
                return check_say(CHECK_MISSING, ret_detail, "%s", problem_text(&trial.problem, r));
        if (r == -ELIBACC)
                return check_say(CHECK_MISSING, ret_detail, "%s, but its library is not installed (see above)",
                                 driver->name);
        if (r < 0)
                return check_say(CHECK_MISSING, ret_detail, "%s cannot %s: %s", driver->name, trial.what, strerror(-r));
        return check_say(CHECK_OK, ret_detail, "%s (%s)", driver->name, driver->help);
}

/* What the administrator can do about a limit that costs more than a quota would. */
static const char *why_no_quota(int root_fd) {
        if (quota_state(root_fd) == QUOTA_UNCOUNTED)
                return "; the quotas of btrfs are not used, as the kernel has yet to count what is there ('btrfs quota "
                       "rescan')";
        if (btrfs_is(root_fd))
                return "; a quota of btrfs costs less: 'btrfs quota enable --simple' (Linux 6.7)";
        return "";
}

/* What keeps a job from filling the disk; whether it works is tried by check_storage(). */
static CheckResult check_disk_limit(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        char limit[FORMAT_BYTES_MAX];

        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const StorageDriver *driver = root_fd < 0 ? NULL : storage_pick(settings->storage, root_fd);
        if (!driver)
                return check_say(CHECK_NOTE, ret_detail, "not known without %s", settings->root_dir);
        if (settings->disk_max == UINT64_MAX)
                return check_say(CHECK_OK, ret_detail,
                                 "none (disk_max): what a job writes, the disk has to have room for");
        driver = storage_limited(driver, settings->disk_max, root_fd);
        return check_say(CHECK_OK, ret_detail, "%s for each job, by a %s%s", format_bytes(settings->disk_max, limit),
                         driver == &storage_project ? "project quota" :
                         driver == &storage_quota   ? "quota group of btrfs" :
                         driver == &storage_file    ? "file system in a sparse file" :
                                                      "tmpfs",
                         driver == &storage_file ? why_no_quota(root_fd) : "");
}

static CheckResult check_images(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        _cleanup_free_ char *reference = NULL;
        _cleanup_strv_ char **names = NULL, **broken = NULL;
        _cleanup_image_ Image *image = NULL;

        int r = image_list(settings->root_dir, &names, &broken);
        if (r < 0)
                return check_errno(r, ret_detail);
        if (broken)
                return check_say(CHECK_NOTE, ret_detail, "%zu, and this directory cannot be looked at: %s",
                                 strv_length(names), broken[0]);
        size_t n = strv_length(names);
        const char *name = settings->default_image;
        r = name ? named_image_reference(settings, name, &reference) : 0;
        if (r < 0)
                return check_errno(r, ret_detail);
        if (name && !reference && generation_open_reference(settings->root_dir, name, &image) < 0)
                return check_say(CHECK_MISSING, ret_detail, "default_image '%s' is not there", name);
        if (n == 0)
                return check_say(CHECK_NOTE, ret_detail, "none yet");
        return check_say(CHECK_OK, ret_detail, "%zu", n);
}

/* What containers are to see of the host, tried as a job would get it. */
static bool needs_binds(const Settings *settings) {
        return strv_length(settings->bind) + strv_length(settings->bind_ro) > 0;
}

/* The binds of image @name, or of those without a definition (NULL). Returns how many, or -errno with the reason in
 * @ret_detail. */
static int try_binds(const Settings *configuration, const char *name, const Settings *settings,
                     char ret_detail[static CHECK_DETAIL_MAX]) {
        Problem problem = { 0 };

        int r = name ? definition_check_binds(configuration, name, settings, &problem) : 0;
        if (r == 0)
                r = bind_try(settings, &problem);
        if (r == 0)
                return (int) (strv_length(settings->bind) + strv_length(settings->bind_ro));
        (void) check_say(CHECK_MISSING, ret_detail, "%s%s%s%.400s", name ? "image '" : "", name ? name : "",
                         name ? "': " : "", problem_text(&problem, r));
        return r;
}

static CheckResult check_binds(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        _cleanup_strv_ char **names = NULL;

        int n = try_binds(settings, NULL, settings, ret_detail);
        if (n < 0)
                return CHECK_MISSING;
        int r = definition_list(settings, &names, NULL);
        if (r < 0)
                return check_errno(r, ret_detail);
        for (char **name = names; name && *name; name++) {
                _cleanup_(settings_done) Settings own = { 0 };

                /* Definitions that cannot be used are reported by another check. */
                if (definition_settings(settings, *name, &own) < 0)
                        continue;
                r = try_binds(settings, *name, &own, ret_detail);
                if (r < 0)
                        return CHECK_NOTE; /* only that image's jobs do not start */
        }
        return n == 0 ? check_say(CHECK_OK, ret_detail, "none") : check_say(CHECK_OK, ret_detail, "%d", n);
}

/* What outlives jobs, where an administrator may have mounted file systems of his own. */
static CheckResult check_kept(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        const PlaceKind *const kinds[] = { &place_caches, &place_builds };
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                _cleanup_free_ char *path = NULL;
                Problem problem = { 0 };

                int r = string_printf(&path, "%s/%s", settings->root_dir, kinds[i]->directory);
                if (r < 0)
                        return check_errno(r, ret_detail);
                r = place_list(settings->root_dir, kinds[i], &names);
                if (r < 0)
                        return check_errno(r, ret_detail);
                if (access(path, F_OK) < 0)
                        continue;
                r = bind_try_volume(path, settings->private_users, &problem);
                if (r < 0)
                        return check_say(CHECK_MISSING, ret_detail, "%.400s", problem_text(&problem, r));
        }
        return check_say(CHECK_OK, ret_detail, "%zu", strv_length(names));
}

/* If it is not set, the directory is in GitLab Runner's configuration, which we do not know. */
static CheckResult check_job_directories(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *builds = invocation->settings->builds_dir, *cache = invocation->settings->cache_dir;

        if (builds && cache)
                return check_say(CHECK_OK, ret_detail, "%s and %s, whatever GitLab Runner's config.toml says", builds,
                                 cache);
        return check_say(CHECK_NOTE, ret_detail, "%s%s%s null", builds ? "" : "builds_dir",
                         builds || cache ? "" : " and ", cache ? "" : "cache_dir");
}

const Check doctor_directory_checks[] = {
        { "image directory", check_root_dir, NULL, "it holds the images, and the changes that jobs make",
          "chroot-create makes it; it should be on a file system with room, such as btrfs, ext4 or xfs" },
        { "runtime directory", check_runtime_dir, NULL, "it holds the state of the jobs until the host reboots",
          "it should be below /run" },
        { "storage", check_storage, NULL, "each job gets its file system from it",
          "see the lines above, and the setting storage" },
        { "disk limit", check_disk_limit, check_optional, "it keeps a job from filling the disk",
          "see the setting disk_max" },
        { "bind mounts", check_binds, needs_binds, "containers do not start if a bind cannot be mounted",
          "see the settings bind and bind_ro" },
        { "caches, working copies", check_kept, NULL, "containers do not start if theirs cannot be mounted",
          "see the settings cache and builds" },
        { "builds_dir, cache_dir", check_job_directories, check_optional,
          "jobs fail (\"the builds_dir is not configured\") if GitLab Runner's config.toml does not set it", NULL },
        { "images", check_images, check_optional, "jobs run in them", "make one: nspawn-runner chroot-create NAME" },
        { 0 },
};
