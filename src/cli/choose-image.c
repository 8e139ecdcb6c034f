/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds, checks and opens the image that a job or a service names, and says in the job's log what is wrong with it.
 * Only `prepare` and what works for it call this. An image that allowed_images does not let a job use is neither opened
 * for it nor fetched. */

#include "cli/choose-image.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "gitlab/exit-status.h"
#include "image/generation.h"
#include "job/pull.h"
#include "local/broker-client.h"
#include "maintain/image-cache.h"
#include "maintain/named-image.h"
#include "source/source.h"
#include "terminal/table.h"

/* Whose fault is it that there is no image? The job's, if it named the image. */
static int image_failure(const ImageChoice *choice, int error) {
        return choice->source == IMAGE_OF_JOB || choice->source == IMAGE_OF_SERVICE ? STAGE_BUILD_FAILURE : error;
}

/* An old generation of an allowed image is allowed, too; a directory whose name only looks like one is another image.
 * @image is NULL before anything was opened: then the name can mean either. */
static bool is_allowed(const Settings *settings, const ImageChoice *choice, const Image *image) {
        _cleanup_free_ char *name = NULL;
        uint64_t number;

        if (image_choice_is_allowed(settings, choice))
                return true;
        if (image)
                return image_choice_is_allowed(settings,
                                               &(ImageChoice){ .name = image->name, .source = choice->source });
        return generation_split(choice->name, &name, &number) >= 0 &&
               image_choice_is_allowed(settings, &(ImageChoice){ .name = name, .source = choice->source });
}

static int explain_not_allowed(const ImageChoice *choice) {
        log_error("Image '%s' is not among this runner's %s: name another image, or ask the runner's administrator",
                  choice->name, choice->source == IMAGE_OF_SERVICE ? "allowed_services" : "allowed_images");
        return STAGE_BUILD_FAILURE;
}

/* What GitLab's users write for Docker, such as python:3.12, is the name of an image of Docker Hub there, and one of this
 * host's own here, unless default_registry says otherwise. */
static void advise_registry(const Settings *settings, const char *name) {
        _cleanup_free_ char *reference = image_reference_complete("docker.io", name);

        if (settings->default_registry || !reference || image_reference_problem(reference))
                return;
        log_notice(
                "If Docker Hub's image is meant, name it '%s', or set 'default_registry: docker.io' in the configuration%s",
                reference, pull_fetches(settings) ? "" : "; in both cases, set 'pull: if-not-present' there");
        if (strchr(name, ':'))
                log_notice("Or write a definition with 'nspawn_runner_oci: %s' to '%s/%s.yaml' (see "
                           "nspawn-runner-image(5)), and call 'nspawn-runner chroot-create %s'",
                           reference, settings->definitions_dir, name, name);
}

/* Returns what the command is to return where an image could not be opened because of @r. */
static int explain_not_opened(const Settings *settings, const ImageChoice *choice, int r) {
        if (r == -ENOENT && access(settings->root_dir, F_OK) < 0) {
                log_error("There is no image '%s': the image root '%s' does not exist. Make an image with "
                          "'nspawn-runner chroot-create NAME'",
                          choice->name, settings->root_dir);
                advise_registry(settings, choice->name);
                return r;
        }
        if (r == -ENOENT) {
                log_no_image(settings, choice->name);
                advise_registry(settings, choice->name);
                return STAGE_BUILD_FAILURE; /* for a default image, too: a retry does not help */
        }
        if (r == -ENODATA || r == -ENOTDIR || r == -ELOOP) {
                log_error("'%s/%s' is not an image: %s", settings->root_dir, choice->name,
                          r == -ENODATA ? "it holds no root file system (it is empty or incomplete)" :
                                          "it is not a directory (symlinks are not followed)");
                log_available_images(settings);
                return STAGE_BUILD_FAILURE;
        }
        if (r == -EBUSY)
                return log_image_busy(settings, choice->name);
        return log_error_errno(r, "Cannot open image '%s' in '%s': %m", choice->name, settings->root_dir);
}

static int open_local(const Settings *settings, const ImageChoice *choice, Image **ret) {
        _cleanup_image_ Image *image = NULL;

        if (check_image_name_logged(choice->name) < 0)
                return image_failure(choice, -EINVAL);
        if (!is_allowed(settings, choice, NULL))
                return explain_not_allowed(choice);
        int r = generation_hold_reference(settings->root_dir, choice->name, &image);
        if (r < 0)
                return explain_not_opened(settings, choice, r);
        if (!is_allowed(settings, choice, image))
                return explain_not_allowed(choice);
        *ret = TAKE_PTR(image);
        return 0;
}

static void on_step(void *userdata _unused_, const char *step) {
        log_notice("%s", step);
}

static void on_line(void *userdata _unused_, const char *line) {
        log_notice("%s", line);
}

/* Says why the image could not be fetched, and returns what the command is to return. */
static int explain_fetch(const ImageFetch *fetch, const ImageChoice *choice, const PullChoice *pull, int r,
                         Problem *problem) {
        const Settings *settings = fetch->settings;
        const char *name = choice->name;
        char limit[16], why[PROBLEM_TEXT_MAX];

        if (r > 0) {
                (void) problem_set(problem, 0, "Image '%s' cannot be fetched%s%s", name, problem->text[0] ? ": " : "",
                                   problem->text);
                return r == SOURCE_REFUSED ? image_failure(choice, -EIO) : -EIO;
        }
        if (r == -ENOENT && fetch->pull == PULL_NEVER) {
                (void) problem_set(problem, r, "This host does not have image '%s', and %s forbids fetching it", name,
                                   pull->of_job ? "'pull_policy: never' of the job" : "the setting 'pull'");
                return image_failure(choice, r);
        }
        if (r == -EDQUOT) {
                (void) problem_set(
                        problem, r,
                        "Image '%s' cannot be fetched: it takes up more than image_cache_size allows, which is %s",
                        name, format_bytes(settings->image_cache_size, limit));
                return image_failure(choice, r);
        }
        if (r == -ECANCELED)
                return problem_set(problem, r, "Cancelled while image '%s' was being fetched", name);
        snprintf(why, sizeof(why), "%s", problem_text(problem, r));
        (void) problem_set(problem, r, "Image '%s' cannot be fetched: %s", name, why);
        /* Its content cannot be used, however often it is fetched. */
        return r == -EUCLEAN ? image_failure(choice, r) : r;
}

static void advise_pull(const Settings *settings, const PullChoice *pull, const char *reference) {
        log_notice("'nspawn-runner chroot-pull %s' fetches it%s", reference,
                   pull->of_job || pull_fetches(settings) ?
                           "" :
                           "; with 'pull: if-not-present' in the configuration, jobs fetch their images");
}

/* Tries one policy after the other until the image is there, as GitLab Runner does. */
static int try_policies(const Settings *settings, const ImageChoice *choice, const PullChoice *pull, int cancel_fd,
                        Image **ret) {
        const Listener listener = { .cancel_fd = cancel_fd, .on_step = on_step, .on_line = on_line };
        ImageFetch fetch = {
                .settings = settings,
                .reference = choice->name,
                .command = "prepare",
                .for_service = choice->source == IMAGE_OF_SERVICE,
                .listener = &listener,
        };

        for (char *const *policy = pull->policies;; policy++) {
                Problem problem = { 0 };

                fetch.pull = pull_policy_parse(*policy);
                int r = image_cache_get(&fetch, ret, &problem);
                if (r == 0)
                        return 0;
                int result = explain_fetch(&fetch, choice, pull, r, &problem);
                if (r == -ECANCELED || !policy[1]) {
                        log_error("%s", problem.text);
                        if (r == -ENOENT && fetch.pull == PULL_NEVER)
                                advise_pull(settings, pull, choice->name);
                        return result;
                }
                log_warning("%s", problem.text);
                log_notice("Trying the next pull policy, '%s'", policy[1]);
        }
}

static int open_of_registry(const Settings *settings, const ImageChoice *choice, int cancel_fd, Image **ret) {
        _cleanup_pull_choice_ PullChoice pull = { 0 };

        const char *no_reference = image_reference_problem(choice->name);
        if (no_reference) {
                log_error("Image name '%.200s' contains '/', but is not an image of a registry: it %s", choice->name,
                          no_reference);
                advise_registry(settings, choice->name);
                return image_failure(choice, -EINVAL);
        }
        if (!image_choice_is_allowed(settings, choice))
                return explain_not_allowed(choice);
        int r = pull_choose(settings, choice->pull_policies, &pull);
        if (r == PULL_NOT_ALLOWED) {
                log_error("'pull_policy: %s' of the job is not among this runner's allowed_pull_policies",
                          pull.refused);
                return STAGE_BUILD_FAILURE;
        }
        if (r < 0)
                return log_oom();
        if (pull.refused)
                log_warning("'pull_policy: %s' of the job is ignored: the runner's setting pull does not allow it",
                            pull.refused);
        return try_policies(settings, choice, &pull, cancel_fd, ret);
}

int choose_image(const Settings *settings, const ImageChoice *choice, int cancel_fd, Image **ret) {
        _cleanup_free_ char *reference = NULL;
        ImageChoice complete = *choice;

        if (!choice->name) {
                log_error(
                        "The job names no image ('image:' in .gitlab-ci.yml), and there is no default: give %s, or set "
                        "default_image in the configuration",
                        getenv(LOCAL_OWNER_VARIABLE) ? "--image-default to exec" : "--default-image to prepare");
                log_available_images(settings);
                return STAGE_BUILD_FAILURE;
        }
        int r = choice->of_this_host ? 0 : named_image_reference(settings, choice->name, &reference);
        if (r < 0)
                return log_oom();
        if (reference) {
                if (!streq(reference, choice->name))
                        log_verbose("Image '%s' is not on this host, so '%s' is meant (default_registry)", choice->name,
                                    reference);
                complete.name = reference;
        }
        /* Images of this host have no '/' in their names. */
        return strchr(complete.name, '/') ? open_of_registry(settings, &complete, cancel_fd, ret) :
                                            open_local(settings, &complete, ret);
}
