/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "base/string.h"
#include "cli/command.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "definition/definition.h"
#include "image/generation.h"
#include "image/publish.h"
#include "maintain/image-cache.h"

static void explain_missing(const Settings *settings, const char *name) {
        _cleanup_free_ char *of = NULL;
        _cleanup_image_ Image *image = NULL;
        uint64_t number;

        if (generation_split(name, &of, &number) >= 0 && generation_open(settings->root_dir, of, number, &image) >= 0)
                log_error("'%s' is a generation, and those go by themselves when they are neither kept nor used: "
                          "'nspawn-runner chroot-remove %s' removes the whole image",
                          name, of);
        else
                log_no_image(settings, name);
}

static int explain(const Settings *settings, const char *name, int r) {
        switch (r) {
        case -ENOENT:
                explain_missing(settings, name);
                return r;
        case -ENOTDIR:
                log_error("'%s/%s' is not an image: it is not a directory (symlinks are not followed)",
                          settings->root_dir, name);
                return r;
        case -EBUSY:
                log_error("Somebody works on image '%s': try again when that is done", name);
                return r;
        case -EXDEV:
                log_error("Image '%s' is a mount point: unmount it first", name);
                return r;
        default:
                return log_error_errno(r, "Cannot remove image '%s' from '%s': %m", name, settings->root_dir);
        }
}

int cmd_chroot_remove(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0);
        bool of_registry = strchr(name, '/');
        _cleanup_free_ char *cache = NULL, *cached = NULL, *definition = NULL;
        unsigned in_use = 0;

        const char *problem = of_registry ? image_reference_problem(name) : image_name_problem(name);
        if (problem) {
                log_error("Image name '%.200s' %s", name, problem);
                return -EINVAL;
        }
        if (of_registry) {
                cached = image_reference_to_name(name);
                if (!cached || image_cache_root(settings->root_dir, &cache) < 0)
                        return log_oom();
        }
        if (geteuid() != 0) {
                log_error("Only root can remove images");
                return -EPERM;
        }

        int r = of_registry ? publish_remove(cache, cached, &in_use) :
                              publish_remove(settings->root_dir, name, &in_use);
        if (r < 0)
                return explain(settings, name, r);
        if (in_use > 0)
                log_notice("Image '%s' is removed. Jobs still use %u of its generations: 'nspawn-runner gc' removes "
                           "what they leave",
                           name, in_use);
        else
                log_notice("Image '%s' is removed", name);
        if (!of_registry && definition_find(settings, name, &definition, NULL) >= 0)
                log_notice("The next chroot-maintenance makes it again, as long as there is '%s'", definition);
        return 0;
}
