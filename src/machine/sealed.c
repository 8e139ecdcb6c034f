/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes sealed copies of what a container's first process needs before it trusts anything inside. `supervise` passes
 * them on to systemd-nspawn. The command of a service contains secrets of the job: no other copy of it may stay in
 * memory. */

#include "machine/sealed.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "wire/service.h"

#define FILTER_MAX_BYTES (64 * 1024)

int sealed_filter(const Machine *machine, int *ret_fd) {
        _cleanup_free_ char *filter = NULL;
        size_t size;

        if (!machine->seccomp_filter)
                return 0;
        int r = file_read_at(AT_FDCWD, machine->seccomp_filter, FILTER_MAX_BYTES, &filter, &size);
        if (r < 0)
                return r;
        int fd = memfd_new_sealed("seccomp-filter", filter, size);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

int sealed_service(const Machine *machine, int *ret_fd) {
        WireService service = {
                .user = machine->user,
                .directory = machine->working_dir,
                .directories = machine->directories,
                .argv = machine->command,
                .environment = machine->environment,
        };
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (!machine->command)
                return 0;
        int r = wire_format_service(&service, &text, &size);
        if (r < 0)
                return r;
        int fd = memfd_new_sealed("service", text, size);
        explicit_bzero(text, size);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}
