/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Source of images: an OCI image, fetched with skopeo and unpacked with umoci. Called through the struct at the end
 * only, for definitions and for images that jobs name. Registry and image are not trusted: both programs are
 * confined, and only skopeo has a network. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "config/image-reference.h"
#include "source/oci-config.h"
#include "source/oci-manifest.h"
#include "source/source.h"

/* In the work directory, by relative paths: a ':' in an absolute one would be taken for the beginning of a tag. */
#define LAYOUT "layout"
#define LAYOUT_IMAGE LAYOUT ":image"

#define DOCKER "docker://"
#define DOCKER_DAEMON "docker-daemon:"

#define MANIFEST_MAX_BYTES ((size_t) 4 * 1024 * 1024) /* what registries accept */

/* Where skopeo finds credentials, registries, keys and its own files. */
static const char *const passed_on[] = {
        "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
};

static int check_programs(Problem *reterr_problem) {
        static const char *const programs[] = { "skopeo", "umoci" };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                if (!program_exists(programs[i]))
                        return problem_set(reterr_problem, -EINVAL,
                                           "%s, which fetches OCI images, is missing: install the package %s.",
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

/* How skopeo is run for one reference. */
typedef struct Skopeo {
        const SourceRequest *request;
        SourceTrust trust;
        char **environment;
        char **readable;
} Skopeo;

static void skopeo_done(Skopeo *skopeo) {
        strv_free(skopeo->environment);
        strv_free(skopeo->readable);
}

static int add_readable(Skopeo *skopeo, const char *variable, const char *below) {
        const char *value = getenv(variable);

        return value && *value == '/' ? strv_extendf(&skopeo->readable, "%s%s", value, below) : 0;
}

/* Go takes several directories there. */
static int add_certificates(Skopeo *skopeo) {
        const char *directories = getenv("SSL_CERT_DIR");

        int r = add_readable(skopeo, "SSL_CERT_FILE", "");
        if (r < 0)
                return r;
        while (!isempty(directories)) {
                size_t n = strcspn(directories, ":");

                if (*directories == '/' && strv_extendf(&skopeo->readable, "%.*s", (int) n, directories) < 0)
                        return -ENOMEM;
                directories += n + (directories[n] == ':');
        }
        return 0;
}

/* What skopeo has to read for registries: containers-auth.json(5), containers-registries.conf(5),
 * containers-certs.d(5), containers-policy.json(5). */
static int add_files_for_registries(Skopeo *skopeo) {
        int r = strv_extend_many(&skopeo->readable, "/etc/containers", "/etc/docker/certs.d",
                                 "/var/lib/containers/sigstore", "/run/containers/0/auth.json",
                                 "/root/.config/containers", "/root/.docker/config.json");
        if (r < 0)
                return r;
        r = add_readable(skopeo, "REGISTRY_AUTH_FILE", "");
        if (r < 0)
                return r;
        r = add_readable(skopeo, "DOCKER_CONFIG", "/config.json");
        if (r < 0)
                return r;
        r = add_readable(skopeo, "XDG_RUNTIME_DIR", "/containers/auth.json");
        return r < 0 ? r : add_certificates(skopeo);
}

static int skopeo_for(const SourceRequest *request, const char *reference, Skopeo *ret) {
        _cleanup_(skopeo_done) Skopeo skopeo = { .request = request, .trust = SOURCE_PROGRAM_READ };
        /* Directories and archives: TRANSPORT:PATH[:NAME] */
        const char *rest = strchr(reference, ':');

        int r = skopeo_environment(&skopeo.environment);
        if (r < 0)
                return r;
        r = add_files_for_registries(&skopeo);
        if (r < 0)
                return r;
        if (startswith(reference, DOCKER))
                skopeo.trust = SOURCE_PROGRAM_FETCH;
        else if (startswith(reference, DOCKER_DAEMON)) {
                skopeo.trust = SOURCE_PROGRAM_FETCH_DAEMON;
                r = strv_extend(&skopeo.readable, "/var/run/docker.sock");
        } else if (rest)
                r = strv_extendf(&skopeo.readable, "%.*s", (int) strcspn(rest + 1, ":"), rest + 1);
        if (r < 0)
                return r;
        *ret = skopeo;
        skopeo = (Skopeo){ 0 };
        return 0;
}

static SourceProgram program_of(const Skopeo *skopeo, char *const *argv) {
        return (SourceProgram){
                .trust = skopeo->trust,
                .argv = argv,
                .environment = skopeo->environment,
                .directory = skopeo->request->work,
                .readable = skopeo->readable,
        };
}

static bool is_digest(const char *line) {
        size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789");

        return n > 0 && line[n] == ':' && strlen(line + n + 1) >= 32 &&
               strspn(line + n + 1, "0123456789abcdef") == strlen(line + n + 1);
}

/* The digest of what the registry has under that name: of the list, where there are several architectures. */
static int find_digest(const Skopeo *skopeo, const char *reference, char **ret) {
        char **argv = ARGV("skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", "--", reference);
        SourceProgram program = program_of(skopeo, argv);

        return source_run_for_line(skopeo->request, &program, is_digest, ret);
}

/* A manifest, beginning with the line that is "{". */
typedef struct Manifest {
        char *text;
        size_t size;
        bool too_large;
} Manifest;

static bool manifest_line(void *userdata, const char *line) {
        Manifest *manifest = userdata;
        size_t n = strlen(line);

        if (!manifest->text && *line != '{')
                return true;
        char *longer = manifest->size + n > MANIFEST_MAX_BYTES ? NULL : realloc(manifest->text, manifest->size + n + 2);
        if (!longer) {
                manifest->too_large = true;
                return false;
        }
        memcpy(longer + manifest->size, line, n);
        memcpy(longer + manifest->size + n, "\n", 2);
        manifest->text = longer;
        manifest->size += n + 1;
        return false;
}

static int read_manifest(const Skopeo *skopeo, const char *reference, OciManifest *ret) {
        char **argv = ARGV("skopeo", "inspect", "--raw", "--", reference);
        Manifest manifest = { 0 };
        ListenerTap tap = { .listener = skopeo->request->listener, .see = manifest_line, .userdata = &manifest };
        const Listener listener = listener_tapped(&tap);
        SourceRequest reading = *skopeo->request;
        SourceProgram program = program_of(skopeo, argv);

        reading.listener = &listener;
        int r = source_run(&reading, &program);
        if (r == 0)
                r = manifest.too_large ? -EBADMSG :
                    manifest.text      ? oci_manifest_parse(manifest.text, oci_architecture(), ret) :
                                         -EBADMSG;
        free(manifest.text);
        return r;
}

/* Is there room for @reference, by what its manifest says? 0; -EDQUOT: no; or as source_run(). What cannot be read is left
 * to skopeo. */
static int check_room(const Skopeo *skopeo, const char *reference) {
        _cleanup_oci_manifest_ OciManifest manifest = { 0 }, of_architecture = { 0 };
        _cleanup_free_ char *entry = NULL;
        uint64_t bytes;

        if (skopeo->request->max_bytes == 0 || !oci_architecture())
                return 0;
        int r = read_manifest(skopeo, reference, &manifest);
        bytes = manifest.layers_bytes;
        if (r == 0 && manifest.digest && is_digest(manifest.digest)) {
                r = string_printf(&entry, "%.*s@%s", (int) image_reference_repository_length(reference), reference,
                                  manifest.digest);
                if (r == 0)
                        r = read_manifest(skopeo, entry, &of_architecture);
                bytes = of_architecture.layers_bytes;
        }
        if (r == -EBADMSG || r == -ENOENT)
                return 0;
        return r == 0 && bytes > skopeo->request->max_bytes ? -EDQUOT : r;
}

static int fetch(const Skopeo *skopeo, const char *reference) {
        char **argv = ARGV("skopeo", "copy", "--", reference, "oci:" LAYOUT_IMAGE);
        SourceProgram program = program_of(skopeo, argv);

        return source_run(skopeo->request, &program);
}

static int unpack(const SourceRequest *request) {
        char **argv = ARGV("umoci", "raw", "unpack", "--image", LAYOUT_IMAGE, request->target);

        SourceProgram program = { .trust = SOURCE_PROGRAM_UNPACK, .argv = argv, .directory = request->work };

        return source_run(request, &program);
}

static int take_config(const SourceRequest *request, SourceResult *result, Problem *reterr_problem) {
        _cleanup_close_ int work_fd = open(request->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_close_ int layout_fd = work_fd < 0 ? -errno : open_directory_at(work_fd, LAYOUT, false, 0);
        _cleanup_image_config_ ImageConfig config = { 0 };

        if (layout_fd < 0)
                return layout_fd;
        int r = oci_layout_config(layout_fd, &config);
        if (r == -EBADMSG)
                return problem_set(reterr_problem, -EINVAL, "The configuration of %s cannot be read.",
                                   request->spec->oci);
        if (r == -E2BIG)
                return problem_set(reterr_problem, -EINVAL, "The environment or the command of %s is too large.",
                                   request->spec->oci);
        if (r < 0)
                return r;
        result->config = config;
        config = (ImageConfig){ 0 };
        result->has_config = true;
        return 0;
}

static int fill_from(const SourceRequest *request, SourceResult *result, Problem *reterr_problem) {
        _cleanup_free_ char *reference = NULL, *pinned = NULL;
        _cleanup_(skopeo_done) Skopeo skopeo = { 0 };

        int r = check_programs(reterr_problem);
        if (r < 0)
                return r;
        r = oci_reference_pin(request->spec->oci, NULL, &reference);
        if (r < 0)
                return r;
        r = skopeo_for(request, reference, &skopeo);
        if (r < 0)
                return r;

        r = find_digest(&skopeo, reference, &result->digest);
        if (r == -EBADMSG)
                return problem_set(reterr_problem, -EINVAL, "skopeo does not print the digest of %s.", reference);
        if (r != 0)
                return r;
        if (streq_null(result->digest, request->old_digest)) {
                result->unchanged = true;
                return 0;
        }

        /* By digest: the name may stand for another image by now. */
        r = oci_reference_pin(reference, result->digest, &pinned);
        if (r < 0)
                return r;
        if (skopeo.trust == SOURCE_PROGRAM_FETCH) {
                r = check_room(&skopeo, pinned);
                if (r != 0)
                        return r;
        }
        r = fetch(&skopeo, pinned);
        if (r != 0)
                return r;
        r = unpack(request);
        return r != 0 ? r : take_config(request, result, reterr_problem);
}

static bool is_refusal(const char *line) {
        static const char *const refusals[] = {
                "manifest unknown",        "name unknown",  "unauthorized",
                "authentication required", "access denied", "denied: ",
        };

        for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
                if (strcasestr(line, refusals[i]))
                        return true;
        /* "not found" alone could also be about a program that skopeo needs. */
        return strcasestr(line, "reading manifest") && strcasestr(line, "not found");
}

static bool look_for_refusal(void *userdata, const char *line) {
        bool *refused = userdata;

        *refused = *refused || is_refusal(line);
        return true;
}

static int fill(const SourceRequest *request, SourceResult *result, Problem *reterr_problem) {
        bool refused = false;
        ListenerTap tap = { .listener = request->listener, .see = look_for_refusal, .userdata = &refused };
        const Listener listener = listener_tapped(&tap);
        SourceRequest listening = *request;

        listening.listener = &listener;
        int r = fill_from(&listening, result, reterr_problem);
        return r > 0 && refused ? SOURCE_REFUSED : r;
}

static const char *subject(const SourceSpec *spec) {
        return spec->oci;
}

const Source source_oci = { .kind = SOURCE_OCI, .name = "oci", .fill = fill, .subject = subject };
