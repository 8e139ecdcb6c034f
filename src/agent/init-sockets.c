/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The sockets at which programs ask for systemd before it runs: D-Bus, the journal, and systemctl's own. init.c calls
 * this as PID 1. They are as systemd makes them for the units of the image (systemd.socket(5)), and early clients
 * must not notice a difference: systemd takes over whatever waits at them. */

#include "agent/init.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/string.h"

#define JOURNAL_BUFFER_BYTES (8 * 1024 * 1024)

/* How many connections and messages are refused before others get their turn: a job that adds them faster cannot keep
 * us busy. */
#define REFUSE_MAX 100000U

typedef struct SocketKind {
        const char *path;
        const char *unit; /* of the image; without it the socket is not made */
        int type;
        bool journal; /* messages have credentials and times, and room */
} SocketKind;

/* The sockets that a booted container has from the start. */
static const SocketKind kinds[] = {
        { "/run/dbus/system_bus_socket", "dbus.socket", SOCK_STREAM, false },
        { "/run/systemd/journal/socket", "systemd-journald.socket", SOCK_DGRAM, true },
        { "/run/systemd/journal/stdout", "systemd-journald.socket", SOCK_STREAM, true },
        { "/run/systemd/journal/dev-log", "systemd-journald-dev-log.socket", SOCK_DGRAM, true },
};

static const char *const directories[] = {
        "/run/systemd",
        "/run/systemd/system" /* sd_booted(3) */,
        "/run/systemd/journal",
        "/run/dbus",
};

/* systemd.unit(5): the first one found counts. An empty file and a link to /dev/null mask a unit. */
static bool has_unit(const char *name) {
        static const char *const places[] = { "/etc", "/usr/local/lib", "/usr/lib", "/lib" };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                char path[256], target[sizeof("/dev/null") + 1] = "";
                struct stat st;

                snprintf(path, sizeof(path), "%s/systemd/system/%s", places[i], name);
                if (lstat(path, &st) < 0)
                        continue;
                if (S_ISLNK(st.st_mode))
                        return readlink(path, target, sizeof(target) - 1) > 0 && !streq(target, "/dev/null");
                return S_ISREG(st.st_mode) && st.st_size > 0;
        }
        return false;
}

/* A listening socket at @path with @mode, or -errno. */
static int make_socket(const char *path, int type, mode_t mode) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        _cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        mode_t before = umask(0777 & ~mode);
        int r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
        (void) umask(before);
        if (r < 0)
                return r;
        if (type != SOCK_DGRAM && listen(fd, SOMAXCONN) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static void set_option(int fd, int option, int value) {
        (void) setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

static void open_passed(const SocketKind *kind, InitSockets *sockets) {
        if (!has_unit(kind->unit))
                return;
        int fd = make_socket(kind->path, kind->type, 0666);
        if (fd < 0)
                return;
        if (kind->journal) {
                set_option(fd, SO_PASSCRED, 1);
                set_option(fd, SO_PASSSEC, 1);
                set_option(fd, SO_RCVBUF, JOURNAL_BUFFER_BYTES);
                if (kind->type == SOCK_DGRAM)
                        set_option(fd, SO_TIMESTAMP, 1);
        }
        sockets->passed[sockets->n_passed].fd = fd;
        sockets->passed[sockets->n_passed++].type = kind->type;
}

/* systemd-detect-virt reads this where it may not read PID 1's environment. */
static void write_container(void) {
        const char *container = getenv("container");

        _cleanup_close_ int fd = open("/run/systemd/container", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd >= 0 && container)
                (void) dprintf(fd, "%s\n", container);
}

void init_sockets_open(InitSockets *ret) {
        InitSockets sockets = { .private_fd = -EBADF };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                (void) mkdir(directories[i], 0755);
        write_container();
        sockets.private_fd = make_socket(INIT_PRIVATE_SOCKET, SOCK_STREAM, 0700);
        if (sockets.private_fd >= 0 && stat(INIT_PRIVATE_SOCKET, &sockets.private_inode) < 0)
                closep(&sockets.private_fd);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                open_passed(&kinds[i], &sockets);
        if (has_unit("systemd-journald-dev-log.socket"))
                (void) symlink("/run/systemd/journal/dev-log", "/dev/log");
        *ret = sockets;
}

/* One connection or message. */
static bool refuse_one(int fd, int type) {
        char nothing;

        if (type == SOCK_DGRAM)
                return recv(fd, &nothing, sizeof(nothing), MSG_DONTWAIT | MSG_TRUNC) >= 0;
        _cleanup_close_ int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        return client_fd >= 0;
}

static void refuse_all(int fd, int type) {
        for (unsigned i = 0; fd >= 0 && i < REFUSE_MAX && refuse_one(fd, type); i++)
                ;
}

void init_sockets_refuse(const InitSockets *sockets) {
        refuse_all(sockets->private_fd, SOCK_STREAM);
        for (size_t i = 0; i < sockets->n_passed; i++)
                refuse_all(sockets->passed[i].fd, sockets->passed[i].type);
}

void init_sockets_done(InitSockets *sockets) {
        closep(&sockets->private_fd);
        for (size_t i = 0; i < sockets->n_passed; i++)
                closep(&sockets->passed[i].fd);
        sockets->n_passed = 0;
}
