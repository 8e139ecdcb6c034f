/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides for `prepare` whether GitLab's own stages need a helper image, finds it, and adds it and programs of the host
 * to the plan of the container. An image that has all that is needed must cost no more than a few looks. */

#include "cli/stage-programs.h"

#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/choose-image.h"
#include "config/image-name.h"
#include "config/image-reference.h"
#include "image/contents.h"
#include "image/generation.h"
#include "machine/tools-plan.h"
#include "maintain/helper-image.h"

/* GitLab's script for the sources fetches large files only where it finds git-lfs, and says nothing where it does not. Docker's
 * helper has it. So an image of a registry without it is helped by one that has it, if there is one. An image of this host is
 * not: git may need what the administrator put into it, such as authorities and git's settings. */
static int find_large_files_helper(const StagePrograms *programs, Machine *machine, Image **ret) {
        const Image *image = programs->image;
        _cleanup_image_ Image *helper = NULL;

        if (!strchr(image->title, '/'))
                return 0;
        int r = image_has_program(image->fd, strv_value(machine->environment, "PATH"), IMAGE_LARGE_FILES_PROGRAM);
        if (r != 0)
                return MIN(r, 0);
        r = helper_image_find(programs->settings, programs->default_image, &helper);
        if (r < 0) {
                if (r != -ENOENT)
                        log_warning("Files of Git LFS are not fetched: cannot open the helper image: %s", strerror(-r));
                return 0;
        }
        r = image_has_program(helper->fd, NULL, IMAGE_LARGE_FILES_PROGRAM);
        if (r <= 0)
                return r;
        if (string_replace(&machine->lack, IMAGE_LARGE_FILES_PROGRAM) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(helper);
        return 0;
}

/* The image that the setting wants, or NULL. */
static int find_helper(const StagePrograms *programs, Machine *machine, Image **ret) {
        const char *wanted = machine->settings.helper_image;
        /* Under that name, any job could have an image fetched, and this one is for all jobs. */
        const ImageChoice choice = { .name = wanted,
                                     .source = IMAGE_DEFAULT,
                                     .of_this_host = streq(wanted, HELPER_IMAGE) };

        if (streq(wanted, "none"))
                return 0;
        if (!streq(wanted, "auto")) {
                int r = choose_image(programs->settings, &choice, programs->signal_fd, ret);
                if (r != 0)
                        log_error("The setting helper_image names '%s'", wanted);
                return r > 0 ? -ENOENT : r; /* the job has not chosen it */
        }
        int r;
        if (!machine->lack) {
                r = find_large_files_helper(programs, machine, ret);
                return r < 0 ? log_error_errno(r, "Cannot look for git-lfs: %m") : 0;
        }
        r = helper_image_find(programs->settings, programs->default_image, ret);
        if (r == -ENOENT)
                log_verbose("Image '%s' has no %s, and there is no helper image", machine->image, machine->lack);
        else if (r < 0)
                return log_error_errno(r, "Cannot open the helper image: %m");
        return 0;
}

static int plan_helper(const StagePrograms *programs, Machine *machine, Image **ret_helper) {
        _cleanup_generation_ Generation *known = NULL;
        _cleanup_image_ Image *helper = NULL;

        int r = find_helper(programs, machine, &helper);
        if (r < 0 || !helper)
                return r;
        r = generation_load_of(helper, &known);
        if (r < 0)
                return log_error_errno(r, "Cannot read the description of image '%s': %m", helper->title);
        if (string_replace(&machine->helper, helper->title) < 0 ||
            string_replace(&machine->helper_path, helper->current_path) < 0 ||
            (known->config.env && strv_copy(known->config.env, &machine->helper_environment) < 0))
                return log_oom();
        machine->helper_generation = helper->generation;
        (void) file_handle_text(helper->fd, &machine->helper_handle);
        log_verbose("GitLab Runner's own steps run in image '%s', generation %llu: image '%s' lacks %s", helper->title,
                    (unsigned long long) helper->generation, machine->image, machine->lack ? machine->lack : "nothing");
        *ret_helper = TAKE_PTR(helper);
        return 0;
}

static int plan_tools(const StagePrograms *programs, const Image *helper, Machine *machine) {
        Problem problem = { 0 };

        int r = tools_plan(machine, programs->image->fd, helper ? helper->fd : -EBADF, &problem);
        if (r == -EINVAL)
                return log_problem(r, &problem);
        if (r < 0)
                return log_error_errno(r, "Cannot look for programs of the host: %m");
        log_verbose("Programs of the host: bash: %s; gitlab-runner: %s",
                    machine->bash_path ? machine->bash_path : "none",
                    machine->runner_path ? machine->runner_path : "none");
        return 0;
}

int stage_programs_plan(const StagePrograms *programs, Machine *machine, Image **ret_helper) {
        const char *lack;

        int r = image_lacks(programs->image->fd, machine->environment, &lack);
        if (r < 0)
                return log_error_errno(r, "Cannot look for programs in image '%s': %m", programs->image->title);
        if (string_replace(&machine->lack, lack) < 0)
                return log_oom();
        r = plan_helper(programs, machine, ret_helper);
        return r < 0 ? r : plan_tools(programs, *ret_helper, machine);
}
