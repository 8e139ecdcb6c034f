/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks a tree before it is used as a root. Called when an image is made, fetched or published, and by everything that
 * starts a container, after its root was mounted. It must follow no symlink and open only directories (everything else
 * with O_PATH), so that no pipe or device of the tree can make it wait. Whatever opens an image asks here whether it has
 * a root file system: that alone follows symlinks, within the tree. */

#include "tree/check.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/remove.h"

/* systemd-nspawn mounts on the first four and reads or writes in the others, and so do we. */
static const char *const directories[] = { "dev", "proc", "run", "sys", "etc", "tmp", "usr", "var" };

/* In the container, file systems of its own hide these directories of the tree, so symlinks of the tree below them do
 * not count. */
static const char *const hidden[] = { "dev", "proc", "run", "sys" };

/* A mount on exactly one of these would replace what systemd-nspawn or the agent later work on by plain paths. */
static const char *const reserved[] = { "", "dev", "etc", "run" };
/* Reserved with everything below. Our own are where the agent has its files, and what wire/wire.h names. */
static const char *const reserved_below[] = { "proc",
                                              "sys",
                                              "run/host",
                                              "run/nspawn-runner",
                                              "run/nspawn-runner-agent",
                                              "run/nspawn-runner-tools",
                                              "run/nspawn-runner-helper" };

/* The number of symlinks that the kernel follows (path_resolution(7)). */
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
        return open_resolving(tree_fd, path, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | resolve);
}

static int check_directory(int tree_fd, const char *name, uint64_t resolve, Problem *reterr_problem) {
        struct stat st;

        _cleanup_close_ int fd = open_itself(tree_fd, name, resolve);
        if (fd == -ENOENT)
                return 0;
        if (fd == -EXDEV)
                return problem_set(reterr_problem, TREE_REFUSED, "its /%s is a mount point", name);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return 0;
        return problem_set(reterr_problem, TREE_REFUSED, "its /%s is a %s and has to be a directory", name,
                           kind_name(st.st_mode));
}

/* --- where a path leads --- */

/* A bind target, and where in the tree it is once symlinks are followed. */
typedef struct Place {
        const char *target;
        char *path; /* as in Walk; NULL: it leads nowhere in the tree */
} Place;

typedef struct Places {
        Place *items;
        size_t n;
} Places;

static void places_done(Places *places) {
        for (size_t i = 0; i < places->n; i++)
                free(places->items[i].path);
        free(places->items);
}

typedef struct Walk {
        int tree_fd;
        const Places *places; /* bind targets, whose content is not the tree's; or NULL */
        const Place *own, *met;
        char *path; /* where we are, without a slash at either end and without symlinks; "" is the root */
        char *rest; /* the rest of the path, still to go */
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

bool tree_place_is_hidden(const char *path) {
        path += strspn(path, "/");
        for (size_t i = 0; i < ELEMENTSOF(hidden); i++)
                if (is_below(path, hidden[i]))
                        return true;
        return false;
}

/* Follows the symlink @fd: its target is put in front of the rest of the path. Returns 0; -ELOOP: there are too many;
 * or -errno. */
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

/* Goes on by the component @name. Returns 0; 1: where it leads cannot be found out; or -errno. */
static int walk_step(Walk *walk, const char *name) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (*name == 0 || streq(name, "."))
                return 0;
        if (streq(name, "..")) {
                /* What the container will have there, and whether it is a symlink, is not known yet. */
                if (tree_place_is_hidden(walk->path))
                        return 1;
                char *slash = strrchr(walk->path, '/');
                *(slash ? slash : walk->path) = 0;
                return 0;
        }
        int r = string_printf(&path, "%s%s%s", walk->path, walk->path[0] ? "/" : "", name);
        if (r < 0)
                return r;
        if (!tree_place_is_hidden(path)) {
                _cleanup_close_ int fd = open_itself(walk->tree_fd, path, 0);
                if (fd == -ENAMETOOLONG)
                        return 1;
                /* A missing directory will be made there. */
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

/* Notes the first other bind target that a symlink leads to. A place that the target's own path is below does not
 * count: the configuration wants it so. */
static void walk_look_around(Walk *walk) {
        for (size_t i = 0; walk->links > 0 && !walk->met && walk->places && i < walk->places->n; i++) {
                const Place *place = walk->places->items + i;

                if (place == walk->own || !place->path || is_below(walk->own->target, place->target))
                        continue;
                if (is_below(walk->path, place->path))
                        walk->met = place;
        }
}

/* Goes to the end of @path. Returns 0; 1: where it leads cannot be found out; -ELOOP: there are too many symlinks; or
 * another -errno. */
static int walk_go(Walk *walk, const char *path) {
        walk->path = strdup("");
        walk->rest = strdup(path);
        if (!walk->path || !walk->rest)
                return -ENOMEM;
        while (walk->rest[0]) {
                size_t n = strcspn(walk->rest, "/");
                _cleanup_free_ char *name = strndup(walk->rest, n);
                if (!name)
                        return -ENOMEM;
                memmove(walk->rest, walk->rest + n + (walk->rest[n] == '/'),
                        strlen(walk->rest + n + (walk->rest[n] == '/')) + 1);
                int r = walk_step(walk, name);
                walk_look_around(walk);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Finds where @target leads in the tree; *ret_path stays NULL for a loop, which nobody follows. */
static int resolve_target(int tree_fd, const char *target, char **ret_path, Problem *reterr_problem) {
        _cleanup_(walk_done) Walk walk = { .tree_fd = tree_fd };

        int r = walk_go(&walk, target);
        if (r == -ELOOP)
                return 0;
        if (r < 0)
                return r;
        if (r > 0)
                return problem_set(reterr_problem, TREE_REFUSED,
                                   "cannot find out where '%s' leads in it, where something is mounted for jobs",
                                   target);
        if (tree_place_is_reserved(walk.path))
                return problem_set(reterr_problem, TREE_REFUSED,
                                   "'%s', where something is mounted for jobs, leads to '/%.200s' in it, "
                                   "which containers need for themselves",
                                   target, walk.path);
        *ret_path = TAKE_PTR(walk.path);
        return 0;
}

/* Checks that no symlink leads @own into another bind target: jobs may have put symlinks there, which systemd-nspawn
 * would follow. */
static int check_apart(int tree_fd, const Places *places, const Place *own, Problem *reterr_problem) {
        _cleanup_(walk_done) Walk walk = { .tree_fd = tree_fd, .places = places, .own = own };

        /* A loop in the tree may be none in the container, where another bind target may hide a part of it. */
        int r = walk_go(&walk, own->target);
        if (!walk.met)
                return r == -ELOOP ? 0 : MIN(r, 0);
        return problem_set(reterr_problem, TREE_REFUSED,
                           "'%s', where something is mounted for jobs, leads into '%s', another such place",
                           own->target, walk.met->target);
}

static int check_targets(int tree_fd, char *const *targets, Problem *reterr_problem) {
        _cleanup_(places_done) Places places = { .items = calloc(strv_length(targets) + 1, sizeof(Place)) };

        if (!places.items)
                return -ENOMEM;
        for (; targets && *targets; targets++) {
                Place *place = places.items + places.n++;

                place->target = *targets;
                int r = resolve_target(tree_fd, place->target, &place->path, reterr_problem);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < places.n; i++) {
                int r = check_apart(tree_fd, &places, places.items + i, reterr_problem);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* --- */

static int has_directory(int tree_fd, const char *path) {
        _cleanup_close_ int found_fd = find_in_root(tree_fd, path, O_PATH | O_DIRECTORY);

        return found_fd == -ENOENT ? 0 : MIN(found_fd, 1);
}

int tree_is_root(int tree_fd) {
        int usr = has_directory(tree_fd, "usr"), bin = has_directory(tree_fd, "bin");
        int usr_bin = has_directory(tree_fd, "usr/bin");

        if (usr < 0 || bin < 0 || usr_bin < 0)
                return MIN(usr, MIN(bin, usr_bin));
        return usr > 0 && (bin > 0 || usr_bin > 0) ? 0 : -ENODATA;
}

static int check(int tree_fd, uint64_t resolve_flags, char *const *bind_targets, Problem *reterr_problem) {
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int r = check_directory(tree_fd, directories[i], resolve_flags, reterr_problem);
                if (r != 0)
                        return r;
        }
        return check_targets(tree_fd, bind_targets, reterr_problem);
}

int tree_check(int tree_fd, char *const *bind_targets, Problem *reterr_problem) {
        return check(tree_fd, 0, bind_targets, reterr_problem);
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

int tree_check_root(int root_fd, char *const *bind_targets, Problem *reterr_problem) {
        int r = check(root_fd, RESOLVE_NO_XDEV, bind_targets, reterr_problem);

        return r != 0 ? r : remove_odd_machine_id(root_fd);
}
