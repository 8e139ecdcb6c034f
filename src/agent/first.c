/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"

#define UNIT_DIR "/run/systemd/system"

int first_install_seccomp(int filter_fd) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = fd_read_all(filter_fd, BPF_MAXINSNS * sizeof(struct sock_filter), &data, &size);
        if (r < 0)
                return r;
        if (size == 0 || size % sizeof(struct sock_filter) != 0)
                return -EBADMSG;

        /* Not through prctl(PR_SET_NO_NEW_PRIVS): sudo and the like have to work inside, and whoever has CAP_SYS_ADMIN
         * in its user namespace need not set it (seccomp(2)). */
        struct sock_fprog program = {
                .len = (unsigned short) (size / sizeof(struct sock_filter)),
                .filter = (struct sock_filter *) data,
        };
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

static int write_file(const char *path, const char *content, int flags) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | flags, 0644);

        return fd < 0 ? -errno : fd_write_all(fd, content, strlen(content));
}

void first_write_identity(void) {
        const char *uuid = getenv("container_uuid");
        char hostname[HOST_NAME_MAX + 1] = "", text[HOST_NAME_MAX + 256], id[33 + 1];
        size_t n = 0;

        /* machine-id(5) is the UUID without its dashes. */
        for (const char *p = uuid; p && *p && n < 32; p++)
                if (*p != '-')
                        id[n++] = *p;
        if (n == 32) {
                id[n] = '\n';
                id[n + 1] = 0;
                (void) write_file("/etc/machine-id", id, O_TRUNC);
        }

        if (gethostname(hostname, sizeof(hostname) - 1) < 0 || !hostname[0])
                return;
        /* An image carries the name of the machine that made it, and its systemd would take that. */
        snprintf(text, sizeof(text), "%s\n", hostname);
        (void) write_file("/etc/hostname", text, O_TRUNC);
        snprintf(text, sizeof(text), "127.0.1.1\t%s\n", hostname);
        if (access("/etc/hosts", F_OK) < 0)
                snprintf(text, sizeof(text),
                         "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t%s\n", hostname);
        (void) write_file("/etc/hosts", text, O_APPEND);
}

/* systemd gives a descriptor that it was started with to the socket unit that listens on the same address
 * (sd_listen_fds(3), "socket-activated containers"), but only to units that it has loaded by then, before it looks at
 * what to start: those that a unit which is always there names. The path in the address exists on the host only;
 * nothing opens it here. */
static int write_units(int listen_fd) {
        struct sockaddr_un address = { 0 };
        socklen_t length = sizeof(address) - 1;
        _cleanup_free_ char *socket_unit = NULL;

        if (getsockname(listen_fd, (struct sockaddr *) &address, &length) < 0)
                return -errno;
        if (string_printf(&socket_unit,
                          "[Unit]\n"
                          "Description=Steps of the CI job\n"
                          "DefaultDependencies=no\n"
                          "IgnoreOnIsolate=yes\n"
                          "[Socket]\n"
                          "ListenSequentialPacket=%s\n",
                          address.sun_path) < 0)
                return -ENOMEM;

        /* No dependency on the rest of the system: a step can run as soon as systemd answers, and `systemctl start`
         * pulls in what a unit needs, from sysinit.target on. */
        const char *service = "[Unit]\n"
                              "Description=Agent of nspawn-runner\n"
                              "DefaultDependencies=no\n"
                              "IgnoreOnIsolate=yes\n"
                              "Requires=nspawn-runner-agent.socket\n"
                              "[Service]\n"
                              "ExecStart=" AGENT_PATH " serve\n"
                              "Restart=always\n"
                              "RestartSec=100ms\n"
                              "Delegate=yes\n"
                              "TasksMax=infinity\n"
                              "LimitNOFILE=1024:524288\n"
                              "StandardInput=null\n"
                              "StandardOutput=null\n"
                              "StandardError=null\n";
        const char *always_there = "[Unit]\n"
                                   "Wants=nspawn-runner-agent.socket\n";
        const char *target = "[Unit]\n"
                             "Description=CI job\n"
                             "DefaultDependencies=no\n"
                             "Requires=nspawn-runner-agent.service\n"
                             "Wants=dbus.socket\n"
                             "AllowIsolate=yes\n";

        static const char *const directories[] = { "/run/systemd", UNIT_DIR, UNIT_DIR "/-.slice.d" };
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                if (mkdir(directories[i], 0755) < 0 && errno != EEXIST)
                        return -errno;
        int r = write_file(UNIT_DIR "/nspawn-runner-agent.socket", socket_unit, O_TRUNC);
        if (r >= 0)
                r = write_file(UNIT_DIR "/nspawn-runner-agent.service", service, O_TRUNC);
        if (r >= 0)
                r = write_file(UNIT_DIR "/-.slice.d/nspawn-runner.conf", always_there, O_TRUNC);
        if (r >= 0)
                r = write_file(UNIT_DIR "/nspawn-runner.target", target, O_TRUNC);
        return r;
}

int first_execute_init(const char *init, int listen_fd) {
        int r = write_units(listen_fd);
        if (r < 0)
                return r;

        char *argv[] = { (char *) init, (char *) "--unit=nspawn-runner.target", NULL };
        r = fd_set_cloexec(listen_fd, false);
        if (r < 0)
                return r;
        execv(init, argv);
        return -errno;
}
