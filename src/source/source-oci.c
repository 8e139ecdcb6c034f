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
#include "source/skopeo.h"
#include "source/source.h"

/* In the work directory, and used by relative paths: skopeo would take a ':' in an absolute path for the beginning of a
 * tag. */
#define LAYOUT "layout"
#define LAYOUT_IMAGE LAYOUT ":image"

#define MANIFEST_MAX_BYTES ((size_t) 4 * 1024 * 1024) /* the limit of registries */

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
        if (!startswith(reference, SKOPEO_REGISTRY))
                return string_replace(ret, reference);
        const char *given = strrchr(reference, '@');
        if (!digest && !given)
                return string_replace(ret, reference);
        return string_printf(ret, "%.*s@%s", (int) image_reference_repository_length(reference), reference,
                             given ? given + 1 : digest);
}

/* How skopeo is run for one request. */
typedef struct Fetch {
        const SourceRequest *request;
        Skopeo skopeo;
} Fetch;

static void fetch_done(Fetch *fetch) {
        skopeo_done(&fetch->skopeo);
}

static SourceProgram program_of(const Fetch *fetch, char *const *argv) {
        return (SourceProgram){
                .trust = !fetch->skopeo.online ? SOURCE_PROGRAM_READ :
                         fetch->skopeo.daemon  ? SOURCE_PROGRAM_FETCH_DAEMON :
                                                 SOURCE_PROGRAM_FETCH,
                .argv = argv,
                .environment = fetch->skopeo.environment,
                .directory = fetch->request->work,
                .readable = fetch->skopeo.readable,
        };
}

static bool is_digest(const char *line) {
        size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789");

        return n > 0 && line[n] == ':' && strlen(line + n + 1) >= 32 &&
               strspn(line + n + 1, "0123456789abcdef") == strlen(line + n + 1);
}

/* Asks the registry for the digest of what @reference names. For an image with several architectures, that is the
 * digest of the list. */
static int find_digest(const Fetch *fetch, const char *reference, char **ret) {
        char **argv = ARGV("skopeo", "--tmpdir", fetch->request->work, "inspect", "--no-tags", "--format",
                           "{{.Digest}}", "--", reference);
        SourceProgram program = program_of(fetch, argv);

        return source_run_for_line(fetch->request, &program, is_digest, ret);
}

/* Collects the lines of a manifest, from the line that is "{" on. */
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

static int read_manifest(const Fetch *fetch, const char *reference, OciManifest *ret) {
        char **argv = ARGV("skopeo", "--tmpdir", fetch->request->work, "inspect", "--raw", "--", reference);
        Manifest manifest = { 0 };
        ListenerTap tap = { .listener = fetch->request->listener, .see = manifest_line, .userdata = &manifest };
        const Listener listener = listener_tapped(&tap);
        SourceRequest reading = *fetch->request;
        SourceProgram program = program_of(fetch, argv);

        reading.listener = &listener;
        int r = source_run(&reading, &program);
        if (r == 0)
                r = manifest.too_large ? -EBADMSG :
                    manifest.text      ? oci_manifest_parse(manifest.text, oci_architecture(), ret) :
                                         -EBADMSG;
        free(manifest.text);
        return r;
}

/* Is there room for @reference, according to its manifest? 0: yes; -EDQUOT: no; or as source_run(). A manifest that
 * cannot be read is no error here: skopeo decides. */
static int check_room(const Fetch *fetch, const char *reference) {
        _cleanup_oci_manifest_ OciManifest manifest = { 0 }, of_architecture = { 0 };
        _cleanup_free_ char *entry = NULL;
        uint64_t bytes;

        if (fetch->request->max_bytes == 0 || !oci_architecture())
                return 0;
        int r = read_manifest(fetch, reference, &manifest);
        bytes = manifest.layers_bytes;
        if (r == 0 && manifest.digest && is_digest(manifest.digest)) {
                r = string_printf(&entry, "%.*s@%s", (int) image_reference_repository_length(reference), reference,
                                  manifest.digest);
                if (r == 0)
                        r = read_manifest(fetch, entry, &of_architecture);
                bytes = of_architecture.layers_bytes;
        }
        if (r == -EBADMSG || r == -ENOENT)
                return 0;
        return r == 0 && bytes > fetch->request->max_bytes ? -EDQUOT : r;
}

static int copy_to_layout(const Fetch *fetch, const char *reference) {
        /* Layers that are compressed with gzip stay as they are. Others are compressed anew, because umoci cannot
         * unpack them. */
        char **argv = ARGV("skopeo", "--tmpdir", fetch->request->work, "copy", "--dest-compress-format", "gzip", "--",
                           reference, "oci:" LAYOUT_IMAGE);
        SourceProgram program = program_of(fetch, argv);

        return source_run(fetch->request, &program);
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
        _cleanup_(fetch_done) Fetch fetch = { .request = request };

        int r = check_programs(reterr_problem);
        if (r < 0)
                return r;
        r = oci_reference_pin(request->spec->oci, NULL, &reference);
        if (r < 0)
                return r;
        r = skopeo_for(reference, &fetch.skopeo);
        if (r < 0)
                return r;

        r = find_digest(&fetch, reference, &result->digest);
        if (r == -EBADMSG)
                return problem_set(reterr_problem, -EINVAL, "skopeo does not print the digest of %s.", reference);
        if (r != 0)
                return r;
        if (streq_null(result->digest, request->old_digest)) {
                result->unchanged = true;
                return 0;
        }

        /* Fetched by digest, because the name may stand for another image by now. */
        r = oci_reference_pin(reference, result->digest, &pinned);
        if (r < 0)
                return r;
        if (fetch.skopeo.online && !fetch.skopeo.daemon) {
                r = check_room(&fetch, pinned);
                if (r != 0)
                        return r;
        }
        r = copy_to_layout(&fetch, pinned);
        if (r != 0)
                return r;
        r = unpack(request);
        return r != 0 ? r : take_config(request, result, reterr_problem);
}

static bool look_for_failure(void *userdata, const char *line) {
        const SkopeoFailure *failure = skopeo_failure(line);
        const SkopeoFailure **found = userdata;

        if (failure && !*found)
                *found = failure;
        return true;
}

static int fill(const SourceRequest *request, SourceResult *result, Problem *reterr_problem) {
        const SkopeoFailure *failure = NULL;
        ListenerTap tap = { .listener = request->listener, .see = look_for_failure, .userdata = &failure };
        const Listener listener = listener_tapped(&tap);
        SourceRequest listening = *request;

        listening.listener = &listener;
        int r = fill_from(&listening, result, reterr_problem);
        if (r <= 0 || !failure)
                return r;
        (void) skopeo_explain(failure, request->spec->oci, reterr_problem);
        return failure->is_refusal ? SOURCE_REFUSED : r;
}

static const char *subject(const SourceSpec *spec) {
        return spec->oci;
}

const Source source_oci = { .kind = SOURCE_OCI, .name = "oci", .fill = fill, .subject = subject };
