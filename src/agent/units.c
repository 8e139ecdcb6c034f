/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the units by which the image's systemd starts the agent, and little else. first.c and init.c call this before
 * they execute that systemd. Everything goes to /run: the image itself is not changed. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"

#define UNIT_DIR "/run/systemd/system/"
#define AGENT_SOCKET "nspawn-runner-agent.socket"
/* The sockets that programs expect, in whatever order they ask. */
#define LISTENING_SOCKETS "dbus.socket systemd-journald.socket systemd-journald-dev-log.socket"
#define DROP_IN "nspawn-runner.conf"
/* Relative to UNIT_DIR. systemd before version 250 ignores the setting, and its services get their manager's. */
#define MANAGER_DIR "../system.conf.d"

typedef struct UnitFile {
        const char *directory; /* of a drop-in, below UNIT_DIR; NULL for a whole unit */
        const char *name, *content;
} UnitFile;

/* The container starts only what a job needs: nothing but the agent, and sockets of D-Bus and the journal. What else
 * there is, from sysinit.target on, comes with the first unit that a job starts and that depends on it. */
static const UnitFile unit_files[] = {
        { NULL, UNITS_TARGET,
          "[Unit]\n"
          "Description=CI job\n"
          "DefaultDependencies=no\n"
          "Requires=" UNITS_SERVICE "\n"
          "Wants=" LISTENING_SOCKETS "\n"
          "AllowIsolate=yes\n" },
        /* systemd gives a descriptor that it was started with to the socket unit that listens on the same address
         * (sd_listen_fds(3), "socket-activated containers"), but only to units that it has loaded by then, before it
         * looks at what to start: those that a unit which is always there names. */
        { "-.slice.d", DROP_IN,
          "[Unit]\n"
          "Wants=" AGENT_SOCKET " " LISTENING_SOCKETS "\n" },
        /* The mount that the agent is started from again when it was killed. The name is AGENT_INSIDE in the form of
         * systemd-escape(1). */
        { "run-nspawn\\x2drunner\\x2dagent.mount.d", DROP_IN,
          "[Unit]\n"
          "RefuseManualStop=yes\n" },
        { MANAGER_DIR, DROP_IN,
          "[Manager]\n"
          "DefaultOOMScoreAdjust=0\n" },
        { "dbus.socket.d", DROP_IN,
          "[Unit]\n"
          "DefaultDependencies=no\n" },
        /* Debian 13 and others start this with nearly every unit. It would mount an empty /tmp over the one that the
         * job has used until then. An empty unit is masked. */
        { NULL, "tmp.mount", "" },
        /* Without this, it empties /tmp, which has files of the job by then. */
        { "systemd-tmpfiles-setup.service.d", DROP_IN,
          "[Service]\n"
          "ExecStart=\n"
          "ExecStart=systemd-tmpfiles --create --boot --exclude-prefix=/dev\n" },
};

static int make_directory(const char *path) {
        return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int write_unit(const UnitFile *file) {
        char path[256];

        if (file->directory) {
                snprintf(path, sizeof(path), UNIT_DIR "%s", file->directory);
                int r = make_directory(path);
                if (r < 0)
                        return r;
        }
        snprintf(path, sizeof(path), UNIT_DIR "%s/%s", file->directory ? file->directory : ".", file->name);
        /* A job may have put something there. */
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return fd < 0 ? -errno : fd_write_all(fd, file->content, strlen(file->content));
}

/* @arguments follow the agent's command. */
static int write_service_unit(const char *arguments) {
        static const char format[] =
                "[Unit]\n"
                "Description=Agent of nspawn-runner\n"
                "DefaultDependencies=no\n"
                "IgnoreOnIsolate=yes\n"
                "RefuseManualStop=yes\n"
                "Requires=" AGENT_SOCKET "\n"
                "After=" LISTENING_SOCKETS "\n"
                "StartLimitIntervalSec=0\n" /* however often it is killed, the job must stay reachable */
                "[Service]\n"
                "Slice=-.slice\n"      /* stopping system.slice stops all units in it */
                "KillMode=process\n"   /* processes that steps left running outlive the agent */
                "KillSignal=SIGKILL\n" /* it ignores all others */
                "OOMPolicy=continue\n"
                "OOMScoreAdjust=-100\n" /* as the container's systemd; steps have 0 */
                "Restart=always\n"
                "RestartSec=100ms\n"
                "Delegate=yes\n"
                "TasksMax=infinity\n"
                "LimitNOFILE=1024:524288\n"
                "StandardInput=null\n"
                "StandardOutput=null\n"
                "StandardError=null\n"
                "ExecStart=";
        _cleanup_free_ char *content = NULL;

        if (string_printf(&content, "%s" AGENT_INSIDE " serve%s\n", format, arguments) < 0)
                return -ENOMEM;
        return write_unit(&(UnitFile){ NULL, UNITS_SERVICE, content });
}

/* The path in the address exists on the host only; nothing opens it here. */
static int write_socket_unit(int listen_fd) {
        struct sockaddr_un address = { 0 };
        socklen_t length = sizeof(address) - 1;
        _cleanup_free_ char *content = NULL;

        if (getsockname(listen_fd, (struct sockaddr *) &address, &length) < 0)
                return -errno;
        if (string_printf(&content,
                          "[Unit]\n"
                          "Description=Steps of the CI job\n"
                          "DefaultDependencies=no\n"
                          "IgnoreOnIsolate=yes\n"
                          "RefuseManualStop=yes\n"
                          "[Socket]\n"
                          "Slice=-.slice\n"
                          "TriggerLimitIntervalSec=0\n"
                          "ListenSequentialPacket=%s\n",
                          address.sun_path) < 0)
                return -ENOMEM;
        return write_unit(&(UnitFile){ NULL, AGENT_SOCKET, content });
}

/* Wants a target of the image, with all that comes with it, as on a host of its own. */
static int write_target(const char *target) {
        _cleanup_free_ char *content = NULL;

        int r = string_printf(&content, "[Unit]\nWants=%s\n", target);
        return r < 0 ? r : write_unit(&(UnitFile){ UNITS_TARGET ".d", DROP_IN, content });
}

int units_write(int listen_fd, const char *target, pid_t agent_pid, uint64_t agent_start) {
        char arguments[64] = "";

        if (agent_pid > 0)
                snprintf(arguments, sizeof(arguments), " %d %" PRIu64, (int) agent_pid, agent_start);
        int r = make_directory("/run/systemd");
        if (r < 0)
                return r;
        r = make_directory(UNIT_DIR);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(unit_files); i++) {
                r = write_unit(&unit_files[i]);
                if (r < 0)
                        return r;
        }
        if (target) {
                r = write_target(target);
                if (r < 0)
                        return r;
        }
        r = write_service_unit(arguments);
        return r < 0 ? r : write_socket_unit(listen_fd);
}
