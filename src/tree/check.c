/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The one look at a tree before it is trusted to be a root: called when an image is made, fetched or published, and by
 * everything that starts a container, after its root was mounted. It follows no symlink and opens nothing but directories
 * (O_PATH otherwise), so no pipe or device of the tree can make it wait. */

#include "tree/check.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/remove.h"

/* systemd-nspawn mounts on the first four and reads or writes in the others, and so do we. */
static const char *const directories[] = { "dev", "proc", "run", "sys", "etc", "tmp", "usr", "var" };

/* What the tree has there is hidden in the container by a file system of its own: no symlink of the tree counts below. */
static const char *const hidden[] = { "dev", "proc", "run", "sys" };

/* A mount exactly here would take the place of what is worked on later, by plain paths. */
static const char *const reserved[] = { "", "dev", "etc", "run" };
/* Here and below, too. The agent and its files are in run/nspawn-runner*. */
static const char *const reserved_below[] = { "proc", "sys", "run/host", "run/nspawn-runner",
                                              "run/nspawn-runner-agent" };

/* As many as the kernel follows (path_resolution(7)). */
#define LINKS_MAX 40

static const char *kind_name(mode_t mode) {
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return "directory";
        case S_IFREG:
                return "regular file";
        case S_IFLNK:
                return "symbolic link";
        case S_IFIFO:
                return "named pipe";
        case S_IFSOCK:
                return "socket";
        default:
                return "device";
        }
}

/* Opens @path itself (O_PATH) without following anything. -EXDEV: with @resolve having RESOLVE_NO_XDEV, a mount point. */
static int open_itself(int tree_fd, const char *path, uint64_t resolve) {
        struct open_how how = {
                .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | resolve,
        };
        int fd = (int) syscall(SYS_openat2, tree_fd, path, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

/* Of what set the sentence. */
static int refused(int r) {
        return r < 0 ? r : 1;
}

static int check_directory(int tree_fd, const char *name, uint64_t resolve, char **ret_problem) {
        struct stat st;

        _cleanup_close_ int fd = open_itself(tree_fd, name, resolve);
        if (fd == -ENOENT)
                return 0;
        if (fd == -EXDEV)
                return refused(string_printf(ret_problem, "its /%s is a mount point", name));
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return 0;
        return refused(
                string_printf(ret_problem, "its /%s is a %s and has to be a directory", name, kind_name(st.st_mode)));
}

/* --- where a path leads --- */

typedef struct Walk {
        int tree_fd;
        char *path; /* where we are: without a slash at either end, without symlinks; "" is the root */
        char *rest; /* still to go */
        unsigned links;
} Walk;

static void walk_done(Walk *walk) {
        free(walk->path);
        free(walk->rest);
}

static bool is_below(const char *path, const char *directory) {
        size_t n = strlen(directory);

        return strncmp(path, directory, n) == 0 && (path[n] == 0 || path[n] == '/');
}

bool tree_place_is_reserved(const char *path) {
        path += strspn(path, "/");
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (streq(path, reserved[i]))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(reserved_below); i++)
                if (is_below(path, reserved_below[i]))
                        return true;
        return false;
}

static bool is_hidden(const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(hidden); i++)
                if (is_below(path, hidden[i]))
                        return true;
        return false;
}

/* Follows the symlink @fd: what it says takes its place. Returns 0; -ELOOP: there are too many; or -errno. */
static int walk_link(Walk *walk, int fd) {
        _cleanup_free_ char *rest = NULL;
        char target[PATH_MAX];

        if (++walk->links > LINKS_MAX)
                return -ELOOP;
        ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        int r = string_printf(&rest, "%s/%s", target, walk->rest);
        if (r < 0)
                return r;
        if (target[0] == '/')
                walk->path[0] = 0;
        free(walk->rest);
        walk->rest = TAKE_PTR(rest);
        return 0;
}

/* Goes on by the component @name. Returns 0, 1 (it leads nowhere that can be told), or -errno. */
static int walk_step(Walk *walk, const char *name) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (*name == 0 || streq(name, "."))
                return 0;
        if (streq(name, "..")) {
                /* What is there in the container, and whether it is a symlink, is not known yet. */
                if (is_hidden(walk->path))
                        return 1;
                char *slash = strrchr(walk->path, '/');
                *(slash ? slash : walk->path) = 0;
                return 0;
        }
        int r = string_printf(&path, "%s%s%s", walk->path, walk->path[0] ? "/" : "", name);
        if (r < 0)
                return r;
        if (!is_hidden(path)) {
                _cleanup_close_ int fd = open_itself(walk->tree_fd, path, 0);
                if (fd == -ENAMETOOLONG)
                        return 1;
                /* What is missing will be made there. */
                if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
                        return fd;
                if (fd >= 0 && fstat(fd, &st) < 0)
                        return -errno;
                if (fd >= 0 && S_ISLNK(st.st_mode))
                        return walk_link(walk, fd);
        }
        free(walk->path);
        walk->path = TAKE_PTR(path);
        return 0;
}

/* Where @path leads in the tree: *ret without a slash at either end. Returns 0, 1 (nowhere that can be told), or -errno. */
static int resolve(int tree_fd, const char *path, char **ret) {
        _cleanup_(walk_done) Walk walk = { .tree_fd = tree_fd, .path = strdup(""), .rest = strdup(path) };
        int r = walk.path && walk.rest ? 0 : -ENOMEM;

        while (r == 0 && walk.rest[0]) {
                size_t n = strcspn(walk.rest, "/");
                _cleanup_free_ char *name = strndup(walk.rest, n);
                if (!name)
                        return -ENOMEM;
                memmove(walk.rest, walk.rest + n + (walk.rest[n] == '/'),
                        strlen(walk.rest + n + (walk.rest[n] == '/')) + 1);
                r = walk_step(&walk, name);
        }
        if (r == 0)
                *ret = TAKE_PTR(walk.path);
        return r;
}

static int check_target(int tree_fd, const char *target, char **ret_problem) {
        _cleanup_free_ char *where = NULL;

        int r = resolve(tree_fd, target, &where);
        if (r == -ELOOP)
                return 0; /* nobody else will follow it, so nothing will be mounted */
        if (r < 0)
                return r;
        if (r > 0)
                return refused(string_printf(
                        ret_problem, "no path of it can be told for '%s', where the setting 'bind' mounts something",
                        target));
        if (!tree_place_is_reserved(where))
                return 0;
        return refused(
                string_printf(ret_problem,
                              "'%s', where the setting 'bind' mounts something, is '/%.200s' in it, which containers "
                              "need for themselves",
                              target, where));
}

/* --- */

static int check(int tree_fd, uint64_t resolve_flags, char *const *bind_targets, char **ret_problem) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(directories); i++)
                r = check_directory(tree_fd, directories[i], resolve_flags, ret_problem);
        for (; r == 0 && bind_targets && *bind_targets; bind_targets++)
                r = check_target(tree_fd, *bind_targets, ret_problem);
        return r;
}

int tree_check(int tree_fd, char *const *bind_targets, char **ret_problem) {
        return check(tree_fd, 0, bind_targets, ret_problem);
}

static int remove_odd_machine_id(int root_fd) {
        struct stat st;

        _cleanup_close_ int etc_fd = open_directory_at(root_fd, "etc", false, 0);
        if (etc_fd < 0)
                return etc_fd == -ENOENT ? 0 : etc_fd;
        if (fstatat(etc_fd, "machine-id", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) ? 0 : remove_tree_at(etc_fd, "machine-id");
}

int tree_remove_machine_id(int root_fd) {
        _cleanup_close_ int etc_fd = open_directory_at(root_fd, "etc", false, 0);

        if (etc_fd < 0)
                return etc_fd == -ENOENT ? 0 : etc_fd;
        int r = remove_tree_at(etc_fd, "machine-id");
        return error_is_of_unknown_owner(r) ? 0 : r;
}

int tree_check_root(int root_fd, char *const *bind_targets, char **ret_problem) {
        int r = check(root_fd, RESOLVE_NO_XDEV, bind_targets, ret_problem);

        return r != 0 ? r : remove_odd_machine_id(root_fd);
}
