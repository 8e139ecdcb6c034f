/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "fuzz.h"

#define INPUT_MAX_BYTES ((size_t) 16 << 20)

/* Gives each file of the directories (or each file) named by the arguments to the fuzz target, which aborts when it finds
 * something wrong. For compilers without libFuzzer, and to try one finding again. */

static unsigned n_inputs;

static int replay_file(int dir_fd, const char *name) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = file_read_at(dir_fd, name, INPUT_MAX_BYTES, &data, &size);
        if (r < 0)
                return log_error_errno(r, "Cannot read '%s': %m", name);

        /* An exact copy: sanitizers and valgrind see a read beyond its end. */
        _cleanup_free_ uint8_t *exact = malloc(MAX(size, (size_t) 1));
        if (!exact)
                return log_oom();
        memcpy(exact, data, size);
        log_verbose("%s", name);
        (void) LLVMFuzzerTestOneInput(exact, size);
        n_inputs++;
        return 0;
}

static int replay_path(const char *path) {
        _cleanup_closedir_ DIR *dir = opendir(path);

        if (!dir)
                return errno == ENOTDIR ? replay_file(AT_FDCWD, path) :
                                          log_error_errno(errno, "Cannot open '%s': %m", path);
        for (struct dirent *entry; (entry = readdir(dir));) {
                if (entry->d_name[0] == '.')
                        continue;
                int r = replay_file(dirfd(dir), entry->d_name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++)
                if (replay_path(argv[i]) < 0)
                        return EXIT_FAILURE;
        if (n_inputs == 0) {
                log_error("There was nothing to replay");
                return EXIT_FAILURE;
        }
        printf("%u inputs replayed\n", n_inputs);
        return EXIT_SUCCESS;
}
