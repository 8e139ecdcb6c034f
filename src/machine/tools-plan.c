/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which programs of the host the container of a job gets: a static bash for an image without one, and GitLab
 * Runner's own program. `prepare` calls this; `doctor` asks for parts of it. Nothing is opened or started here. */

#include "machine/tools-plan.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"
#include "base/string.h"
#include "image/contents.h"

/* Package bash-static of Debian, before and after /bin became a link. */
static const char *const static_bashes[] = { "/usr/bin/bash-static", "/bin/bash-static" };

/* The name of GitLab Runner's program, and what the names begin with under which GitLab offers it. */
#define RUNNER_NAME "gitlab-runner"

const char *tools_program_problem(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return strerror(errno);
        if (!S_ISREG(st.st_mode))
                return "it is not a file";
        /* To the host, a job's users are "others". */
        return (st.st_mode & 0005) == 0005 ? NULL : "not everybody may read and execute it";
}

const char *tools_static_bash(void) {
        for (size_t i = 0; i < ELEMENTSOF(static_bashes); i++)
                if (!tools_program_problem(static_bashes[i]))
                        return static_bashes[i];
        return NULL;
}

/* The plan names real files: `supervise` follows no symlink. */
static int take(const char *path, char **ret) {
        char *real = realpath(path, NULL);

        if (!real)
                return -errno;
        free(*ret);
        *ret = real;
        return 0;
}

static int take_named(const char *setting, const char *path, char **ret, Problem *reterr_problem) {
        const char *problem = tools_program_problem(path);

        if (!problem)
                return take(path, ret);
        return problem_set(reterr_problem, -EINVAL, "Setting %s: '%s' cannot be used: %s", setting, path, problem);
}

static int find_bash(Machine *machine, int tree_fd, int helper_fd, Problem *reterr_problem) {
        const char *wanted = machine->settings.bash_program;
        int image_has = machine->settings.shell ? 1 : image_has_bash(tree_fd);
        int helper_has = helper_fd < 0 ? 1 : image_has_bash(helper_fd);

        if (streq(wanted, "none") || MIN(image_has, helper_has) != 0)
                return streq(wanted, "none") ? 0 : MIN(MIN(image_has, helper_has), 0);
        if (!streq(wanted, "auto"))
                return take_named("bash_program", wanted, &machine->bash_path, reterr_problem);
        const char *found = tools_static_bash();
        return found ? take(found, &machine->bash_path) : 0;
}

/* The process that started this one, and its program, if it is GitLab Runner: the very version that wrote the job's scripts.
 * 0 if it is another. */
static pid_t find_caller(char ret[static PATH_MAX]) {
        const pid_t parent = getppid();
        char link[64];

        snprintf(link, sizeof(link), "/proc/%d/exe", (int) parent);
        ssize_t n = readlink(link, ret, PATH_MAX - 1);
        if (n <= 0 || getppid() != parent)
                return 0;
        ret[n] = 0;
        /* The program was upgraded while it runs: the file that has its name now comes nearest to it. */
        const char *deleted = endswith(ret, " (deleted)");
        if (deleted)
                ret[deleted - ret] = 0;
        const char *slash = strrchr(ret, '/');
        return slash && startswith(slash + 1, RUNNER_NAME) ? parent : 0;
}

pid_t tools_calling_runner(void) {
        char program[PATH_MAX];
        const pid_t caller = find_caller(program);

        return caller > 1 ? caller : 0; /* process 1 of a container has another number outside */
}

static int find_runner(Machine *machine, Problem *reterr_problem) {
        const char *wanted = machine->settings.runner_program;
        _cleanup_free_ char *found = NULL;
        char caller[PATH_MAX];

        if (streq(wanted, "none"))
                return 0;
        if (!streq(wanted, "auto"))
                return take_named("runner_program", wanted, &machine->runner_path, reterr_problem);
        if (find_caller(caller) > 0 && !tools_program_problem(caller))
                return take(caller, &machine->runner_path);
        int r = program_find(RUNNER_NAME, &found);
        if (r == -ENOENT || (r >= 0 && tools_program_problem(found)))
                return 0;
        return r < 0 ? r : take(found, &machine->runner_path);
}

int tools_plan(Machine *machine, int tree_fd, int helper_fd, Problem *reterr_problem) {
        int r = find_bash(machine, tree_fd, helper_fd, reterr_problem);

        return r < 0 ? r : find_runner(machine, reterr_problem);
}
