/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes and enters network namespaces. `supervise` enters the namespace of a hub or a container for a moment, and must
 * return to its own before it does anything else. A descriptor that comes from a container must be checked before its
 * namespace is entered, in a way that cannot make us wait. */

#include "network/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"

int netns_open_own(void) {
        int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int netns_new(void) {
        return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

int netns_enter(int fd) {
        return setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

bool netns_is(int fd) {
        return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

bool netns_same(int a, int b) {
        struct stat x, y;

        return fstat(a, &x) >= 0 && fstat(b, &y) >= 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int netns_set(const char *name, const char *value) {
        _cleanup_free_ char *old = NULL;
        char path[128];

        if ((size_t) snprintf(path, sizeof(path), "/proc/sys/net/%s", name) >= sizeof(path))
                return -ENAMETOOLONG;
        int r = file_read_at(AT_FDCWD, path, 256, &old, NULL);
        if (r < 0)
                return r;
        old[strcspn(old, "\n")] = 0;
        return streq(old, value) ? 0 : file_write_string_at(AT_FDCWD, path, value);
}
