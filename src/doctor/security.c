/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: what works, and is more open than it looks. Only looks. Nothing here keeps jobs from running:
 * these lines are notes. */

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/string.h"
#include "container/cgroup.h"
#include "definition/definition.h"
#include "doctor/check.h"
#include "job/image-choice.h"

/* For what jobs may name the image: " (...)", or nothing. */
static const char *host_root_use(const Settings *settings, const char *name) {
        const bool image = image_choice_host_root_allowed(settings, IMAGE_OF_JOB, name);
        const bool service = image_choice_host_root_allowed(settings, IMAGE_OF_SERVICE, name);

        return image && service ? " (jobs may choose it, also as a service)" :
               image            ? " (jobs may choose it)" :
               service          ? " (jobs may choose it as a service)" :
                                  "";
}

/* The images whose definitions make their root the host's, as "'a', 'b'", as far as there is room. 0 or -errno. */
static int images_with_host_root(const Settings *settings, char *ret, size_t size) {
        _cleanup_strv_ char **names = NULL;

        ret[0] = 0;
        int r = definition_list(settings, &names, NULL);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_definition_ Definition *definition = NULL;
                _cleanup_(settings_done) Settings of_image = { 0 };
                _cleanup_free_ char *path = NULL;
                Problem problem = { 0 };
                size_t n = strlen(ret);

                /* Jobs of a definition that cannot be read fail anyway, and another check reports it. */
                if (definition_find(settings, *name, &path, NULL) < 0 ||
                    definition_load(path, *name, &definition, &problem) < 0)
                        continue;
                r = settings_copy(settings, &of_image);
                if (r < 0)
                        return r;
                r = definition_apply(definition, &of_image);
                if (r < 0)
                        return r;
                if (!of_image.private_users)
                        snprintf(ret + n, size - n, "%s'%s'%s", n > 0 ? ", " : "", *name,
                                 host_root_use(settings, *name));
        }
        return r;
}

static CheckResult check_host_root(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        char images[CHECK_DETAIL_MAX / 2];

        if (!invocation->settings->private_users)
                return check_say(CHECK_NOTE, ret_detail,
                                 "private_users: no in the configuration: root of every job is "
                                 "root of this host");
        int r = images_with_host_root(invocation->settings, images, sizeof(images));
        if (r < 0)
                return check_errno(r, ret_detail);
        if (images[0])
                return check_say(CHECK_NOTE, ret_detail,
                                 "private_users: no in the definition of %s: root of its jobs is "
                                 "root of this host",
                                 images);
        return check_say(CHECK_OK, ret_detail, "no job has it");
}

/* Can everybody go into @path, and into all directories above it? */
static int is_open_to_all(const char *path) {
        char *real = realpath(path, NULL);
        int result = real ? 1 : -errno;

        for (char *at = real; at && result > 0; at = dirname(at)) {
                struct stat st;

                if (stat(at, &st) < 0)
                        result = -errno;
                else if (!(st.st_mode & S_IXOTH))
                        result = 0;
                if (streq(at, "/"))
                        break;
        }
        free(real);
        return result;
}

static CheckResult check_set_user_id(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *path = invocation->settings->root_dir;
        struct statvfs s;

        int r = is_open_to_all(path);
        if (r == -ENOENT)
                return check_say(CHECK_OK, ret_detail, "%s does not exist yet", path);
        if (r < 0)
                return check_errno(r, ret_detail);
        if (r == 0)
                return check_say(CHECK_OK, ret_detail, "only root can read the images in %s", path);
        if (statvfs(path, &s) >= 0 && (s.f_flag & ST_NOSUID))
                return check_say(CHECK_OK, ret_detail, "the file system of %s is mounted with nosuid", path);
        return check_say(CHECK_NOTE, ret_detail, "every user of this host can read the images in %s", path);
}

static CheckResult check_tasks(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        uint64_t host = cgroup_host_tasks();
        uint64_t job = settings->job_tasks_max == 0 ? settings->tasks_max :
                                                      MIN(settings->tasks_max, settings->job_tasks_max);

        if (host == UINT64_MAX)
                return check_say(CHECK_OK, ret_detail, "unknown how many this kernel can have");
        /* A small runner runs two jobs at a time. */
        if (job <= host / 4)
                return check_say(CHECK_OK, ret_detail, "%" PRIu64 " for the host", host);
        if (job == UINT64_MAX)
                return check_say(CHECK_NOTE, ret_detail, "%" PRIu64 " for the host, and tasks_max is infinity", host);
        return check_say(CHECK_NOTE, ret_detail, "%" PRIu64 " for the host, and tasks_max is %" PRIu64, host, job);
}

const Check doctor_security_checks[] = {
        { "host's root", check_host_root, check_optional, "such jobs can do anything to the host",
          "leave private_users at yes, or trust these jobs like yourself" },
        { "set-user-ID programs", check_set_user_id, check_optional,
          "images may contain old or hostile set-user-ID programs of root", "chmod 700 that directory" },
        { "processes", check_tasks, check_optional, "a few jobs can keep the host from starting more processes",
          "sysctl kernel.pid_max=4194304, as systemd does, or a smaller tasks_max" },
        { 0 },
};
