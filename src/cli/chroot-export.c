/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-export`: writes an image to an archive, or takes it to a registry as chroot-push does. The image is only
 * read, and jobs do not notice. */

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/push-common.h"
#include "config/image-reference.h"

static int export(const Invocation *invocation, const char *name, const char *file) {
        unsigned long long seconds;

        int r = push_work_logged(invocation, name, "exported", export_image, file, &seconds);
        if (r != 0)
                return r;
        log_notice("Image '%s' is in '%s' (%llu s)", name, file, seconds);
        return 0;
}

static int run(const Invocation *invocation) {
        const char *name = invocation_argument(invocation, 0), *file = invocation_argument(invocation, 1);
        _cleanup_free_ char *standard = NULL;

        int r = check_image_name_logged(name);
        if (r < 0)
                return r;
        if (!file && string_printf(&standard, "%s.tar.zst", name) < 0)
                return log_oom();
        if (!file)
                file = standard;
        if (export_kind(file))
                return export(invocation, name, file);
        if (image_reference_is(file) && !strchr(file, '@'))
                return push_logged(invocation, name, file);
        log_error("'%.200s' is neither a file that ends with " EXPORT_ENDINGS " nor an image of a registry, such as "
                  "registry.example.com/group/name:tag",
                  file);
        return COMMAND_MISUSED;
}

const Command command_chroot_export = {
        .name = "chroot-export",
        .synopsis = "NAME [FILE|REFERENCE]",
        .min_arguments = 1,
        .max_arguments = 2,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Write an image to an archive, or take it to a registry",
};
