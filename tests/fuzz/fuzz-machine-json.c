/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "fuzz.h"
#include "machine/directory.h"
#include "tree/remove.h"

static char path[64] = "/tmp/nspawn-runner-fuzz-XXXXXX";

static void remove_directory(void) {
        (void) remove_tree_at(AT_FDCWD, path);
}

static MachineDirectory open_directory(void) {
        FUZZ_ASSERT(mkdtemp(path));
        FUZZ_ASSERT(atexit(remove_directory) == 0);
        return (MachineDirectory){ .path = path, .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
}

/* The plan of a machine: what is accepted is written so that it is accepted again, and then stays as it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL, *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;

        if (directory.fd < 0)
                directory = open_directory();
        FUZZ_ASSERT(file_replace_at(directory.fd, "machine.json", data, size, 0600) >= 0);
        int r = machine_load(&directory, &machine);
        FUZZ_ASSERT(r == 0 || r == -EBADMSG || (r == -EFBIG && size > 1024 * 1024));
        FUZZ_ASSERT(!machine == (r < 0));
        if (r < 0)
                return 0;

        FUZZ_ASSERT(machine->id && machine->name && machine->directory && machine->layer && machine->image_path);
        FUZZ_ASSERT(machine_save(machine, &directory) >= 0);
        FUZZ_ASSERT(file_read_at(directory.fd, "machine.json", SIZE_MAX / 2, &first, NULL) >= 0);
        if (strlen(first) > 1024 * 1024)
                return 0;
        FUZZ_ASSERT(machine_load(&directory, &again) == 0);
        FUZZ_ASSERT(machine_save(again, &directory) >= 0);
        FUZZ_ASSERT(file_read_at(directory.fd, "machine.json", SIZE_MAX / 2, &second, NULL) >= 0);
        FUZZ_ASSERT(strcmp(first, second) == 0);
        return 0;
}
