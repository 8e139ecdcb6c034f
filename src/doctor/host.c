/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: configuration, user, systemd and control groups. They look and change nothing. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/string.h"
#include "config/config-file.h"
#include "container/cgroup.h"
#include "container/supervisor.h"
#include "doctor/check.h"

#define BUS_SOCKET "/run/dbus/system_bus_socket"

static bool needs_bus(_unused_ const Settings *settings) {
        return host_is_systemd();
}

static CheckResult check_configuration(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *path = invocation->config_file ? invocation->config_file : CONFIG_FILE_DEFAULT;

        if (invocation->config_problem)
                return check_say(CHECK_MISSING, ret_detail, "%s", invocation->config_problem);
        if (access(path, F_OK) < 0)
                return check_say(CHECK_OK, ret_detail, "defaults, as there is no %s", path);
        return check_say(CHECK_OK, ret_detail, "%s", path);
}

static CheckResult check_root_user(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        return geteuid() == 0 ? CHECK_OK :
                                check_say(CHECK_MISSING, ret_detail, "this is user %u", (unsigned) geteuid());
}

static CheckResult check_systemd(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        return check_say(CHECK_OK, ret_detail, "%s",
                         host_is_systemd() ? "it is PID 1, and jobs run as its services" :
                                             "it is not PID 1, and jobs run as separate processes");
}

static int connect_bus(void) {
        const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = BUS_SOCKET };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return 0;
}

static CheckResult check_bus(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        if (!host_is_systemd())
                return check_say(CHECK_OK, ret_detail, "not needed without systemd");
        return check_errno(connect_bus(), ret_detail);
}

/* systemd-machined is started by the bus, or by systemd, when it is needed. */
static CheckResult check_machined(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        if (!host_is_systemd())
                return check_say(CHECK_OK, ret_detail, "not needed without systemd");
        return access("/usr/share/dbus-1/system-services/org.freedesktop.machine1.service", F_OK) >= 0 ?
                       CHECK_OK :
                       check_say(CHECK_MISSING, ret_detail, "not installed");
}

/* The controllers that a v2 group can give its children: those of the hierarchy's root. */
static unsigned unified_controllers(const char *path) {
        static const struct {
                const char *name;
                unsigned flag;
        } table[] = { { "memory", CGROUP_MEMORY }, { "pids", CGROUP_PIDS }, { "cpu", CGROUP_CPU } };
        _cleanup_free_ char *file = NULL, *text = NULL;
        unsigned found = 0;
        char *state = NULL;

        /* Up from ".../nspawn-runner", which may not exist yet. */
        const char *slash = strrchr(path, '/');
        if (string_printf(&file, "%.*s/cgroup.controllers", (int) (slash - path), path) < 0 ||
            file_read_at(AT_FDCWD, file, 4096, &text, NULL) < 0)
                return 0;
        for (char *word = strtok_r(text, " \n", &state); word; word = strtok_r(NULL, " \n", &state))
                for (size_t i = 0; i < ELEMENTSOF(table); i++)
                        if (streq(word, table[i].name))
                                found |= table[i].flag;
        return found;
}

static CheckResult check_cgroups(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        unsigned flags = 0;

        int r = cgroup_below(CGROUP_DETACHED, NULL, &set);
        if (r < 0)
                return check_errno(r, ret_detail);
        for (size_t i = 0; i < set.n; i++) {
                flags |= set.directories[i].flags;
                if (set.directories[i].flags & CGROUP_UNIFIED)
                        flags |= unified_controllers(set.directories[i].path);
        }
        if (!(flags & (CGROUP_UNIFIED | CGROUP_SYSTEMD)))
                return check_say(CHECK_MISSING, ret_detail, "no hierarchy for processes is mounted");

        const char *version = !(flags & CGROUP_UNIFIED) ? "v1" : set.n > 1 ? "v1 and v2" : "v2";
        if ((flags & (CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU)) == (CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU))
                return check_say(CHECK_OK, ret_detail, "%s", version);
        return check_say(CHECK_NOTE, ret_detail, "%s, but without a controller for%s%s%s", version,
                         flags & CGROUP_MEMORY ? "" : " memory", flags & CGROUP_PIDS ? "" : " pids",
                         flags & CGROUP_CPU ? "" : " cpu");
}

const Check doctor_host_checks[] = {
        { "configuration", check_configuration, NULL, "all commands but this one need it", "correct it" },
        { "root", check_root_user, NULL, "jobs are started by root", "run nspawn-runner and gitlab-runner as root" },
        { "systemd", check_systemd, NULL, NULL, NULL },
        { "system bus", check_bus, needs_bus, "nspawn-runner uses it to ask systemd to start jobs",
          "install dbus and start it" },
        { "systemd-machined", check_machined, needs_bus, "it registers containers", "install systemd-container" },
        { "control groups", check_cgroups, NULL, "they keep a job's processes together and limit what it uses",
          "see cgroups(7)" },
        { 0 },
};
