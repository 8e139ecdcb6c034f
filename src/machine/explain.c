/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says in a sentence why a program of an image could not be executed. Called by start.c, image-machine.c, `run` and
 * chroot-run when that has failed. Only fills in a Problem: the command logs it. */

#include "machine/explain.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "tree/architecture.h"

void explain_exec(const Machine *machine, const char *program, int error, Problem *ret) {
        /* Opened again by name, which may lead to another tree by now: this is only for a message. */
        _cleanup_close_ int tree_fd = open_directory_at(AT_FDCWD, machine->image_path, false, 0);
        const char *architecture = tree_fd < 0 || error != ENOEXEC ? NULL : tree_foreign_architecture(tree_fd);

        if (architecture)
                (void) problem_set(
                        ret, -error,
                        "Image '%s' is for another processor than this host's: %s. Use an image for this host's "
                        "processor, or install qemu-user-static on the host, which runs the image slowly",
                        machine->image, architecture);
        else
                (void) problem_set(ret, -error, "Image '%s' cannot run %s: %m", machine->image, program);
}

void explain_notice(const Machine *machine, const WireNotice *notice, Problem *ret) {
        const char *init = machine->init ? machine->init : "systemd";
        static const char begin[] = "Something asked for the container's systemd, which did not start";

        switch (notice->kind) {
        case WIRE_NOTICE_NOT_EXECUTED:
                (void) problem_set(ret, -notice->detail, "%s: %s cannot be executed: %m", begin, init);
                break;
        case WIRE_NOTICE_FAILED:
                (void) problem_set(ret, -EIO, "%s: '%s --version' failed with exit status %d", begin, init,
                                   notice->detail);
                break;
        case WIRE_NOTICE_KILLED:
                (void) problem_set(ret, -EIO, "%s: '%s --version' was killed by %s", begin, init,
                                   signal_name(notice->detail));
                break;
        case WIRE_NOTICE_HANGS:
                (void) problem_set(ret, -EIO, "%s: '%s --version' did not end", begin, init);
                break;
        default:
                (void) problem_set(ret, -EIO, "%s: %s does not answer", begin, init);
                break;
        }
}
