/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps the files in /etc that a machine writes for itself from staying in an image's tree. image-machine.c calls
 * this around a machine that works in place. What the work itself changed in them is not undone. */

#include "machine/tree-files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hosts.h"
#include "base/string.h"

#define FILE_BYTES_MAX (64 << 20)

typedef enum FileKind {
        FILE_MISSING,
        FILE_REGULAR,
        FILE_SYMLINK,
        FILE_OTHER, /* a directory, a device, a file of no use: nobody's business */
} FileKind;

typedef struct FileState {
        FileKind kind;
        char *data; /* content, or target */
        size_t size;
        struct stat st;
} FileState;

#define HOSTS "hosts"

/* In etc/ */
static const char *const names[] = { "resolv.conf", "machine-id", "hostname", HOSTS };

struct TreeFiles {
        FileState saved[ELEMENTSOF(names)], machine[ELEMENTSOF(names)];
};

static void state_done(FileState *state) {
        free(state->data);
        *state = (FileState){ 0 };
}
#define _cleanup_state_ _cleanup_(state_done)

void tree_files_free(TreeFiles *files) {
        if (!files)
                return;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                state_done(&files->saved[i]);
                state_done(&files->machine[i]);
        }
        free(files);
}

static int read_symlink(int etc_fd, const char *name, FileState *state) {
        state->data = calloc(1, PATH_MAX);
        if (!state->data)
                return -ENOMEM;
        ssize_t n = readlinkat(etc_fd, name, state->data, PATH_MAX - 1);
        if (n < 0)
                return -errno;
        state->size = (size_t) n;
        return 0;
}

static int state_read(int etc_fd, const char *name, FileState *ret) {
        _cleanup_state_ FileState state = { .kind = FILE_OTHER };
        int r = 0;

        if (fstatat(etc_fd, name, &state.st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return -errno;
                state.kind = FILE_MISSING;
        } else if (S_ISREG(state.st.st_mode)) {
                state.kind = FILE_REGULAR;
                /* The machine may be running, and put a pipe there in this moment. */
                r = file_find_in_root(etc_fd, name, FILE_BYTES_MAX, &state.data, &state.size);
                if (r == -ENOENT || r == -EFBIG) {
                        state.kind = FILE_OTHER;
                        r = 0;
                }
        } else if (S_ISLNK(state.st.st_mode)) {
                state.kind = FILE_SYMLINK;
                r = read_symlink(etc_fd, name, &state);
        }
        if (r < 0)
                return r;
        *ret = state;
        state = (FileState){ 0 };
        return 0;
}

static bool state_equal(const FileState *a, const FileState *b) {
        return a->kind == b->kind && a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* Opens /etc of the tree. Without that directory, or with something else in its place, the image has none of the
 * files: -ENOENT. */
static int open_etc(int tree_fd) {
        return find_in_root(tree_fd, "etc", O_RDONLY | O_DIRECTORY);
}

static int read_all(int tree_fd, FileState *states) {
        _cleanup_close_ int etc_fd = open_etc(tree_fd);

        if (etc_fd < 0)
                return etc_fd == -ENOENT ? 0 : etc_fd;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                int r = state_read(etc_fd, names[i], &states[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int tree_files_save(int tree_fd, TreeFiles **ret) {
        _cleanup_tree_files_ TreeFiles *files = calloc(1, sizeof(TreeFiles));

        if (!files)
                return -ENOMEM;
        int r = read_all(tree_fd, files->saved);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(files);
        return 0;
}

int tree_files_note(int tree_fd, TreeFiles *files) {
        return read_all(tree_fd, files->machine);
}

static int write_regular(int etc_fd, const char *name, const FileState *state, const char *data, size_t size) {
        const struct timespec times[] = { state->st.st_atim, state->st.st_mtim };

        int r = file_replace_at(etc_fd, name, data, size, state->st.st_mode & 07777);
        if (r < 0)
                return r;
        if (fchownat(etc_fd, name, state->st.st_uid, state->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            utimensat(etc_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int state_write(int etc_fd, const char *name, const FileState *state) {
        switch (state->kind) {
        case FILE_REGULAR:
                return write_regular(etc_fd, name, state, state->data, state->size);
        case FILE_SYMLINK:
                if (unlinkat(etc_fd, name, 0) < 0 && errno != ENOENT)
                        return -errno;
                return symlinkat(state->data, etc_fd, name) < 0 ? -errno : 0;
        case FILE_MISSING:
        case FILE_OTHER: /* the machine has put something in its place */
                return unlinkat(etc_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
        }
        return 0;
}

/* The file was changed while the machine's line was in it: removes that line. */
static int remove_line(int etc_fd, const FileState *now, const char *machine_name) {
        _cleanup_free_ char *line = NULL, *data = NULL;

        if (now->kind != FILE_REGULAR)
                return 0;
        int r = string_printf(&line, HOSTS_OWN_LINE, machine_name);
        if (r < 0)
                return r;
        const char *found = memmem(now->data, now->size, line, strlen(line));
        if (!found)
                return 0;
        size_t before = (size_t) (found - now->data), after = now->size - before - strlen(line);
        data = malloc(now->size);
        if (!data)
                return -ENOMEM;
        memcpy(data, now->data, before);
        memcpy(data + before, found + strlen(line), after);
        return write_regular(etc_fd, HOSTS, now, data, before + after);
}

static int restore_file(int etc_fd, const TreeFiles *files, size_t i, const char *machine_name) {
        _cleanup_state_ FileState now = { 0 };

        int r = state_read(etc_fd, names[i], &now);
        if (r < 0)
                return r;
        if (!state_equal(&now, &files->machine[i]))
                return streq(names[i], HOSTS) ? remove_line(etc_fd, &now, machine_name) : 0;
        return state_equal(&now, &files->saved[i]) ? 0 : state_write(etc_fd, names[i], &files->saved[i]);
}

int tree_files_restore(int tree_fd, const TreeFiles *files, const char *machine_name) {
        _cleanup_close_ int etc_fd = open_etc(tree_fd);
        int result = 0;

        if (etc_fd < 0)
                return etc_fd == -ENOENT ? 0 : etc_fd;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                int r = restore_file(etc_fd, files, i, machine_name);
                if (result == 0)
                        result = r;
        }
        return result;
}
