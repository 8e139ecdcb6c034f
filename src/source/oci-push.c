/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes an OCI image of a tree with umoci, and sends it to a registry with skopeo, for chroot-push and chroot-export. A
 * directory that is kept between two pushes has the image as it was pushed (`layout`) and what umoci knows about the
 * files in it (`bundle`), from which umoci finds out what changed. The tree may be hostile and must never be written
 * to: both programs are confined. */

#include "source/oci-push.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "source/builder.h"
#include "source/sandbox.h"
#include "source/skopeo.h"
#include "tree/remove.h"

#define LAYOUT "layout"
#define BUNDLE "bundle"
#define ROOTFS BUNDLE "/rootfs"
#define NEXT LAYOUT ":next"       /* the image as umoci made it */
#define CURRENT LAYOUT ":current" /* the image as it was pushed, with zstd; the base of the next one */
#define NEW_LAYOUT "new"          /* becomes the layout when it is complete */
#define OLD_LAYOUT "old"
#define BLOBS "/blobs/sha256"

#define JSON_MAX_BYTES ((size_t) 1024 * 1024)
/* Each push adds a layer. Everybody who pulls the image also gets files that later layers replace, so begin anew after
 * this many layers. */
#define LAYERS_MAX 24

typedef struct Push {
        const OciPush *request;
        int state_fd;
        const SkopeoFailure *failure; /* the first failure that we know among what a program printed; NULL: none */
        Problem *problem;
} Push;

static bool look_for_failure(void *userdata, const char *line) {
        Push *push = userdata;

        if (!push->failure)
                push->failure = skopeo_failure(line);
        return true;
}

/* Runs skopeo if @skopeo is given, else umoci. Returns as sandbox_run(). */
static int run_program(Push *push, char *const *argv, const Skopeo *skopeo, bool with_tree) {
        char *const writable[] = { (char *) push->request->state, NULL };
        ListenerTap tap = { .listener = push->request->listener, .see = look_for_failure, .userdata = push };
        const Listener listener = listener_tapped(&tap);
        _cleanup_free_ char *rootfs = NULL;
        _cleanup_strv_ char **environment = NULL;

        if (string_printf(&rootfs, "%s/" ROOTFS, push->request->state) < 0 || builder_environment(&environment) < 0 ||
            strv_extendf(&environment, "TMPDIR=%s", push->request->state) < 0 ||
            (skopeo && strv_extend_strv(&environment, skopeo->environment) < 0))
                return -ENOMEM;
        Confinement confinement = {
                .writable = writable,
                .tree = with_tree ? push->request->tree : NULL,
                .tree_at = rootfs,
                .readable = skopeo ? skopeo->readable : NULL,
                .online = skopeo && skopeo->online,
        };
        Sandbox sandbox = {
                .argv = argv,
                .envp = environment,
                .directory = push->request->state,
                .confinement = &confinement,
                .listener = &listener,
        };
        return sandbox_run(&sandbox);
}

static int check_programs(Problem *reterr_problem) {
        static const char *const programs[] = { "skopeo", "umoci" };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                if (!program_exists(programs[i]))
                        return problem_set(reterr_problem, -EINVAL, "%s is missing: install the package %s",
                                           programs[i], programs[i]);
        return 0;
}

/* Begins with an empty image, and an empty tree that was unpacked from it. */
static int begin_anew(Push *push) {
        char **steps[] = {
                ARGV("umoci", "init", "--layout", LAYOUT),
                ARGV("umoci", "new", "--image", CURRENT),
                ARGV("umoci", "unpack", "--image", CURRENT, BUNDLE),
        };

        /* An earlier push may have been killed between two steps. */
        int r = remove_tree_at(push->state_fd, LAYOUT);
        if (r == 0)
                r = remove_tree_at(push->state_fd, BUNDLE);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                r = run_program(push, steps[i], NULL, false);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_json(Push *push, const char *path, json_t **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        int r = file_read_at(push->state_fd, path, JSON_MAX_BYTES, &text, &size);
        if (r < 0)
                return r;
        json_t *json = json_loadb(text, size, 0, NULL);
        if (!json)
                return -EBADMSG;
        *ret = json;
        return 0;
}

/* Finds the descriptor of image @name in the layout, borrowed from @index; NULL: there is none. */
static json_t *find_image(json_t *index, const char *name) {
        json_t *entry;
        size_t i;

        json_array_foreach (json_object_get(index, "manifests"), i, entry) {
                const char *tag = json_string_value(
                        json_object_get(json_object_get(entry, "annotations"), "org.opencontainers.image.ref.name"));
                if (streq_null(tag, name))
                        return entry;
        }
        return NULL;
}

/* Makes umoci's name of the list of files for the manifest with digest "sha256:...". To be freed; NULL: the digest is
 * not of that form, or memory ran out. */
static char *list_name(const char *digest) {
        const char *hash = digest ? startswith(digest, "sha256:") : NULL;
        char *name = NULL;

        if (!hash || strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
                return NULL;
        (void) string_printf(&name, BUNDLE "/sha256_%s.mtree", hash);
        return name;
}

/* Counts the layers of the image that was pushed last; 0: the number cannot be found out. */
static size_t count_layers(Push *push) {
        json_auto_t *index = NULL, *manifest = NULL;
        _cleanup_free_ char *path = NULL;

        if (read_json(push, LAYOUT "/index.json", &index) < 0)
                return 0;
        const char *digest = json_string_value(json_object_get(find_image(index, "current"), "digest"));
        _cleanup_free_ char *list = list_name(digest);
        if (!list || string_printf(&path, LAYOUT BLOBS "/%s", startswith(digest, "sha256:")) < 0 ||
            read_json(push, path, &manifest) < 0)
                return 0;
        return json_array_size(json_object_get(manifest, "layers"));
}

/* Renames the list of files of image "next" so that it belongs to "current", which differs only in its compression. The
 * order of the steps matters: if we are killed between them, the next push begins anew. */
static int adopt_list(Push *push) {
        json_auto_t *index = NULL, *bundle = NULL;

        int r = read_json(push, LAYOUT "/index.json", &index);
        if (r == 0)
                r = read_json(push, BUNDLE "/umoci.json", &bundle);
        if (r < 0)
                return r;
        json_t *walk = json_object_get(json_object_get(bundle, "from_descriptor_path"), "descriptor_walk");
        json_t *current = find_image(index, "current");
        const char *old = json_string_value(json_object_get(
                json_array_get(walk, json_array_size(walk) > 0 ? json_array_size(walk) - 1 : 0), "digest"));
        _cleanup_free_ char *from = list_name(old),
                            *to = list_name(json_string_value(json_object_get(current, "digest")));
        if (!from || !to)
                return -EBADMSG;
        if (!streq(from, to) && renameat(push->state_fd, from, push->state_fd, to) < 0)
                return -errno;
        if (json_array_clear(walk) < 0 || json_array_append(walk, current) < 0)
                return -ENOMEM;
        _cleanup_free_ char *text = json_dumps(bundle, JSON_COMPACT);
        _cleanup_close_ int bundle_fd = open_directory_at(push->state_fd, BUNDLE, false, 0);
        if (!text || bundle_fd < 0)
                return text ? bundle_fd : -ENOMEM;
        return file_replace_at(bundle_fd, "umoci.json", text, strlen(text), 0600);
}

static int add_option(char ***argv, const char *option, const char *value) {
        return value ? strv_extendf(argv, "--config.%s=%s", option, value) : 0;
}

static int add_options(char ***argv, const char *option, char *const *values) {
        for (; values && *values; values++) {
                int r = add_option(argv, option, *values);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Sets the image's configuration; nothing of the earlier image's configuration stays. */
static int set_config(Push *push) {
        const ImageConfig *config = push->request->config;
        _cleanup_strv_ char **argv = NULL;

        if (strv_extend_many(&argv, "umoci", "config", "--image", NEXT, "--no-history", "--clear=config.env",
                             "--clear=config.entrypoint", "--clear=config.cmd", "--clear=config.volume",
                             "--clear=config.exposedports") < 0 ||
            add_options(&argv, "env", config->env) < 0 || add_options(&argv, "entrypoint", config->entrypoint) < 0 ||
            add_options(&argv, "cmd", config->command) < 0 || add_options(&argv, "volume", config->volumes) < 0 ||
            add_option(&argv, "user", config->user ? config->user : "") < 0 ||
            add_option(&argv, "workingdir", config->working_dir ? config->working_dir : "") < 0)
                return -ENOMEM;
        for (char *const *port = config->ports; port && *port; port++)
                if (strv_extendf(&argv, "--config.exposedports=%s/tcp", *port) < 0)
                        return -ENOMEM;
        return run_program(push, argv, NULL, false);
}

/* Links existing layers into the new layout, so that skopeo takes them as they are and compresses only new ones. */
static int link_blobs(Push *push) {
        _cleanup_strv_ char **names = NULL;
        int r;

        r = remove_tree_at(push->state_fd, NEW_LAYOUT);
        if (r == 0)
                r = remove_tree_at(push->state_fd, OLD_LAYOUT);
        if (r < 0)
                return r;
        if (mkdirat(push->state_fd, NEW_LAYOUT, 0700) < 0 || mkdirat(push->state_fd, NEW_LAYOUT "/blobs", 0700) < 0 ||
            mkdirat(push->state_fd, NEW_LAYOUT BLOBS, 0700) < 0)
                return -errno;
        _cleanup_close_ int from_fd = openat(push->state_fd, LAYOUT BLOBS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int to_fd = openat(push->state_fd, NEW_LAYOUT BLOBS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (from_fd < 0 || to_fd < 0)
                return -errno;
        r = directory_names(from_fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++)
                if (linkat(from_fd, *name, to_fd, *name, 0) < 0)
                        return -errno;
        return 0;
}

static int replace_layout(Push *push) {
        if (renameat(push->state_fd, LAYOUT, push->state_fd, OLD_LAYOUT) < 0 ||
            renameat(push->state_fd, NEW_LAYOUT, push->state_fd, LAYOUT) < 0)
                return -errno;
        return remove_tree_at(push->state_fd, OLD_LAYOUT);
}

/* Makes image "next" from "current" and a layer with what changed since the last push. */
static int make_next(Push *push) {
        _cleanup_skopeo_ Skopeo skopeo = { 0 };

        int r = skopeo_for("oci:" NEXT, &skopeo);
        if (r == 0)
                r = link_blobs(push);
        if (r < 0)
                return r;
        listener_step(push->request->listener, "Looking for what changed");
        r = run_program(push,
                        ARGV("umoci", "repack", "--refresh-bundle", "--no-mask-volumes", "--history.created_by",
                             "nspawn-runner", "--image", NEXT, BUNDLE),
                        NULL, true);
        if (r == 0)
                r = set_config(push);
        if (r != 0)
                return r;
        listener_step(push->request->listener, "Compressing it");
        r = run_program(push,
                        ARGV("skopeo", "--tmpdir", push->request->state, "copy", "--dest-compress-format", "zstd", "--",
                             "oci:" NEXT, "oci:" NEW_LAYOUT ":current"),
                        &skopeo, false);
        if (r == 0)
                r = replace_layout(push);
        return r != 0 ? r : adopt_list(push);
}

/* Removes old manifests, which only take up room. Best effort. */
static void clean_up(Push *push) {
        (void) run_program(push, ARGV("umoci", "gc", "--layout", LAYOUT), NULL, false);
}

static int send(Push *push) {
        _cleanup_skopeo_ Skopeo skopeo = { 0 };
        _cleanup_free_ char *step = NULL;

        int r = skopeo_for(push->request->target, &skopeo);
        if (r == 0)
                r = string_printf(&step, "Writing it to %s", push->request->target);
        if (r < 0)
                return r;
        listener_step(push->request->listener, step);
        push->failure = NULL;
        r = run_program(
                push,
                ARGV("skopeo", "--tmpdir", push->request->state, "copy", "--", "oci:" CURRENT, push->request->target),
                &skopeo, false);
        if (r > 0 && push->failure)
                (void) skopeo_explain(push->failure, push->request->target, push->problem);
        return r;
}

int oci_push(const OciPush *request, Problem *reterr_problem) {
        Push push = { .request = request, .problem = reterr_problem };

        int r = check_programs(reterr_problem);
        if (r < 0)
                return r;
        _cleanup_close_ int state_fd = open(request->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (state_fd < 0)
                return -errno;
        push.state_fd = state_fd;
        bool anew = !exists_at(state_fd, BUNDLE "/umoci.json");
        if (!anew) {
                size_t n_layers = count_layers(&push);
                if (n_layers == 0 || n_layers >= LAYERS_MAX)
                        return OCI_PUSH_STATE;
        }
        r = anew ? begin_anew(&push) : 0;
        if (r == 0)
                r = make_next(&push);
        if (r != 0)
                return r == -ECANCELED || r == -ENOMEM || anew ? r : OCI_PUSH_STATE;
        clean_up(&push);
        return send(&push);
}
