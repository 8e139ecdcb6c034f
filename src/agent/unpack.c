/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Moves files into the container for the command `exec`: sources, caches, artifacts. Called by main.c for a step that
 * executes the agent's program. One thread reads, and makes what comes with an order: directories before what is in
 * them. Files are left to others as long as no path can come twice. It must make nothing outside of its directory. */

#include "agent/unpack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/beneath.h"
#include "agent/crew.h"
#include "agent/place.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define INDEX ".git/index"
#define INDEX_BYTES_MAX (UINT64_C(256) * 1024 * 1024)

typedef struct Unpacking {
        Place place;
        Crew *crew;
        BundleReader reader;
        BundleEntry entry;
        char last[BUNDLE_PATH_MAX + 1]; /* the path before */
        GitIndex index;
        bool unsure; /* nobody has found out which files are as the index says */
        int status;
} Unpacking;

static int write_content(Unpacking *u, int fd) {
        const void *data;
        size_t size;

        do {
                int r = bundle_read(&u->reader, &data, &size);
                if (r < 0)
                        return r;
                r = size > 0 ? fd_write_all(fd, data, size) : 0;
                if (r < 0)
                        return r;
        } while (size > 0);
        return 0;
}

static int unpack_file(Unpacking *u) {
        _cleanup_close_ int fd = place_begin_file(&u->place, &u->entry);
        if (fd < 0)
                return fd;
        int r = write_content(u, fd);
        return r < 0 ? r : place_end_file(&u->place, &u->entry, fd);
}

static void wait_for_crew(Unpacking *u) {
        if (!crew_wait(u->crew))
                u->status = EXIT_FAILURE;
}

/* Reads all that the entry has into @whole, where there is room for it. Returns how many bytes those are, or -errno. */
static ssize_t read_entry(Unpacking *u, unsigned char *whole) {
        size_t n = 0;

        for (;;) {
                const void *data;
                size_t size;

                int r = bundle_read(&u->reader, &data, &size);
                if (r < 0)
                        return r;
                if (size == 0)
                        return (ssize_t) n;
                memcpy(whole + n, data, size);
                n += size;
        }
}

/* Kept in memory until all other files are there. */
static int unpack_index(Unpacking *u) {
        wait_for_crew(u);
        index_done(&u->index);
        _cleanup_free_ unsigned char *whole = malloc(u->entry.size + 1);
        if (!whole)
                return -ENOMEM;
        ssize_t n = read_entry(u, whole);
        if (n < 0)
                return (int) n;
        int r = index_init(&u->index, TAKE_PTR(whole), (size_t) n);
        u->unsure = r < 0 || !u->entry.clean;
        return r == -EBADMSG ? 0 : r;
}

static int unpack_one(Unpacking *u) {
        const BundleEntry *entry = &u->entry;

        /* In order, no path comes twice, nor does a directory come after what is in it. */
        if (strcmp(entry->path, u->last) <= 0)
                wait_for_crew(u);
        strcpy(u->last, entry->path);
        if (entry->type == BUNDLE_FILE && streq(entry->path, INDEX) && entry->size <= INDEX_BYTES_MAX)
                return unpack_index(u);
        switch (entry->type) {
        case BUNDLE_DIRECTORY:
                return place_directory(&u->place, entry);
        case BUNDLE_SYMLINK:
                return place_symlink(&u->place, entry);
        case BUNDLE_FILE:
                return crew_takes(u->crew, entry) ? crew_put(u->crew, entry, &u->reader) : unpack_file(u);
        default:
                return -EBADMSG; /* it has no content */
        }
}

static int write_index(Unpacking *u) {
        index_finish(&u->index);
        int r = place_enter(&u->place, INDEX);
        if (r < 0)
                return r;
        const char *name = last_part(INDEX);
        int dir_fd = u->place.parent_fd;
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? -errno : fd_write_all(fd, u->index.data, u->index.size);
}

/* An index that knows nothing of files makes commands that trust it (`git diff-index`) take every file for a changed one. The
 * image's git compares them; without git, nobody asks. */
static void refresh_index(const char *directory, mode_t mask) {
        int status;

        pid_t pid = fork();
        if (pid > 0)
                (void) waitpid(pid, &status, 0);
        if (pid != 0)
                return;
        (void) umask(mask);
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                (void) dup2(null_fd, fd);
        (void) execvp("git", ARGV("git", "-C", directory, "update-index", "-q", "--refresh"));
        _exit(EXIT_FAILURE);
}

/* All that can be made is made; what cannot is told, and the exit status says so. */
static int unpack_all(Unpacking *u) {
        int r;

        while ((r = bundle_next(&u->reader, &u->entry)) > 0) {
                int q = unpack_one(u);
                if (q < 0)
                        u->status = path_failed(q, u->entry.path);
        }
        wait_for_crew(u);
        return r;
}

static int unpack(Unpacking *u, const char *directory) {
        int r = bundle_reader_init(&u->reader, STDIN_FILENO);
        if (r < 0)
                return r;
        u->crew = crew_new(u->place.root_fd, u->place.umask, &u->index);
        if (!u->crew)
                return -ENOMEM;
        r = unpack_all(u);
        crew_free(u->crew);
        if (r < 0 || !u->index.data)
                return r;
        r = write_index(u);
        if (r < 0)
                u->status = path_failed(r, INDEX);
        else if (u->unsure)
                refresh_index(directory, u->place.umask);
        return 0;
}

int agent_unpack(const char *directory) {
        static Unpacking u;

        int r = mkdir_parents(directory, 0777);
        if (r < 0)
                return path_failed(r, directory);
        _cleanup_close_ int root_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return path_failed(errno, directory);
        u = (Unpacking){ .status = EXIT_SUCCESS };
        place_init(&u.place, root_fd, umask(0), &u.index);
        r = unpack(&u, directory);
        place_done(&u.place);
        bundle_reader_done(&u.reader);
        index_done(&u.index);
        return r < 0 ? path_failed(r, directory) : u.status;
}
