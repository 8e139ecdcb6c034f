/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Uploads images to registries and writes them into files, for chroot-push and chroot-export; `gc` and `prune` remove
 * what it keeps. It must only read the image. What is kept for the next push may be incomplete after a crash; then the
 * next push begins anew. */

#include "maintain/push-image.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/new-file.h"
#include "base/process.h"
#include "base/string.h"
#include "image/generation.h"
#include "source/builder.h"
#include "source/oci-push.h"
#include "source/sandbox.h"
#include "source/skopeo.h"
#include "tree/remove.h"

#define EXPORT_PREFIX ".export-" /* no image has such a name */
#define EXPORT_FILE "export"

/* A working directory, locked. */
typedef struct Work {
        char *path, *name;
        int parent_fd, fd;
} Work;

#define WORK_NONE                                 \
        (Work) {                                  \
                .parent_fd = -EBADF, .fd = -EBADF \
        }

static void work_done(Work *work) {
        free(work->path);
        free(work->name);
        closep(&work->fd);
        closep(&work->parent_fd);
}

static int open_pushed(const char *root_dir, bool create) {
        _cleanup_close_ int root_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return root_fd < 0 ? -errno : open_directory_at(root_fd, PUSHED_DIRECTORY, create, 0700);
}

static int work_open(const char *root_dir, const char *name, Work *ret) {
        _cleanup_(work_done) Work work = WORK_NONE;

        work.parent_fd = open_pushed(root_dir, true);
        if (work.parent_fd < 0)
                return work.parent_fd;
        if (string_printf(&work.path, "%s/" PUSHED_DIRECTORY "/%s", root_dir, name) < 0 ||
            string_replace(&work.name, name) < 0)
                return -ENOMEM;
        work.fd = directory_lock(work.parent_fd, name, true, LOCK_EX, 0);
        if (work.fd < 0)
                return work.fd;
        *ret = work;
        work = WORK_NONE;
        return 0;
}

static int work_empty(const Work *work) {
        _cleanup_strv_ char **names = NULL;

        int r = directory_names(work->fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                r = remove_tree_at(work->fd, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Removes directory @name, unless a process has locked it. */
static int remove_entry(int parent_fd, const char *name, bool dry_run) {
        _cleanup_close_ int fd = directory_lock(parent_fd, name, false, LOCK_EX, 0);

        if (fd < 0)
                return fd;
        return dry_run ? 0 : remove_tree_at(parent_fd, name);
}

/* Removes what interrupted exports left. */
static void remove_old_exports(int parent_fd) {
        _cleanup_strv_ char **names = NULL;

        if (directory_names(parent_fd, &names) < 0)
                return;
        for (char **name = names; name && *name; name++)
                if (startswith(*name, EXPORT_PREFIX))
                        (void) remove_entry(parent_fd, *name, false);
}

/* What interrupted exports left, and what is kept of images that are gone. */
static bool is_useless(const char *root_dir, const char *name) {
        _cleanup_free_ char *path = NULL;

        return startswith(name, EXPORT_PREFIX) ||
               (string_printf(&path, "%s/%s", root_dir, name) >= 0 && !exists_at(AT_FDCWD, path));
}

int pushed_collect(const char *root_dir, bool all, bool dry_run, char ***names) {
        _cleanup_strv_ char **entries = NULL;
        int result = 0;

        _cleanup_close_ int parent_fd = open_pushed(root_dir, false);
        if (parent_fd < 0)
                return parent_fd == -ENOENT ? 0 : parent_fd;
        int r = directory_names(parent_fd, &entries);
        if (r < 0)
                return r;
        for (char **entry = entries; entry && *entry; entry++) {
                if (!all && !is_useless(root_dir, *entry))
                        continue;
                r = remove_entry(parent_fd, *entry, dry_run);
                if (r == 0)
                        r = strv_extend(names, *entry);
                if (r < 0 && r != -EBUSY && result == 0)
                        result = r;
        }
        return result;
}

/* Makes the image from what is in @work. If that cannot be used, empties @work and tries again. */
static int make_and_send(const ImagePush *push, const Work *work, const char *target, Problem *reterr_problem) {
        _cleanup_generation_ Generation *about = NULL;

        int r = generation_load_of(push->image, &about);
        if (r < 0)
                return r;
        OciPush oci = {
                .tree = push->image->path,
                .state = work->path,
                .target = target,
                .config = &about->config,
                .listener = push->listener,
        };
        r = oci_push(&oci, reterr_problem);
        if (r != OCI_PUSH_STATE)
                return r;
        listener_step(push->listener, "What is kept of the last push cannot be used: beginning anew");
        r = work_empty(work);
        return r < 0 ? r : oci_push(&oci, reterr_problem);
}

int push_image(const ImagePush *push, const char *reference, Problem *reterr_problem) {
        _cleanup_(work_done) Work work = WORK_NONE;
        _cleanup_free_ char *target = NULL;

        int r = string_printf(&target, SKOPEO_REGISTRY "%s", reference);
        if (r < 0)
                return r;
        r = work_open(push->root_dir, push->image->name, &work);
        if (r == -EBUSY)
                return problem_set(reterr_problem, r, "another process is pushing this image");
        return r < 0 ? r : make_and_send(push, &work, target, reterr_problem);
}

struct ExportKind {
        const char *ending;
        const char *option, *program; /* of tar, and the program that it runs to compress; NULL: no compression */
        bool oci;
};

static const ExportKind kinds[] = {
        { ".oci.tar", NULL, NULL, true },        { ".tar", NULL, NULL, false },
        { ".tar.zst", "--zstd", "zstd", false }, { ".tar.gz", "--gzip", "gzip", false },
        { ".tar.xz", "--xz", "xz", false },
};

const ExportKind *export_kind(const char *file) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (endswith(file, kinds[i].ending))
                        return &kinds[i];
        return NULL;
}

static int make_archive(const ImagePush *push, const Work *work, const ExportKind *kind, Problem *reterr_problem) {
        char *const writable[] = { work->path, NULL }, *const readable[] = { push->image->path, NULL };
        _cleanup_strv_ char **argv = NULL, **environment = NULL;

        if (kind->program && !program_exists(kind->program))
                return problem_set(reterr_problem, -EINVAL, "%s, which compresses it, is not installed", kind->program);
        if (builder_environment(&environment) < 0 ||
            strv_extend_many(&argv, "tar", "--create", "--file=" EXPORT_FILE, "--numeric-owner", "--xattrs", "--acls",
                             "--one-file-system", "--sparse") < 0 ||
            strv_extendf(&argv, "--directory=%s", push->image->path) < 0 ||
            (kind->option && strv_extend(&argv, kind->option) < 0) || strv_extend(&argv, ".") < 0)
                return -ENOMEM;
        Confinement confinement = { .writable = writable, .readable = readable };
        Sandbox sandbox = {
                .argv = argv,
                .envp = environment,
                .directory = work->path,
                .confinement = &confinement,
                .listener = push->listener,
        };
        listener_step(push->listener, "Writing the archive");
        return sandbox_run(&sandbox);
}

static int copy_file(int from_fd, int to_fd) {
        for (;;) {
                ssize_t n = sendfile(to_fd, from_fd, NULL, 1 << 24);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return fsync(to_fd) < 0 ? -errno : 0;
        }
}

static int deliver(const Work *work, const char *file) {
        const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
        _cleanup_free_ char *directory = slash ? strndup(file, MAX((size_t) (slash - file), (size_t) 1)) : strdup(".");
        _cleanup_new_file_ NewFile target = NEW_FILE_NONE;

        if (!directory)
                return -ENOMEM;
        _cleanup_close_ int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int from_fd = openat(work->fd, EXPORT_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (directory_fd < 0 || from_fd < 0)
                return -errno;
        int r = new_file_begin(directory_fd, 0600, &target);
        if (r < 0)
                return r;
        r = copy_file(from_fd, target.fd);
        return r < 0 ? r : new_file_end(&target, name);
}

static int export_to(const ImagePush *push, const Work *work, const char *file, Problem *reterr_problem) {
        const ExportKind *kind = export_kind(file);

        int r = kind->oci ? make_and_send(push, work, "oci-archive:" EXPORT_FILE, reterr_problem) :
                            make_archive(push, work, kind, reterr_problem);
        return r != 0 ? r : deliver(work, file);
}

int export_image(const ImagePush *push, const char *file, Problem *reterr_problem) {
        _cleanup_(work_done) Work work = WORK_NONE;
        _cleanup_free_ char *name = NULL;

        if (!export_kind(file))
                return -EINVAL;
        if (exists_at(AT_FDCWD, file))
                return -EEXIST;
        int r = string_printf(&name, EXPORT_PREFIX "%d", (int) getpid());
        if (r < 0)
                return r;
        r = work_open(push->root_dir, name, &work);
        if (r < 0)
                return r;
        remove_old_exports(work.parent_fd);
        r = work_empty(&work);
        if (r == 0)
                r = export_to(push, &work, file, reterr_problem);
        (void) remove_tree_at(work.parent_fd, name);
        return r;
}
