/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: programs, with the names of their packages in Debian. Programs are looked for in PATH; none is
 * started but systemd-nspawn, for its version. */

#include <stdio.h>

#include "base/process.h"
#include "base/string.h"
#include "doctor/check.h"
#include "machine/part.h"
#include "machine/tools-plan.h"
#include "preload/userns-owner.h"

/* The first that has --private-users-ownership=off, and mapped --bind=. */
#define NSPAWN_VERSION_MIN 250

static bool needs_seccomp(const Settings *settings) {
        return settings->seccomp;
}

/* The first line that `PROGRAM --version` prints. 0 or -errno; -EPROTO when it fails. */
static int program_version(const char *program, char **ret) {
        _cleanup_free_ char *output = NULL;
        Spawn spawn = SPAWN_INHERIT;

        spawn.argv = ARGV(program, "--version");
        spawn.stderr_fd = -EBADF;
        int r = process_capture(&spawn, 65536, &output);
        if (r != 0)
                return r < 0 ? r : -EPROTO;
        output[strcspn(output, "\n")] = 0;
        *ret = TAKE_PTR(output);
        return 0;
}

static CheckResult check_nspawn(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_free_ char *version = NULL;

        int r = program_version("systemd-nspawn", &version);
        if (r < 0)
                return check_say(CHECK_MISSING, ret_detail, "%s",
                                 r == -ENOENT ? "not installed" :
                                 r == -EPROTO ? "its --version fails" :
                                                strerror(-r));
        const char *number = startswith(version, "systemd ");
        if (!number || strtoul(number, NULL, 10) < NSPAWN_VERSION_MIN)
                return check_say(CHECK_MISSING, ret_detail, "%s is older than %d", version, NSPAWN_VERSION_MIN);
        return check_say(CHECK_OK, ret_detail, "%s", version);
}

static CheckResult check_analyze(_unused_ const Invocation *invocation,
                                 _unused_ char ret_detail[static CHECK_DETAIL_MAX]) {
        return program_exists("systemd-analyze") ? CHECK_OK : CHECK_MISSING;
}

static CheckResult check_builder(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        static const char *const programs[] = { "mmdebstrap", "debootstrap" };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                if (program_exists(programs[i]))
                        return check_say(CHECK_OK, ret_detail, "%s", programs[i]);
        return check_say(CHECK_MISSING, ret_detail, "neither is installed");
}

static CheckResult check_ansible(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        return program_exists("ansible-playbook") ? CHECK_OK : check_say(CHECK_MISSING, ret_detail, "not in PATH");
}

/* The first of @programs that is not there. */
static CheckResult check_programs(const char *const *programs, size_t n, char ret_detail[static CHECK_DETAIL_MAX]) {
        for (size_t i = 0; i < n; i++)
                if (!program_exists(programs[i]))
                        return check_say(CHECK_MISSING, ret_detail, "%s is not in PATH", programs[i]);
        return CHECK_OK;
}

static CheckResult check_oci(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        static const char *const programs[] = { "skopeo", "umoci" };

        return check_programs(programs, ELEMENTSOF(programs), ret_detail);
}

static CheckResult check_tarball(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        static const char *const programs[] = { "tar", "curl" };

        return check_programs(programs, ELEMENTSOF(programs), ret_detail);
}

static CheckResult check_gitlab_runner(_unused_ const Invocation *invocation,
                                       char ret_detail[static CHECK_DETAIL_MAX]) {
        return program_exists("gitlab-runner") ? CHECK_OK : check_say(CHECK_MISSING, ret_detail, "not in PATH");
}

static CheckResult check_static_bash(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *path = tools_static_bash();

        return path ? check_say(CHECK_OK, ret_detail, "%s", path) :
                      check_say(CHECK_MISSING, ret_detail, "not installed");
}

static CheckResult check_part(int (*find)(char **ret), char detail[static CHECK_DETAIL_MAX]) {
        _cleanup_free_ char *path = NULL;

        int r = find(&path);
        if (r == -ENOENT)
                return check_say(CHECK_MISSING, detail, "neither beside this program nor in %s", LIBEXECDIR);
        return r < 0 ? check_errno(r, detail) : check_say(CHECK_OK, detail, "%s", path);
}

static CheckResult check_agent(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        return check_part(part_find_agent, ret_detail);
}

static CheckResult check_preload(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        return check_part(part_find_preload, ret_detail);
}

const Check doctor_program_checks[] = {
        { PART_AGENT, check_agent, NULL, "it runs the scripts inside the containers", "install all of nspawn-runner" },
        { USERNS_OWNER_LIBRARY, check_preload, check_optional,
          "without it, the kernel counts inotify instances and namespaces of all jobs as those of the host's root",
          "install all of nspawn-runner, in a directory without ':' and ' ' in its path" },
        { "systemd-nspawn", check_nspawn, NULL, "it makes the containers",
          "install systemd-container, version 250 or newer" },
        { "systemd-analyze", check_analyze, needs_seccomp, "it lists the system calls for jobs", "install systemd" },
        { "mmdebstrap or debootstrap", check_builder, check_optional, "chroot-create makes images with it",
          "install mmdebstrap" },
        { "ansible", check_ansible, check_optional, "it runs the playbooks of images", "install ansible-core" },
        { "skopeo, umoci", check_oci, check_optional, "they fetch and unpack images of registries",
          "install skopeo and umoci" },
        { "tar, curl", check_tarball, check_optional, "they unpack and fetch archives for images",
          "install tar and curl" },
        { "bash-static", check_static_bash, check_optional, "it runs the scripts of jobs in images without bash",
          "install bash-static" },
        { "gitlab-runner", check_gitlab_runner, check_optional, "it fetches jobs from GitLab",
          "install it from GitLab's packages" },
        { 0 },
};
