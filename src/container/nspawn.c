/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The command line and environment of systemd-nspawn, made from the plan of a container and nothing else, so that a
 * test can read them. `supervise` starts it with them. Whatever confines a container is an option here. Also removes
 * what systemd-nspawn leaves in /run. */

#include "container/nspawn.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "config/image-reference.h"
#include "container/bind.h"
#include "container/tools.h"
#include "preload/userns-owner.h"
#include "wire/wire.h"

/* A path as --bind-ro= takes it. */
static int escape_colons(const char *path, char **ret) {
        char *escaped = malloc(2 * strlen(path) + 1), *q = escaped;

        if (!escaped)
                return -ENOMEM;
        for (const char *p = path; *p; p++) {
                if (*p == ':' || *p == '\\')
                        *q++ = '\\';
                *q++ = *p;
        }
        *q = 0;
        *ret = escaped;
        return 0;
}

/* What bind_prepare() made of entry @number of all lists. */
static int add_bind(char ***arguments, const char *option, const Machine *machine, size_t number, const char *target) {
        _cleanup_free_ char *directory = NULL, *escaped = NULL;

        if (escape_colons(machine->directory, &directory) < 0 || escape_colons(target, &escaped) < 0)
                return -ENOMEM;
        return strv_extendf(arguments, "%s=%s/" BINDS_DIRECTORY "/%zu:%s", option, directory, number, escaped);
}

static int add_run_directories(char ***arguments, const Machine *machine) {
        _cleanup_free_ char *directory = NULL;
        _cleanup_strv_ char **names = NULL;

        int r = bind_run_directories(machine, &names);
        if (r < 0)
                return r;
        r = escape_colons(machine->directory, &directory);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *escaped = NULL;

                if (escape_colons(*name, &escaped) < 0 ||
                    strv_extendf(arguments, "--bind=%s/" BINDS_RUN_DIRECTORY "%s:/run/%s", directory, escaped,
                                 escaped) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_tools(char ***arguments, const Machine *machine) {
        _cleanup_free_ char *directory = NULL;

        if (escape_colons(machine->directory, &directory) < 0 ||
            (machine->helper_path &&
             strv_extendf(arguments, "--bind=%s/" HELPER_DIRECTORY ":" HELPER_INSIDE, directory) < 0))
                return -ENOMEM;
        for (const Tool *tool = tools; tool->name; tool++)
                if (tool_source(tool, machine) && strv_extendf(arguments, "--bind-ro=%s/" TOOLS_DIRECTORY "/%s:%s",
                                                               directory, tool->name, tool->inside) < 0)
                        return -ENOMEM;
        return 0;
}

static int add_mounts(const Machine *machine, char ***arguments) {
        const size_t n = strv_length(machine->settings.bind), n_ro = strv_length(machine->settings.bind_ro);
        _cleanup_strv_ char **targets = NULL;
        _cleanup_free_ char *agent = NULL;

        if (escape_colons(machine->agent_path, &agent) < 0 ||
            strv_extendf(arguments, "--bind-ro=%s:" AGENT_INSIDE, agent) < 0)
                return -ENOMEM;
        int r = add_tools(arguments, machine);
        if (r < 0)
                return r;
        r = add_run_directories(arguments, machine);
        if (r < 0)
                return r;
        r = bind_targets(machine, &targets);
        if (r < 0)
                return r;
        for (size_t i = 0; targets && targets[i]; i++) {
                r = add_bind(arguments, i >= n && i < n + n_ro ? "--bind-ro" : "--bind", machine, i, targets[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_users(const Machine *machine, uid_t uid_base, char ***arguments) {
        /* Nothing else would keep root, if that is the host's root, from making a node of the host's disk. */
        if (!machine->settings.private_users)
                return strv_extend_many(arguments, "--private-users=no", "--drop-capability=CAP_MKNOD");
        int r = strv_extendf(arguments, "--private-users=%u:%" PRIu64, uid_base, machine->settings.uid_range);
        return r < 0 ? r : strv_extend(arguments, "--private-users-ownership=off");
}

int nspawn_arguments(const Machine *machine, const char *root, uid_t uid_base, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;
        static const char *const fixed[] = {
                "systemd-nspawn",
                "--quiet",
                /* Without this the container moves to a scope of its own, where the unit's limits do not apply. */
                "--keep-unit",
                "--console=pipe",
                /* Nothing of a job may stay on the host: its journal ends with it. */
                "--link-journal=no",
                "--timezone=off",
                /* `supervise` has copied it: nspawn cannot make files in an id-mapped root. */
                "--resolv-conf=off",
                NULL,
        };

        if (strv_extend_strv(&arguments, (char **) fixed) < 0 ||
            strv_extendf(&arguments, "--register=%s", streq(machine->supervisor, "systemd") ? "yes" : "no") < 0 ||
            strv_extendf(&arguments, "--directory=%s", root) < 0 ||
            strv_extendf(&arguments, "--machine=%s", machine->name) < 0 ||
            strv_extendf(&arguments, "--uuid=%s", machine->uuid) < 0 || add_users(machine, uid_base, &arguments) < 0 ||
            (machine->hostname && strv_extendf(&arguments, "--hostname=%s", machine->hostname) < 0) ||
            /* So that nobody wonders why a shell ended at once. */
            (machine->interactive && strv_extend(&arguments, "--drop-capability=CAP_SYS_BOOT") < 0) ||
            (machine->settings.network != NETWORK_HOST && strv_extend(&arguments, "--private-network") < 0))
                return -ENOMEM;
        if (image_reference_is(machine->image) && strv_extendf(&arguments, "--setenv=" WIRE_OF_REGISTRY "=%s",
                                                               machine->builds_dir ? machine->builds_dir : "") < 0)
                return -ENOMEM;
        int r = add_mounts(machine, &arguments);
        if (r < 0)
                return r;
        if (machine->command)
                r = strv_extend_many(&arguments, "--", AGENT_INSIDE, "service");
        else if (machine->lazy && !machine->boot_target)
                r = strv_extend_many(&arguments, "--", AGENT_INSIDE, "lazy", machine->init);
        else
                r = strv_extend_many(&arguments, "--", AGENT_INSIDE, "first", machine->init,
                                     machine->init ? machine->boot_target : NULL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

bool nspawn_is_installed(void) {
        _cleanup_free_ char *path = NULL;

        return program_find_in(SEARCH_PATH, "systemd-nspawn", &path) >= 0;
}

/* How many descriptors the container's first process gets: the agent's socket; the seccomp filter, if there is one;
 * where the container has a network of its own with a way out, the socket that it asks for its interface by; and the
 * program that it is for, if it is for one. */
static int passed_fds(const Machine *machine) {
        return 1 + (machine->seccomp_filter ? 1 : 0) + (machine_in_segment(machine) ? 1 : 0) +
               (machine->command ? 1 : 0);
}

bool nspawn_is_preloaded(const Machine *machine) {
        return machine->settings.private_users && machine->preload;
}

int nspawn_environment(const Machine *machine, uid_t uid_base, char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        static const char *const variables[] = {
                ENVIRONMENT_PLAIN,
                /* See docs/ENVIRONMENT.md in systemd's source. The agent installs the seccomp filter, the layer is
                 * ours alone and needs no lock, and /tmp belongs to the job's root: the small tmpfs that nspawn
                 * mounts there makes builds fail. */
                "SYSTEMD_SECCOMP=0",
                "SYSTEMD_NSPAWN_LOCK=0",
                NULL,
        };

        if (strv_extend_strv(&environment, (char **) variables) < 0 ||
            (!machine->interactive && strv_extend(&environment, "SYSTEMD_NSPAWN_TMPFS_TMP=0") < 0) ||
            strv_extendf(&environment, "LISTEN_FDS=%d", passed_fds(machine)) < 0)
                return -ENOMEM;
        /* The container's root: no process of the host is that user. */
        if (nspawn_is_preloaded(machine) && (strv_extendf(&environment, "LD_PRELOAD=%s", machine->preload) < 0 ||
                                             strv_extendf(&environment, USERNS_OWNER_VARIABLE "=%u", uid_base) < 0))
                return -ENOMEM;
        *ret = TAKE_PTR(environment);
        return 0;
}

static const char *const directories[] = { "/run/systemd/nspawn/propagate", "/run/systemd/nspawn/unix-export" };

void nspawn_remove_leftovers(const char *machine_name) {
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *path = NULL;

                if (string_printf(&path, "%s/%s", directories[i], machine_name) >= 0)
                        (void) rmdir(path);
        }
}
