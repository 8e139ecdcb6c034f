/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes an image, or its next generation, as its definition says, for chroot-create and chroot-maintenance. All work
 * must be done in a staging tree, never in the image: a failure, a signal or a crash leaves the image as it was. */

#include "maintain/make.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation-collect.h"
#include "image/generation.h"
#include "image/publish.h"
#include "image/staging.h"
#include "maintain/decide.h"
#include "maintain/in-tree.h"
#include "maintain/kept-tree.h"
#include "maintain/owners.h"
#include "source/source.h"
#include "tree/finish.h"

/* How often to begin anew because other processes changed the image. */
#define TRIES_MAX 1000U

/* The making of one image. */
typedef struct Make {
        const MakeRequest *request;
        MakeResult *result;
        Settings settings; /* the image's own over the configuration's */
        Image *current;    /* held; NULL: there is none yet */
        Generation *known; /* about @current */
        Image *base;       /* SOURCE_FROM: the image to copy, held */
        char *description; /* of the source; NULL: it has none */
        Staging staging;
        SourceResult source; /* what the source said about a fresh tree */
        KeptTree kept;
        bool with_kept; /* the tree is a copy of the tree of an earlier try */
        bool changed;   /* the tree differs from the current one */
} Make;

void make_result_done(MakeResult *result) {
        free(result->warning);
        *result = (MakeResult){ 0 };
}

/* Notes the sentence as the problem of the result, and returns @error. */
_printf_(3, 4) static int fail(Make *make, int error, const char *format, ...) {
        va_list ap;

        if (make->result->problem.text[0])
                return error;
        va_start(ap, format);
        (void) problem_vset(&make->result->problem, error, format, ap);
        va_end(ap);
        return error;
}

static int fail_errno(Make *make, int error, const char *what) {
        if (error == -EBUSY) {
                TurnHolder holder = make->request->turn->holder;
                char who[TURN_TEXT_BYTES];

                if (holder.pid == 0)
                        staging_holder(make->settings.root_dir, make->request->definition->name, &holder);
                return fail(make, error, "it is being changed by %s: try again when that is done",
                            turn_describe(&holder, who));
        }
        if (error == -ECANCELED)
                return fail(make, error, "stopped");
        return fail(make, error, "cannot %s: %m", what);
}

static void begin(const Make *make, const char *step) {
        listener_step(make->request->listener, step);
}

static int fail_base_busy(Make *make) {
        const char *from = make->request->definition->source.from;
        char who[TURN_TEXT_BYTES];
        TurnHolder holder;

        staging_holder(make->settings.root_dir, from, &holder);
        return fail(make, -EBUSY,
                    "image '%s', which it is made from, is being changed by %s: try again when that is done", from,
                    turn_describe(&holder, who));
}

/* Finds the current image and its base, if they exist. */
static int look(Make *make) {
        const Definition *definition = make->request->definition;
        const char *root_dir = make->settings.root_dir;
        _cleanup_free_ char *image = NULL;
        uint64_t number;

        int r = definition->source.kind == SOURCE_NONE ? 0 : source_describe(&definition->source, &make->description);
        if (r < 0)
                return fail_errno(make, r, "describe its source");
        r = generation_hold_reference(root_dir, definition->name, &make->current);
        if (r == -ENODATA || r == -ENOTDIR)
                return fail(make, -EEXIST, "'%s' already exists in '%s', and is not an image", definition->name,
                            root_dir);
        if (r < 0 && r != -ENOENT)
                return fail_errno(make, r, "look at what is there");
        if (make->current) {
                r = generation_load_of(make->current, &make->known);
                if (r < 0)
                        return fail_errno(make, r, "look at what is there");
        }
        make->result->existed = make->current;
        if (make->current && make->request->only_new)
                return fail(make, -EEXIST, "'%s' already exists in '%s'", definition->name, root_dir);
        if (!make->current && definition->source.kind == SOURCE_NONE)
                return fail(make, -EINVAL,
                            "its definition does not say what to make it from (nspawn_runner_chroot_suite, "
                            "nspawn_runner_oci, ...). Put files that playbooks include into another directory");
        if (!make->current && generation_split(definition->name, &image, &number) >= 0)
                return fail(make, -EINVAL, "this name means generation %" PRIu64 " of image '%s'", number, image);
        if (definition->source.kind != SOURCE_FROM)
                return 0;

        r = generation_hold_reference(root_dir, definition->source.from, &make->base);
        if (r == -ENOENT)
                return fail(make, -EINVAL, "there is no image '%s', which it is made from", definition->source.from);
        if (r == -ENODATA || r == -ENOTDIR)
                return fail(make, -EINVAL, "'%s/%s', which it is made from, is not an image: it %s", root_dir,
                            definition->source.from,
                            r == -ENODATA ? "holds no root file system (it is empty or incomplete)" :
                                            "is not a directory (symlinks are not followed)");
        if (r == -EBUSY)
                return fail_base_busy(make);
        return r < 0 ? fail_errno(make, r, "open the image that it is made from") : 0;
}

/* Is the image still what look() found, now that we hold its lock? -ESTALE: no, so everything begins anew. */
static int look_again(Make *make) {
        int r = image_is_still(make->settings.root_dir, make->request->definition->name, make->current);

        if (r < 0)
                return fail_errno(make, r, "look at what is there");
        return r > 0 ? 0 : -ESTALE;
}

/* Begins with a copy of the current tree, which is then changed. */
static int begin_with_current(Make *make) {
        begin(make, "Copying the current tree");
        int r = staging_open_copy(make->settings.root_dir, make->request->definition->name, make->request->turn,
                                  make->current, make->request->listener->cancel_fd, &make->staging);
        return r < 0 ? fail_errno(make, r, "copy the current tree") : look_again(make);
}

static int take_over_base(Make *make) {
        _cleanup_generation_ Generation *known = NULL;

        int r = generation_load_of(make->base, &known);
        if (r < 0)
                return r;
        r = string_replace(&make->source.description, make->description);
        if (r < 0)
                return r;
        r = decide_base_digest(make->base, &make->source.digest);
        make->source.has_config = known->has_command;
        return r < 0 ? r : image_config_copy(&known->config, &make->source.config);
}

static int begin_with_base(Make *make) {
        const char *root_dir = make->settings.root_dir;

        int r = take_over_base(make);
        if (r < 0)
                return fail_errno(make, r, "learn about the image that it is made from");

        begin(make, "Copying the image that it is made from");
        r = staging_open_copy(root_dir, make->request->definition->name, make->request->turn, make->base,
                              make->request->listener->cancel_fd, &make->staging);
        return r < 0 ? fail_errno(make, r, "copy the image that it is made from") : look_again(make);
}

/* Begins with a copy of the kept tree, and with what the source said when that tree was made. */
static int begin_with_kept(Make *make) {
        const Generation *known = make->kept.about;

        source_result_done(&make->source);
        if (string_replace(&make->source.description, known->source) < 0 ||
            string_replace(&make->source.digest, known->digest) < 0 ||
            image_config_copy(&known->config, &make->source.config) < 0)
                return fail_errno(make, -ENOMEM, "learn about the tree of an earlier try");
        make->source.has_config = known->has_command;

        begin(make, "Beginning with the tree that was kept of an earlier try");
        if (make->staging.lock_fd >= 0)
                (void) staging_discard(&make->staging);
        staging_done(&make->staging);
        make->with_kept = true;
        int r = staging_open_copy(make->settings.root_dir, make->request->definition->name, make->request->turn,
                                  make->kept.image, make->request->listener->cancel_fd, &make->staging);
        if (r < 0)
                return fail_errno(make, r, "copy the tree of an earlier try");
        make->staging.new_image = !make->current;
        return look_again(make);
}

/* Shows the digest of a source whose content can change while its name stays. */
static void show_digest(const Make *make) {
        const Definition *definition = make->request->definition;
        _cleanup_free_ char *step = NULL;

        if ((definition->source.kind == SOURCE_OCI || definition->source.kind == SOURCE_TARBALL) &&
            make->source.digest && string_printf(&step, "Its digest is %s", make->source.digest) >= 0)
                begin(make, step);
}

/* The digest of the tree that we have: if the source still has this digest, it need not be filled in again. */
static const char *old_digest(const Make *make) {
        if (make->kept.image)
                return make->kept.about->digest;
        return make->known && !make->request->definition->recreate ? make->known->digest : NULL;
}

/* Fills the empty tree. Returns 1 if the source has nothing new: then the tree stays empty. */
static int fill(Make *make) {
        const MakeRequest *request = make->request;
        SourceRequest source = {
                .spec = &request->definition->source,
                .target = make->staging.root_path,
                .work = make->staging.work_path,
                .old_digest = old_digest(make),
                .listener = request->listener,
        };
        int r = source_fill(&source, &make->source, &make->result->problem);
        if (r > 0) {
                make->result->said_why = true;
                return fail(make, -EIO, "the program that makes it ended with exit status %d", r);
        }
        if (r < 0)
                return fail_errno(make, r, "make its tree");
        show_digest(make);
        if (make->source.unchanged)
                return 1;

        _cleanup_close_ int tree_fd = staging_tree(&make->staging);
        r = tree_fd < 0 ? tree_fd : finish_tree(tree_fd);
        return r < 0 ? fail_errno(make, r, "complete its tree") : 0;
}

/* Checks the playbook before minutes are spent on a tree. */
static int check_and_fill(Make *make) {
        const MakeRequest *request = make->request;
        InTree in_tree = {
                .definition = request->definition,
                .listener = request->listener,
        };

        _cleanup_close_ int work_fd = staging_work(&make->staging);
        if (work_fd < 0)
                return fail_errno(make, work_fd, "make a directory for downloads");
        int r = make->kept.image ? 0 :
                                   in_tree_check(&in_tree, make->staging.work_path, work_fd, &make->result->problem);
        return r < 0 ? fail_errno(make, r, "check its playbook") : fill(make);
}

static int begin_with_source(Make *make) {
        _cleanup_free_ char *step = NULL;
        const Definition *definition = make->request->definition;
        SourceKind kind = definition->source.kind;

        int r = string_printf(&step, "Making it from %s", make->description);
        if (r < 0)
                return r;
        begin(make, step);
        r = (make->current ? staging_open_empty : staging_open)(make->settings.root_dir, definition->name,
                                                                make->request->turn, &make->staging);
        if (r == -EEXIST)
                return -ESTALE; /* another process made the image meanwhile */
        if (r < 0)
                return fail_errno(make, r, "make a directory for it");
        r = look_again(make);
        if (r < 0)
                return r;
        r = kept_tree_find(make->settings.root_dir, definition, &make->kept);
        if (r < 0)
                return fail_errno(make, r, "look for the tree of an earlier try");
        if (make->kept.image && (kind == SOURCE_SUITE || kind == SOURCE_COMMAND))
                return begin_with_kept(make);
        r = check_and_fill(make);
        return r > 0 && make->kept.image ? begin_with_kept(make) : r;
}

/* Makes the staging tree as it is before anything runs in it. Returns 1 when there is nothing to do. */
static int make_tree(Make *make) {
        bool from_source;
        Decision decision = { make->request->definition, make->known, make->base, make->description };

        int r = decide_from_source(&decision, &from_source);
        if (r < 0)
                return fail_errno(make, r, "compare it with its source");
        if (from_source) {
                make->changed = true;
                r = make->request->definition->source.kind == SOURCE_FROM ? begin_with_base(make) :
                                                                            begin_with_source(make);
                if (r <= 0)
                        return r;
                make->changed = false;
                source_result_done(&make->source);
                (void) staging_discard(&make->staging);
                staging_done(&make->staging);
        }
        return decide_can_be_updated(make->request->definition) ? begin_with_current(make) : 1;
}

/* Describes the tree, with borrowed strings: from its source if it is fresh, else as the current generation. */
static Generation about_tree(const Make *make) {
        static const Generation nothing = { 0 };
        const Definition *definition = make->request->definition;
        const SourceResult *source = &make->source;
        const Generation *known = make->known ? make->known : &nothing;
        bool fresh = source->description;

        return (Generation){
                .created_usec = fresh ? 0 : known->created_usec,
                .keep = definition->keep_generations,
                .source = fresh ? source->description : known->source,
                .digest = fresh ? source->digest : known->digest,
                .definition = definition->path,
                .config = fresh ? source->config : known->config,
                .has_command = fresh ? source->has_config : known->has_command,
        };
}

/* Runs everything that has to run in the tree. */
static int work_in_tree(Make *make) {
        const MakeRequest *request = make->request;
        const Definition *definition = request->definition;
        Generation about = about_tree(make);
        InTree in_tree = {
                .settings = &make->settings,
                .definition = definition,
                .tree = make->staging.root_path,
                .upgrade = definition->source.kind == SOURCE_SUITE && (!make->source.description || make->with_kept),
                .environment = about.config.env,
                .user = about.config.user,
                .working_dir = about.config.working_dir,
                .listener = request->listener,
        };
        bool changed = false;

        int r = in_tree_update(&in_tree, &changed, &make->result->problem);
        if (r < 0)
                return fail_errno(make, r, "work on its tree");
        make->changed = make->changed || changed;
        if (!make->changed || !definition->test)
                return 0;
        r = in_tree_test(&in_tree, &make->result->problem);
        return r < 0 ? fail_errno(make, r, "test it") : 0;
}

/* Publishes the tree as the image. */
static int give_name(Make *make) {
        Generation about = about_tree(make);

        _cleanup_close_ int tree_fd = staging_tree(&make->staging);
        int r = tree_fd < 0 ? tree_fd : owners_warning(tree_fd, &make->settings, &make->result->warning);
        if (r < 0)
                return fail_errno(make, r, "look at the owners of its files");
        begin(make, "Publishing it");
        r = publish(&make->staging, &about, &make->result->generation, &make->result->problem);
        if (r < 0)
                return fail_errno(make, r, "give it its name");
        make->result->outcome = make->current ? MAKE_UPDATED : MAKE_CREATED;
        /* We do not use the old tree any more. Trees that jobs use are removed later. */
        image_free(TAKE_PTR(make->current));
        (void) generations_collect_locked(&make->staging, NULL);
        return 0;
}

/* For a tree that stays, its definition may want another number of generations kept than when it was published. */
static int keep_as_many_locked(Make *make) {
        int r = publish_keep(&make->staging, make->request->definition->keep_generations);
        /* -ENOENT: an image that was copied from another host has a number, but nothing else is known of it. */
        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : generations_collect_locked(&make->staging, NULL);
}

static int keep_as_many(Make *make) {
        const Definition *definition = make->request->definition;

        if (make->known->number == 0 || make->known->keep == definition->keep_generations)
                return 0;
        if (make->staging.lock_fd < 0) {
                int r = staging_lock(make->settings.root_dir, definition->name, make->request->turn, &make->staging);
                if (r < 0)
                        return fail_errno(make, r, "keep another number of its generations");
                r = look_again(make);
                if (r < 0)
                        return r;
        }
        int r = keep_as_many_locked(make);
        return r < 0 ? fail_errno(make, r, "keep another number of its generations") : 0;
}

/* Keeps a copy of a fresh tree before anything runs in it, for the next try. Best effort: the disk may be full. Copies
 * of another image do not need it, and an image that is made anew each time cannot use it. */
static void set_aside(Make *make) {
        const Definition *definition = make->request->definition;

        if (!make->source.description || make->with_kept || definition->source.kind == SOURCE_FROM ||
            definition->recreate || (!definition->has_tasks && !definition->test))
                return;
        _cleanup_close_ int tree_fd = staging_tree(&make->staging);
        if (tree_fd >= 0)
                (void) kept_tree_set_aside(make->settings.root_dir, definition->name, tree_fd,
                                           make->request->listener->cancel_fd, &make->kept);
}

/* Keeps the copy that was set aside, after a failure in the tree. */
static void keep_for_next_try(Make *make, int error) {
        Generation about = about_tree(make);

        if (error == -ECANCELED || error == -ENOMEM)
                return;
        make->result->kept = make->with_kept || kept_tree_keep(&make->kept, &about) >= 0;
}

static int make_steps(Make *make) {
        int r = look(make);
        if (r < 0)
                return r;
        r = make_tree(make);
        if (r < 0)
                return r;
        if (r == 0) {
                set_aside(make);
                r = work_in_tree(make);
                if (r < 0) {
                        keep_for_next_try(make, r);
                        return r;
                }
        }
        if (!make->changed)
                return keep_as_many(make);
        r = give_name(make);
        if (r < 0)
                return r;
        (void) kept_tree_forget(make->settings.root_dir, make->request->definition->name, &make->kept);
        return 0;
}

/* Releases everything that was opened or begun. Returns @r, or the error of a step here. */
static int forget(Make *make, int r) {
        kept_tree_done(&make->kept);
        make->with_kept = false;
        if (make->staging.lock_fd >= 0) {
                int q = staging_discard(&make->staging);
                if (r == 0 && q < 0)
                        r = fail_errno(make, q, "remove its staging directory");
        }
        staging_done(&make->staging);
        source_result_done(&make->source);
        free(TAKE_PTR(make->description));
        image_free(TAKE_PTR(make->base));
        image_free(TAKE_PTR(make->current));
        generation_free(TAKE_PTR(make->known));
        make->changed = false;
        return r;
}

static int prepare(Make *make) {
        int r = settings_copy(make->request->settings, &make->settings);
        if (r < 0)
                return r;
        r = definition_apply(make->request->definition, &make->settings);
        if (r < 0)
                return r;
        /* 0700: users of the host must not reach programs with the set-user-ID bit in images, which may be old. */
        r = mkdir_parents(make->settings.root_dir, 0700);
        return r < 0 ? fail_errno(make, r, "make the directory of the images") : 0;
}

int make_image(const MakeRequest *request, MakeResult *ret) {
        Make make = { .request = request, .result = ret, .staging = STAGING_NONE, .kept = KEPT_TREE_NONE };

        *ret = (MakeResult){ .outcome = MAKE_UNCHANGED };
        int r = prepare(&make);
        if (r == 0)
                r = make_steps(&make);
        /* While we waited for the lock, or just before we had it, another process changed the image. */
        for (unsigned tries = 0; r == -ESTALE && tries < TRIES_MAX; tries++) {
                r = forget(&make, 0);
                if (r == 0)
                        r = make_steps(&make);
        }
        r = forget(&make, r);
        settings_done(&make.settings);
        return r;
}
