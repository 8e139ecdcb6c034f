/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes, fills, empties and removes control groups, in version 1 and version 2. Called by the supervisors, `supervise` and
 * whoever looks at a container's processes. A container can nest its own groups as it likes, so removing them is not
 * recursive; the process that asks is never killed. */

#include "container/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define FILE_MAX_BYTES (1024 * 1024)

static int make_group(const char *path) {
        char parent[4096];

        /* Another job may remove the common parent, empty for a moment, between the two steps. */
        for (unsigned tries = 0; mkdir(path, 0755) < 0 && errno != EEXIST; tries++) {
                if (errno != ENOENT || tries >= 100)
                        return -errno;
                snprintf(parent, sizeof(parent), "%s", path);
                *strrchr(parent, '/') = 0;
                if (mkdir(parent, 0755) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}

/* With version 1, a single thread moves itself without the lock for which the kernel may have to wait
 * (container/cgroup-warm.h). It takes its process along if there is no other. */
static int enter(const CgroupDirectory *directory, const char *path) {
        int r = make_group(path);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        return file_write_string_at(fd, directory->flags & CGROUP_UNIFIED ? "cgroup.procs" : "tasks", "0");
}

int cgroup_enter(const CgroupSet *set, bool born) {
        for (size_t i = 0; i < set->n; i++) {
                const CgroupDirectory *directory = &set->directories[i];
                int r = born && directory->flags & CGROUP_UNIFIED ? 0 : enter(directory, directory->path);

                /* Hierarchies with controllers are only needed for limits, and may be read-only in a container:
                 * failures there do not matter. */
                if (r < 0 && (directory->flags & (CGROUP_UNIFIED | CGROUP_SYSTEMD)))
                        return r;
        }
        return 0;
}

int cgroup_make(const CgroupSet *set) {
        for (size_t i = 0; i < set->n; i++) {
                int r = make_group(set->directories[i].path);

                if (r < 0 && (set->directories[i].flags & (CGROUP_UNIFIED | CGROUP_SYSTEMD)))
                        return r;
        }
        return 0;
}

int cgroup_enter_subgroup(const CgroupSet *set, const char *name, bool born) {
        for (size_t i = 0; i < set->n; i++) {
                const CgroupDirectory *directory = &set->directories[i];
                _cleanup_free_ char *path = NULL;

                if (!(directory->flags & (CGROUP_UNIFIED | CGROUP_SYSTEMD)) ||
                    (born && directory->flags & CGROUP_UNIFIED))
                        continue;
                if (string_printf(&path, "%s/%s", directory->path, name) < 0)
                        return -ENOMEM;
                int r = enter(directory, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cgroup_open_subgroup(const CgroupSet *set, const char *name) {
        for (size_t i = 0; i < set->n; i++) {
                char path[4096];

                if (!(set->directories[i].flags & CGROUP_UNIFIED))
                        continue;
                snprintf(path, sizeof(path), "%s/%s", set->directories[i].path, name);
                int r = make_group(path);
                return r < 0 ? r : open_directory_at(AT_FDCWD, path, false, 0);
        }
        return -ENOENT;
}

bool cgroup_leave_out(CgroupSet *set, const char *machine, const char *name) {
        char end[512];

        snprintf(end, sizeof(end), "/%s/%s", machine, name);
        for (size_t i = 0; i < set->n; i++)
                if (set->directories[i].flags & CGROUP_UNIFIED && endswith(set->directories[i].path, end)) {
                        *strrchr(set->directories[i].path, '/') = 0;
                        return true;
                }
        return false;
}

static void delegate(const char *path) {
        _cleanup_free_ char *controllers = NULL;
        char *state = NULL;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || file_read_at(fd, "cgroup.controllers", FILE_MAX_BYTES, &controllers, NULL) < 0)
                return;
        for (char *c = strtok_r(controllers, " \n", &state); c; c = strtok_r(NULL, " \n", &state)) {
                char enable[64];

                snprintf(enable, sizeof(enable), "+%s", c);
                (void) file_write_string_at(fd, "cgroup.subtree_control", enable);
        }
}

void cgroup_delegate_controllers(const CgroupSet *set) {
        for (size_t i = 0; i < set->n; i++)
                if (set->directories[i].flags & CGROUP_UNIFIED)
                        delegate(set->directories[i].path);
}

/* Enables controllers in all groups above @path, from the hierarchy's root, which has CGROUP_DETACHED, downwards. */
static void delegate_above(const char *path) {
        char parent[4096];

        snprintf(parent, sizeof(parent), "%s", path);
        *strrchr(parent, '/') = 0;
        if (endswith(path, "/" CGROUP_DETACHED)) {
                delegate(parent);
                return;
        }
        if (strchr(parent, '/'))
                delegate_above(parent);
        delegate(parent);
}

void cgroup_delegate_to(const CgroupSet *set) {
        for (size_t i = 0; i < set->n; i++)
                if (set->directories[i].flags & CGROUP_UNIFIED)
                        delegate_above(set->directories[i].path);
}

/* Can there be groups below @fd? Each is a link to it, beside its own two. */
static bool has_children(int fd) {
        struct stat st;

        return fstat(fd, &st) < 0 || st.st_nlink != 2;
}

/* Was the group removed meanwhile? */
static bool is_gone(int r) {
        return r == -ENOENT || r == -ENODEV;
}

/* The groups that are still to be visited, the next one last; ".." stands for the way back from one. */
typedef struct Todo {
        char **names;
        size_t n, allocated;
} Todo;

static void todo_done(Todo *todo) {
        for (size_t i = 0; i < todo->n; i++)
                free(todo->names[i]);
        free(todo->names);
}

static int todo_add(Todo *todo, const char *name) {
        if (todo->n == todo->allocated) {
                size_t allocated = MAX(todo->n * 2, (size_t) 32);
                char **longer = reallocarray(todo->names, allocated, sizeof(char *));
                if (!longer)
                        return -ENOMEM;
                todo->names = longer;
                todo->allocated = allocated;
        }
        todo->names[todo->n] = strdup(name);
        if (!todo->names[todo->n])
                return -ENOMEM;
        todo->n++;
        return 0;
}

/* Adds the groups right below @fd. */
static int todo_add_below(Todo *todo, int fd) {
        if (!has_children(fd))
                return 0;
        _cleanup_closedir_ DIR *dir = directory_stream_of(fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                int r = entry->d_type == DT_DIR ? todo_add(todo, entry->d_name) : 0;
                if (r < 0)
                        return r;
        }
}

typedef struct Visit {
        void (*visit)(pid_t pid, void *userdata);
        void *userdata;
        int n;      /* how many processes were visited */
        int result; /* the first error */
} Visit;

/* Goes on after an error: as many as possible are to be killed. */
static void note_error(Visit *visit, int r) {
        if (r < 0 && !is_gone(r) && visit->result == 0)
                visit->result = r;
}

/* Visits the processes in the group @fd itself, and adds the groups below it to those to be visited. */
static void visit_one(Visit *visit, int fd, Todo *todo) {
        _cleanup_free_ char *text = NULL;
        char *state = NULL;

        int r = file_read_at(fd, "cgroup.procs", FILE_MAX_BYTES, &text, NULL);
        if (r != -EOPNOTSUPP)
                note_error(visit, r);
        for (char *line = r < 0 ? NULL : strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                pid_t pid = atoi(line);

                visit->n++;
                if (pid > 0) /* 0: of another pid namespace */
                        visit->visit(pid, visit->userdata);
        }
        note_error(visit, todo_add_below(todo, fd));
}

/* Visits the group @fd (consumed) and those below. Not recursive and with one descriptor, as in remove_children(). */
static void visit_group(Visit *visit, int fd) {
        _cleanup_(todo_done) Todo todo = { 0 };
        _cleanup_close_ int here = fd;

        visit_one(visit, here, &todo);
        while (todo.n > 0) {
                _cleanup_free_ char *name = todo.names[--todo.n];
                const bool back = streq(name, "..");

                int next = open_directory_at(here, name, false, 0);
                int r = next < 0 || back ? next : todo_add(&todo, "..");
                if (r < 0) {
                        closep(&next);
                        note_error(visit, back && is_gone(r) ? -EIO : r);
                        if (back)
                                return;
                        continue;
                }
                close(here);
                here = next;
                if (!back)
                        visit_one(visit, here, &todo);
        }
}

static void kill_member(pid_t pid, _unused_ void *userdata) {
        if (pid != getpid())
                (void) kill(pid, SIGKILL);
}

static void ignore_member(_unused_ pid_t pid, _unused_ void *userdata) {
}

int cgroup_visit(const CgroupSet *set, void (*visit)(pid_t pid, void *userdata), void *userdata) {
        Visit all = { .visit = visit, .userdata = userdata };

        for (size_t i = 0; i < set->n; i++) {
                int fd = open(set->directories[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0)
                        note_error(&all, -errno);
                else
                        visit_group(&all, fd);
        }
        return all.result < 0 ? all.result : all.n;
}

bool cgroup_kill_at_once(const CgroupSet *set) {
        bool killed = false;

        for (size_t i = 0; i < set->n; i++) {
                if (!(set->directories[i].flags & CGROUP_UNIFIED))
                        continue;
                _cleanup_close_ int fd = open(set->directories[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                killed |= fd >= 0 && file_write_string_at(fd, "cgroup.kill", "1") >= 0;
        }
        return killed;
}

int cgroup_kill(const CgroupSet *set) {
        (void) cgroup_kill_at_once(set); /* no fork escapes */
        return cgroup_visit(set, kill_member, NULL);
}

bool cgroup_wait_empty(const CgroupSet *set, uint64_t timeout_usec) {
        const uint64_t deadline = clock_deadline(timeout_usec);
        char path[4096], events[256];

        for (size_t i = 0; i < set->n; i++) {
                if (!(set->directories[i].flags & CGROUP_UNIFIED))
                        continue;
                snprintf(path, sizeof(path), "%s/cgroup.events", set->directories[i].path);
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
                for (;;) {
                        struct pollfd pollfd = { .fd = fd, .events = POLLPRI };
                        ssize_t n = fd < 0 ? -1 : pread(fd, events, sizeof(events) - 1, 0);

                        if (n < 0)
                                return false;
                        events[n] = 0;
                        if (strstr(events, "populated 0"))
                                return true;
                        /* What has changed since it was read counts, too. */
                        int changed = poll(&pollfd, 1, clock_poll_timeout(deadline));
                        if (changed == 0 || (changed < 0 && errno != EINTR))
                                return false;
                }
        }
        return false;
}

bool cgroup_is_empty(const CgroupSet *set) {
        return cgroup_visit(set, ignore_member, NULL) == 0;
}

/* The name of a group right below @fd, to be freed: 1; 0 with NULL: there is none; or -errno. */
static int first_child(int fd, char **ret) {
        *ret = NULL;
        if (!has_children(fd))
                return 0;
        _cleanup_closedir_ DIR *dir = directory_stream_of(fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (entry->d_type != DT_DIR)
                        continue;
                *ret = strdup(entry->d_name);
                return *ret ? 1 : -ENOMEM;
        }
}

/* Removes all groups below @fd. Not recursive and with one descriptor, because the job chooses how deep groups are
 * nested: @fd moves down to the first leaf, removes it from above, and continues there. */
static int remove_children(int fd) {
        _cleanup_close_ int here = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        size_t depth = 0;

        if (here < 0)
                return -errno;
        for (;;) {
                _cleanup_free_ char *child = NULL;
                int next;

                int r = first_child(here, &child);
                if (r < 0 && !is_gone(r))
                        return r;
                if (!child && depth == 0)
                        return 0;
                if (child && unlinkat(here, child, AT_REMOVEDIR) >= 0)
                        continue;
                if (child && errno == ENOENT)
                        continue; /* systemd-nspawn removes its own */
                if (child && errno != ENOTEMPTY && errno != EBUSY)
                        return -errno;

                /* EBUSY: it has groups below it, or members. */
                next = openat(here, child ? child : "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (next < 0 && child && errno == ENOENT)
                        continue;
                if (next < 0)
                        return -errno;
                if (child) {
                        _cleanup_free_ char *grandchild = NULL;
                        r = first_child(next, &grandchild);
                        if (r <= 0) {
                                close(next);
                                return r == 0 || is_gone(r) ? -EBUSY : r;
                        }
                }
                depth = child ? depth + 1 : depth - 1;
                close(here);
                here = next;
        }
}

static int remove_group(const char *path) {
        _cleanup_close_ int fd = open_directory_at(AT_FDCWD, path, false, 0);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        int r = remove_children(fd);
        if (r < 0)
                return r;
        return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const CgroupSet *set) {
        int result = 0;

        for (size_t i = 0; i < set->n; i++) {
                int r = remove_group(set->directories[i].path);
                if (r < 0)
                        result = r;

                /* The parent goes with the last of them. */
                char parent[4096];
                snprintf(parent, sizeof(parent), "%s", set->directories[i].path);
                *strrchr(parent, '/') = 0;
                if (endswith(parent, "/" CGROUP_DETACHED))
                        (void) rmdir(parent);
        }
        return result;
}
