/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds control groups: where the hierarchies are mounted, and the directories of a container's groups in each of them.
 * Called by whoever works with groups. It makes and changes none, and the directories that it names may not exist. */

#include "container/cgroup.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define FILE_MAX_BYTES (1024 * 1024)

void cgroup_set_done(CgroupSet *set) {
        for (size_t i = 0; i < set->n; i++)
                free(set->directories[i].path);
        set->n = 0;
}

/* Is @word one of the comma-separated words of @list? */
static bool list_has(const char *list, const char *word) {
        size_t n = strlen(word);

        for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
                if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == 0 || p[n] == '\n'))
                        return true;
        return false;
}

static unsigned flags_of_v1(const char *options) {
        unsigned flags = 0;

        if (list_has(options, "name=systemd"))
                flags |= CGROUP_SYSTEMD;
        if (list_has(options, "memory"))
                flags |= CGROUP_MEMORY;
        if (list_has(options, "pids"))
                flags |= CGROUP_PIDS;
        if (list_has(options, "cpu"))
                flags |= CGROUP_CPU;
        return flags;
}

/* Cuts @line of /proc/self/mountinfo (proc(5)) into words: the fifth is the mount point; type, source and options come
 * behind a lone "-". */
static bool cut_mount(char *line, char **ret_mount_point, char **ret_type, char **ret_options) {
        char *separator = strstr(line, " - "), *state = NULL;

        if (!separator)
                return false;
        *separator = 0;
        char *mount_point = strtok_r(line, " ", &state);
        for (unsigned i = 0; i < 4 && mount_point; i++)
                mount_point = strtok_r(NULL, " ", &state);
        char *type = strtok_r(separator + strlen(" - "), " \n", &state);
        char *source = type ? strtok_r(NULL, " \n", &state) : NULL;
        char *options = source ? strtok_r(NULL, " \n", &state) : NULL;
        if (!mount_point || !options)
                return false;
        *ret_mount_point = mount_point;
        *ret_type = type;
        *ret_options = options;
        return true;
}

/* Where the hierarchies that matter are mounted. */
static int find_mounts(CgroupSet *ret) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        if (!f)
                return -errno;
        while (set.n < ELEMENTSOF(set.directories)) {
                char *mount_point, *type, *options;
                unsigned flags;

                if (getline(&line, &size, f) < 0) {
                        if (!feof(f))
                                return -errno;
                        break;
                }
                if (!cut_mount(line, &mount_point, &type, &options))
                        continue;
                if (streq(type, "cgroup2"))
                        flags = CGROUP_UNIFIED;
                else if (streq(type, "cgroup"))
                        flags = flags_of_v1(options);
                else
                        continue;

                bool seen = flags == 0;
                for (size_t i = 0; i < set.n; i++)
                        seen |= set.directories[i].flags == flags;
                if (seen)
                        continue;
                char *path = strdup(mount_point);
                if (!path)
                        return -ENOMEM;
                set.directories[set.n++] = (CgroupDirectory){ .path = path, .flags = flags };
        }
        if (set.n == 0)
                return -EOPNOTSUPP;
        *ret = set;
        set.n = 0;
        return 0;
}

/* Appends "/SUFFIX" to one directory's path. */
static int append_path(CgroupDirectory *directory, const char *suffix) {
        return string_append(&directory->path, "/", "%s", suffix);
}

/* Appends "/SUFFIX" to the path in every hierarchy; @suffix NULL: nothing. */
static int append_everywhere(CgroupSet *set, const char *suffix) {
        for (size_t i = 0; suffix && i < set->n; i++) {
                int r = append_path(&set->directories[i], suffix);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Goes down to the groups @first and, in these, @second; NULL: stays where it is. Hands @set over. */
static int descend(CgroupSet *set, const char *first, const char *second, CgroupSet *ret) {
        int r = append_everywhere(set, first);
        if (r < 0)
                return r;
        r = append_everywhere(set, second);
        if (r < 0)
                return r;
        *ret = *set;
        set->n = 0;
        return 0;
}

int cgroup_below(const char *parent, const char *name, CgroupSet *ret) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };

        int r = find_mounts(&set);
        return r < 0 ? r : descend(&set, parent, name, ret);
}

bool cgroup_exists(const CgroupSet *set) {
        for (size_t i = 0; i < set->n; i++)
                if (access(set->directories[i].path, F_OK) >= 0)
                        return true;
        return false;
}

/* Is there a group @name in the groups of @set? */
static bool has_child(const CgroupSet *set, const char *name) {
        for (size_t i = 0; i < set->n; i++) {
                char path[4096];

                snprintf(path, sizeof(path), "%s/%s", set->directories[i].path, name);
                if (access(path, F_OK) >= 0)
                        return true;
        }
        return false;
}

int cgroup_of_container(const char *parent, const char *slice, const char *name, CgroupSet *ret) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };

        int r = cgroup_below(parent, NULL, &set);
        return r < 0 ? r : descend(&set, has_child(&set, slice) ? slice : NULL, name, ret);
}

/* Finds the hierarchy's line in the text of /proc/PID/cgroup (cgroups(7)): "ID:CONTROLLERS:PATH". */
static int path_in_hierarchy(const char *text, unsigned flags, char *ret, size_t size) {
        for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
                const char *end = strchr(line, '\n');
                const char *controllers = strchr(line, ':');
                const char *path = controllers ? strchr(controllers + 1, ':') : NULL;

                if (!end || !path || path > end)
                        return -EBADMSG;
                char list[256];
                snprintf(list, sizeof(list), "%.*s", (int) (path - controllers - 1), controllers + 1);
                unsigned here = list[0] ? flags_of_v1(list) : CGROUP_UNIFIED;
                if (here == flags) {
                        snprintf(ret, size, "%.*s", (int) (end - path - 2), path + 2);
                        return 0;
                }
        }
        return -ENOENT;
}

int cgroup_of_process(pid_t pid, CgroupSet *ret) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *text = NULL;
        char path[4096];

        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid > 0 ? (int) pid : (int) getpid());
        int r = file_read_at(AT_FDCWD, path, FILE_MAX_BYTES, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        r = find_mounts(&set);
        if (r < 0)
                return r;
        for (size_t i = 0; i < set.n; i++) {
                r = path_in_hierarchy(text, set.directories[i].flags, path, sizeof(path));
                if (r < 0)
                        return r;
                r = append_path(&set.directories[i], path);
                if (r < 0)
                        return r;
        }
        *ret = set;
        set.n = 0;
        return 0;
}
