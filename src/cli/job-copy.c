/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `job-copy`: copies files out of the container of a job that runs, or was kept after it failed. The job owns what is
 * there: tree/export.h deals with that. Nothing in the container notices. */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/find-machine.h"
#include "machine/directory.h"
#include "machine/inside.h"
#include "tree/export.h"

/* Where to: a name in a directory. */
typedef struct Target {
        char *directory, *name;
        int fd;
} Target;

static void target_done(Target *target) {
        free(target->directory);
        free(target->name);
        closep(&target->fd);
}

/* Returns where the last part of @path begins; slashes at the end do not count. *ret_name, to be freed, is that part,
 * or NULL: it cannot be a name, or there is no memory. */
static size_t split(const char *path, char **ret_name) {
        size_t end = strlen(path);

        while (end > 0 && path[end - 1] == '/')
                end--;
        size_t begin = end;
        while (begin > 0 && path[begin - 1] != '/')
                begin--;
        char *name = end > begin ? strndup(path + begin, end - begin) : NULL;
        bool usable = name && !streq(name, ".") && !streq(name, "..");
        *ret_name = usable ? name : NULL;
        if (!usable)
                free(name);
        return begin;
}

/* As cp(1): into @path if that is a directory, else to a new file of that name. 0 or -errno, logged. */
static int find_target(const char *path, const char *source, const char *id, Target *ret) {
        ret->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r = ret->fd < 0 ? -errno : 0;
        if (r == 0) {
                (void) split(source, &ret->name);
                if (!ret->name) /* the whole root */
                        ret->name = strdup(id);
                ret->directory = strdup(path);
                return ret->name && ret->directory ? 0 : log_oom();
        }
        size_t begin = split(path, &ret->name);
        if (!ret->name || (r != -ENOENT && r != -ENOTDIR))
                return log_error_errno(r, "Cannot open '%s': %m", path);
        ret->directory = begin > 0 ? strndup(path, begin) : strdup(".");
        if (!ret->directory)
                return log_oom();
        ret->fd = open(ret->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return ret->fd < 0 ? log_error_errno(errno, "Cannot open directory '%s': %m", ret->directory) : 0;
}

static int copy(const Machine *machine, const char *path, const Target *target) {
        _cleanup_machine_inside_ MachineInside inside = MACHINE_INSIDE_NONE;
        ExportResult result;

        int r = machine_inside_open(machine, &inside);
        if (r == -ESRCH)
                return log_not_running(machine->id, r);
        if (r < 0)
                return log_error_errno(r, "Cannot open the root of job %s: %m", machine->id);
        r = export_tree(inside.seen_fd, path, target->fd, target->name, &result);
        if (r == -EEXIST && result.n_copied == 0)
                return log_error_errno(r, "'%s' is in '%s' already", target->name, target->directory);
        if (r == -ENOTSUP)
                return log_error_errno(r, "'%s' is neither a file nor a directory that could be copied", path);
        if (r < 0)
                return log_error_errno(r, "Cannot copy '%s' of job %s to '%s' in '%s': %m", path, machine->id,
                                       target->name, target->directory);
        if (result.n_left_out > 0)
                log_warning("Not copied: %" PRIu64
                            " devices, sockets, directories that are nested too deep, and the like",
                            result.n_left_out);
        return 0;
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_(target_done) Target target = { .fd = -EBADF };
        const char *path = invocation_argument(invocation, 1);

        int r = open_machine_logged(invocation, invocation_option(invocation, "service"), &directory, &machine);
        if (r < 0)
                return r;
        r = find_target(invocation_argument(invocation, 2), path, machine->id, &target);
        return r < 0 ? r : copy(machine, path, &target);
}

static const CommandOption options[] = {
        { "service", "SERVICE", "copy from the container of that service of the job", 0 },
        { 0 },
};

const Command command_job_copy = {
        .name = "job-copy",
        .synopsis = "ID PATH DESTINATION",
        .min_arguments = 3,
        .max_arguments = 3,
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Copy files out of the container of a job",
};
