/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Chooses LANG for programs that run in a tree. The agent asks this for its container. The tree is not trusted: only
 * regular files are read, at most 4 MiB of them, and nothing is waited for. */

#include "base/locale.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"

#define LOCALES "/usr/lib/locale/"
#define ARCHIVE_BYTES_MAX (4 * 1024 * 1024)

/* The beginning of a file that localedef(1) makes of many locales: where the names are. */
typedef struct ArchiveHead {
        uint32_t magic, serial;
        uint32_t names_offset, names_used, names_size;
        uint32_t strings_offset, strings_used, strings_size;
} ArchiveHead;

#define ARCHIVE_MAGIC UINT32_C(0xde020109)

/* The names of the locales in the image's archive, each with a NUL before and behind it. NULL: there are none. */
static char *read_archive_names(int root_fd, size_t *ret_size) {
        ArchiveHead head;
        struct stat st;

        /* It may be a pipe, at which nobody is to wait. */
        _cleanup_close_ int fd = open_in_root(root_fd, LOCALES "locale-archive", O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
            head.magic != ARCHIVE_MAGIC || head.strings_used > ARCHIVE_BYTES_MAX)
                return NULL;
        size_t size = head.strings_used;
        char *names = calloc(1, size + 2);
        if (!names || pread(fd, names + 1, size, head.strings_offset) != (ssize_t) size) {
                free(names);
                return NULL;
        }
        *ret_size = size + 2;
        return names;
}

static bool exists(int root_fd, const char *path, int flags) {
        _cleanup_close_ int fd = open_in_root(root_fd, path, O_PATH | flags);

        return fd >= 0;
}

/* glibc calls the same locale C.utf8 in file names, and did not always. */
static bool has_locale(int root_fd, const char *names, size_t names_size, const char *name) {
        static const char *const endings[] = { "utf8", "UTF-8" };

        for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
                char path[64], entry[32] = { 0 };

                snprintf(path, sizeof(path), LOCALES "%s.%s", name, endings[i]);
                if (exists(root_fd, path, O_DIRECTORY))
                        return true;
                int n = snprintf(entry + 1, sizeof(entry) - 2, "%s.%s", name, endings[i]);
                if (names && memmem(names, names_size, entry, (size_t) n + 2))
                        return true;
        }
        return false;
}

const char *locale_of_tree(int root_fd) {
        size_t size = 0;

        if (!exists(root_fd, LOCALES, O_DIRECTORY) && !exists(root_fd, "/etc/ld.so.cache", 0))
                return "C.UTF-8";
        _cleanup_free_ char *names = read_archive_names(root_fd, &size);
        if (has_locale(root_fd, names, size, "C"))
                return "C.UTF-8";
        return has_locale(root_fd, names, size, "en_US") ? "en_US.UTF-8" : "C";
}
