/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/create.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/finish.h"
#include "image/image.h"
#include "image/publish.h"
#include "image/sandbox.h"
#include "image/staging.h"

static int run(const ImageCreate *create, char *const *argv) {
        _cleanup_strv_ char **environment = NULL;

        int r = builder_environment(&environment);
        if (r < 0)
                return r;
        Sandbox sandbox = {
                .argv = argv,
                .envp = environment,
                .cancel_fd = create->cancel_fd,
                .on_line = create->on_line,
                .on_tick = create->on_tick,
                .userdata = create->userdata,
        };
        return sandbox_run(&sandbox);
}

static int run_step(const ImageCreate *create, int (*arguments)(const BuildPlan *, const char *, char ***),
                    const char *target) {
        _cleanup_strv_ char **argv = NULL;

        int r = arguments(create->plan, target, &argv);
        return r < 0 ? r : run(create, argv);
}

static int build(const ImageCreate *create, const Staging *staging) {
        const Builder *builder = create->plan->builder;

        int r = run_step(create, builder->arguments, staging->root_path);
        if (r != 0)
                return r;

        _cleanup_close_ int tree_fd = staging_tree(staging);
        if (tree_fd < 0)
                return tree_fd;
        if (create->plan->mirror.keyring) {
                r = finish_keyring(tree_fd, create->plan->mirror.keyring);
                if (r < 0)
                        return r;
        }
        return builder->completion ? run_step(create, builder->completion, staging->root_path) : 0;
}

static int publish_new(const ImageCreate *create, Staging *staging) {
        _cleanup_free_ char *source = NULL;

        int r = string_printf(&source, "suite %s", create->plan->suite);
        if (r < 0)
                return r;
        Generation about = { .source = source };
        return publish(staging, &about, NULL);
}

static int finish(const Staging *staging) {
        _cleanup_close_ int tree_fd = staging_tree(staging);

        return tree_fd < 0 ? tree_fd : finish_tree(tree_fd);
}

int image_create(const ImageCreate *create, CreateStep *ret_step) {
        Staging staging;

        *ret_step = CREATE_STAGING;
        /* 0700: programs with the set-user-ID bit in images, perhaps old ones, are nothing for the host's users. */
        int r = mkdir_parents(create->root_dir, 0700);
        if (r >= 0)
                r = staging_open(create->root_dir, create->name, &staging);
        if (r < 0)
                return r;

        *ret_step = CREATE_BUILD;
        r = build(create, &staging);
        if (r == 0) {
                *ret_step = CREATE_FINISH;
                r = finish(&staging);
        }
        if (r == 0) {
                *ret_step = CREATE_PUBLISH;
                r = publish_new(create, &staging);
        }
        int q = staging_discard(&staging);
        staging_done(&staging);
        return r != 0 ? r : q;
}
