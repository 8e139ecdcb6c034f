/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/unpack.h"
#include "base/fd.h"
#include "fuzz.h"
#include "tree/remove.h"

/* In memory: an ext4 without a journal looks at each file that was removed lately for each new one. */
static char top[] = "/dev/shm/nspawn-runner-fuzz-XXXXXX";
static char inside[sizeof(top) + 10], outside[sizeof(top) + 10];

static void remove_all(void) {
        (void) remove_tree_at(AT_FDCWD, top);
}

/* The input has a name for it: symlinks have no way to guess where it is. */
static void make_outside(void) {
        FUZZ_ASSERT(mkdtemp(top));
        atexit(remove_all);
        snprintf(inside, sizeof(inside), "%s/inside", top);
        snprintf(outside, sizeof(outside), "%s/outside", top);
        FUZZ_ASSERT(mkdir(outside, 0755) == 0);
        FUZZ_ASSERT(setenv("PATH", "/nonexistent", 1) == 0); /* git has fuzzers of its own */
}

/* A bundle as it may come from a hostile repository or archive: nothing is made outside of the directory. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int expected = -1;
        FILE *errors = stderr;

        if (!*outside)
                make_outside();
        int fd = memfd_create("bundle", MFD_CLOEXEC);
        FUZZ_ASSERT(fd >= 0 && fd_write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        FUZZ_ASSERT(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
        close(fd);
        FILE *null = fopen("/dev/null", "we");
        FUZZ_ASSERT(null);
        stderr = null;
        int status = agent_unpack(inside);
        stderr = errors;
        fclose(null);
        FUZZ_ASSERT(status == EXIT_SUCCESS || status == EXIT_FAILURE);
        int r = remove_tree_at(AT_FDCWD, inside);
        FUZZ_ASSERT(r == 0);
        FUZZ_ASSERT(rmdir(outside) == 0 && rmdir(top) == 0); /* nothing else is there */
        FUZZ_ASSERT(mkdir(top, 0700) == 0 && mkdir(outside, 0755) == 0);

        /* Nothing stayed open. */
        int next = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        FUZZ_ASSERT(expected < 0 || next == expected);
        expected = next;
        close(next);
        return 0;
}
