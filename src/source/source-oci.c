/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "config/image-reference.h"
#include "source/oci-config.h"
#include "source/source.h"

/* In the work directory, by relative paths: a ':' in an absolute one would be taken for the beginning of a tag. */
#define LAYOUT "layout"
#define LAYOUT_IMAGE LAYOUT ":image"

#define DOCKER "docker://"

/* Where skopeo finds credentials, registries, keys and its own files. */
static const char *const passed_on[] = {
        "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
};

static int check_programs(char **ret_problem) {
        static const char *const programs[] = { "skopeo", "umoci" };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                if (!program_exists(programs[i]))
                        return source_problem(
                                ret_problem,
                                "%s, which OCI images are fetched with, is missing: install the package %s.",
                                programs[i], programs[i]);
        return 0;
}

int oci_reference_pin(const char *reference, const char *digest, char **ret) {
        if (!startswith(reference, DOCKER))
                return string_replace(ret, reference);
        const char *given = strrchr(reference, '@');
        if (!digest && !given)
                return string_replace(ret, reference);
        return string_printf(ret, "%.*s@%s", (int) image_reference_repository_length(reference), reference,
                             given ? given + 1 : digest);
}

static int skopeo_environment(char ***ret) {
        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++) {
                const char *value = getenv(passed_on[i]);
                int r = isempty(value) ? 0 : strv_extendf(ret, "%s=%s", passed_on[i], value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool is_digest(const char *line) {
        size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789");

        return n > 0 && line[n] == ':' && strlen(line + n + 1) >= 32 &&
               strspn(line + n + 1, "0123456789abcdef") == strlen(line + n + 1);
}

/* The digest of what the registry has under that name: of the list, where there are several architectures. */
static int find_digest(const SourceRequest *request, const char *reference, char *const *environment, char **ret) {
        char *argv[] = { (char *) "skopeo",      (char *) "inspect", (char *) "--no-tags", (char *) "--format",
                         (char *) "{{.Digest}}", (char *) "--",      (char *) reference,   NULL };

        return source_run_for_line(request, SOURCE_PROGRAM_FETCH, argv, environment, is_digest, ret);
}

static int fetch(const SourceRequest *request, const char *reference, char *const *environment) {
        char *argv[] = { (char *) "skopeo",
                         (char *) "copy",
                         (char *) "--",
                         (char *) reference,
                         (char *) "oci:" LAYOUT_IMAGE,
                         NULL };

        return source_run(request, SOURCE_PROGRAM_FETCH, argv, environment, request->work);
}

static int unpack(const SourceRequest *request) {
        char *argv[] = { (char *) "umoci",
                         (char *) "raw",
                         (char *) "unpack",
                         (char *) "--image",
                         (char *) LAYOUT_IMAGE,
                         (char *) request->target,
                         NULL };

        return source_run(request, SOURCE_PROGRAM_UNPACK, argv, NULL, request->work);
}

static int take_config(const SourceRequest *request, SourceResult *result, char **ret_problem) {
        _cleanup_close_ int work_fd = open(request->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_close_ int layout_fd = work_fd < 0 ? -errno : open_directory_at(work_fd, LAYOUT, false, 0);
        _cleanup_oci_config_ OciConfig config = { 0 };

        if (layout_fd < 0)
                return layout_fd;
        int r = oci_layout_config(layout_fd, &config);
        if (r == -EBADMSG)
                return source_problem(ret_problem, "The configuration of %s cannot be read.", request->spec->oci);
        if (r == -E2BIG)
                return source_problem(ret_problem, "The environment that %s sets is too large.", request->spec->oci);
        if (r < 0)
                return r;
        result->env = TAKE_PTR(config.env);
        result->working_dir = TAKE_PTR(config.working_dir);
        result->user = TAKE_PTR(config.user);
        return 0;
}

static int fill(const SourceRequest *request, SourceResult *result, char **ret_problem) {
        _cleanup_free_ char *reference = NULL, *pinned = NULL;
        _cleanup_strv_ char **environment = NULL;

        int r = check_programs(ret_problem);
        if (r >= 0)
                r = oci_reference_pin(request->spec->oci, NULL, &reference);
        if (r >= 0)
                r = skopeo_environment(&environment);
        if (r < 0)
                return r;

        r = find_digest(request, reference, environment, &result->digest);
        if (r == -EBADMSG)
                return source_problem(ret_problem, "skopeo does not say which digest %s has.", reference);
        if (r != 0)
                return r;
        if (streq_null(result->digest, request->old_digest)) {
                result->unchanged = true;
                return 0;
        }

        /* By digest: the name may stand for another image by now. */
        r = oci_reference_pin(reference, result->digest, &pinned);
        if (r == 0)
                r = fetch(request, pinned, environment);
        if (r == 0)
                r = unpack(request);
        return r != 0 ? r : take_config(request, result, ret_problem);
}

static const char *subject(const SourceSpec *spec) {
        return spec->oci;
}

const Source source_oci = { .kind = SOURCE_OCI, .name = "oci", .fill = fill, .subject = subject };
