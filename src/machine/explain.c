/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says in a sentence why a machine could not be planned or started, or why a program of it could not be executed.
 * Called by `prepare`, `run` and image-machine.c when that has failed. Only returns text: the command logs it. */

#include "machine/explain.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/architecture.h"

static char *_printf_(1, 2) sentence(const char *format, ...) {
        char *text;
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(&text, format, ap);
        va_end(ap);
        return r < 0 ? NULL : text;
}

char *explain_plan(const Settings *settings, const char *image, int error, const char *unknown) {
        if (unknown)
                return sentence("system_call_filter: there is no system call or group '%s'", unknown);
        switch (error) {
        case -ENOEXEC:
                return sentence("Image '%s' has no systemd to boot, but its definition or the configuration says "
                                "'boot: %s'",
                                image, settings->boot == BOOT_EAGER ? "eager" : "yes");
        case -ENOSYS:
                return sentence("There is no storage driver '%s'", settings->storage);
        case -EPROTO:
                return sentence(
                        "nspawn-runner-agent is not installed: it must be beside nspawn-runner or in " LIBEXECDIR);
        case -ENOENT:
                return sentence("The seccomp filter cannot be made: libseccomp2 or systemd-analyze (package systemd) "
                                "is missing");
        default:
                return sentence("Cannot plan the container: %s", strerror(-error));
        }
}

char *explain_exec(const Machine *machine, const char *program, int error) {
        /* Looked at again, by name: it is for people. */
        _cleanup_close_ int tree_fd = open_directory_at(AT_FDCWD, machine->image_path, false, 0);
        const char *architecture = tree_fd < 0 || error != ENOEXEC ? NULL : tree_foreign_architecture(tree_fd);

        if (architecture)
                return sentence(
                        "Image '%s' is for another processor than this host's: %s. Use an image for this host's "
                        "processor, or install qemu-user-static on the host, which runs the image slowly",
                        machine->image, architecture);
        return sentence("Image '%s' cannot run %s: %s", machine->image, program, strerror(error));
}

static char *explain_ready(const Settings *settings, const Machine *machine, int error) {
        switch (error) {
        case -EINTR:
                return sentence("Cancelled while the container was starting");
        case -ETIMEDOUT:
                return sentence("The container did not get ready within %llu s (start_timeout)",
                                (unsigned long long) (settings->start_timeout_usec / USEC_PER_SEC));
        case -ECONNRESET:
                return sentence("The container of image '%s' ended while it was starting", machine->image);
        case -ENOEXEC:
                if (machine->command)
                        return sentence("Image '%s' cannot run the service's command '%s'", machine->image,
                                        machine->command[0]);
                return explain_exec(machine, machine->init, ENOEXEC);
        default:
                return sentence("Cannot talk to the container's agent: %s", strerror(-error));
        }
}

static char *explain_tree(const Machine *machine, const MachineDirectory *directory, int error) {
        _cleanup_free_ char *why = error == -EUCLEAN ? machine_file_read(directory, MACHINE_FILE_ENDED) : NULL;

        if (!why)
                return sentence("Cannot look at image '%s': %s", machine->image, strerror(-error));
        return sentence("Image '%s' cannot be used: %s", machine->image, why);
}

char *explain_start(const Settings *settings, const Machine *machine, const MachineDirectory *directory, StartStep step,
                    int error) {
        switch (step) {
        case START_STATE:
                return sentence("Cannot write the job's state to '%s': %s", directory->path, strerror(-error));
        case START_TREE:
                return explain_tree(machine, directory, error);
        case START_LAYER:
                if (error == -ELIBACC)
                        return sentence("Storage driver '%s' needs a library that is not installed: see 'nspawn-runner "
                                        "doctor'",
                                        machine->settings.storage);
                if (error == -ENOTTY && streq(machine->settings.storage, "btrfs"))
                        return sentence("Cannot make the job's layer '%s': 'storage: btrfs' needs btrfs, and the layer "
                                        "would be on another file system",
                                        machine->layer);
                return sentence("Cannot make the job's layer '%s' (storage %s): %s", machine->layer,
                                machine->settings.storage, strerror(-error));
        case START_SUPERVISOR:
                return sentence("Cannot start the container's supervisor (%s): %s", machine->supervisor,
                                strerror(-error));
        case START_READY:
                break;
        }
        return explain_ready(settings, machine, error);
}
