/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation-collect.h"
#include "image/generation-json.h"
#include "image/lock.h"
#include "image/publish.h"
#include "image/rename.h"
#include "tree/remove.h"

/* Makes a root file system that says @text in /text. */
static void fill(int tree_fd, const char *text) {
        assert_int_equal(mkdirat(tree_fd, "usr", 0755), 0);
        assert_int_equal(mkdirat(tree_fd, "usr/bin", 0755), 0);
        assert_int_equal(file_replace_at(tree_fd, "text", text, strlen(text), 0644), 0);
}

static void make_by_hand(void **state, const char *name, const char *text) {
        _cleanup_close_ int root_fd = open_directory(state);
        _cleanup_close_ int fd = open_directory_at(root_fd, name, true, 0755);

        assert_true(fd >= 0);
        fill(fd, text);
}

static void stage(void **state, const char *text, Staging *ret) {
        assert_int_equal(staging_open_empty(*state, "image", NULL, ret), 0);
        _cleanup_close_ int fd = staging_tree(ret);
        assert_true(fd >= 0);
        fill(fd, text);
}

/* Publishes a tree with @text and returns its number. */
static uint64_t publish_text(void **state, const char *text, uint64_t keep) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        Generation about = { .keep = keep, .source = (char *) text };
        uint64_t number = 0;

        stage(state, text, &staging);
        assert_int_equal(publish(&staging, &about, &number, NULL), 0);
        assert_int_equal(generations_collect_locked(&staging, NULL), 0);
        assert_int_equal(staging_discard(&staging), 0);
        return number;
}

/* As a definition that says another number by now. */
static void keep(void **state, uint64_t n) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        assert_int_equal(staging_lock(*state, "image", NULL, &staging), 0);
        assert_int_equal(publish_keep(&staging, n), 0);
        assert_int_equal(generations_collect_locked(&staging, NULL), 0);
        assert_int_equal(staging_discard(&staging), 0);
}

static void assert_text(void **state, const char *reference, const char *text, uint64_t number) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *data = NULL;

        assert_int_equal(generation_open_reference(*state, reference, &image), 0);
        assert_string_equal(image->name, "image");
        assert_int_equal(image->generation, number);
        assert_int_equal(file_read_at(image->fd, "text", 100, &data, NULL), 0);
        assert_string_equal(data, text);
}

static void assert_gone(void **state, const char *reference) {
        _cleanup_image_ Image *image = NULL;

        assert_int_equal(generation_open_reference(*state, reference, &image), -ENOENT);
}

static void test_publish(void **state) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_close_ int root_fd = open_directory(state);

        assert_int_equal(publish_text(state, "one", 0), 1);
        assert_text(state, "image", "one", 1);
        assert_int_equal(publish_text(state, "two", 0), 2);
        assert_text(state, "image", "two", 2);
        assert_text(state, "image@1", "one", 1);
        assert_text(state, "image@2", "two", 2);
        assert_int_equal(publish_text(state, "three", 0), 3);
        assert_gone(state, "image@1"); /* two are kept */
        assert_text(state, "image@2", "two", 2);
        assert_false(exists_at(root_fd, ".staging"));
        assert_false(exists_at(root_fd, ".generations/image/1.json"));

        assert_int_equal(generation_load(*state, "image", 3, &about), 0);
        assert_string_equal(about->source, "three");
        assert_true(about->created_usec > 0 && about->updated_usec > 0 && about->published_usec > 0);
}

static void test_keep(void **state) {
        for (unsigned i = 1; i <= 5; i++)
                assert_int_equal(publish_text(state, "x", 4), i);
        assert_gone(state, "image@1");
        assert_text(state, "image@2", "x", 2);
        assert_int_equal(publish_text(state, "y", 1), 6);
        for (unsigned i = 1; i <= 5; i++) {
                char reference[32];
                snprintf(reference, sizeof(reference), "image@%u", i);
                assert_gone(state, reference);
        }
        assert_text(state, "image", "y", 6);
}

/* A tree that somebody put there becomes a generation as soon as there is another; a directory of just that name is
 * meant by its name. */
static void test_made_by_hand(void **state) {
        make_by_hand(state, "image", "hand");
        assert_text(state, "image", "hand", 0);
        assert_gone(state, "image@1");
        assert_int_equal(publish_text(state, "two", 0), 2);
        assert_text(state, "image@1", "hand", 1);
        assert_text(state, "image", "two", 2);

        _cleanup_image_ Image *image = NULL;
        make_by_hand(state, "image@1", "exact");
        assert_int_equal(generation_open_reference(*state, "image@1", &image), 0);
        assert_string_equal(image->name, "image@1");
        assert_int_equal(image->generation, 0);
}

/* `cp -a` takes the number along. */
static void test_copied_by_hand(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);

        publish_text(state, "one", 3);
        publish_text(state, "two", 3);
        _cleanup_close_ int fd = open_directory_at(root_fd, "image", false, 0);
        assert_int_equal(fsetxattr(fd, GENERATION_ATTRIBUTE, "1", 1, 0), 0);
        assert_int_equal(publish_text(state, "three", 3), 4);
        assert_text(state, "image@1", "one", 1);
        assert_text(state, "image@3", "two", 3);
}

static void test_rollback(void **state) {
        uint64_t number = 0;

        assert_int_equal(publish_rollback(*state, "image", 0, NULL, &number, NULL), -ENOENT);
        for (unsigned i = 1; i <= 3; i++)
                publish_text(state, (const char *const[]){ "one", "two", "three" }[i - 1], 3);
        assert_int_equal(publish_rollback(*state, "image", 3, NULL, &number, NULL), -EALREADY);
        assert_int_equal(publish_rollback(*state, "image", 7, NULL, &number, NULL), -ENOENT);
        assert_int_equal(publish_rollback(*state, "image", 0, NULL, &number, NULL), 0);
        assert_int_equal(number, 2);
        assert_text(state, "image", "two", 2);
        assert_text(state, "image@3", "three", 3);
        assert_int_equal(publish_rollback(*state, "image", 1, NULL, &number, NULL), 0);
        assert_text(state, "image", "one", 1);
        assert_int_equal(publish_rollback(*state, "image", 0, NULL, &number, NULL), -ENOENT);
        assert_int_equal(publish_rollback(*state, "image", 3, NULL, NULL, NULL), 0);
        assert_text(state, "image", "three", 3);

        /* What was current last is what is kept, whatever its number. */
        assert_int_equal(publish_rollback(*state, "image", 1, NULL, NULL, NULL), 0);
        assert_int_equal(publish_text(state, "four", 2), 4);
        assert_text(state, "image@1", "one", 1);
        assert_gone(state, "image@3");
        assert_int_equal(publish_rollback(*state, "image", 0, NULL, &number, NULL), 0);
        assert_int_equal(number, 1);
}

/* A number is not given again, or a job would get something else by it. */
static void test_numbers_are_not_reused(void **state) {
        for (unsigned i = 1; i <= 3; i++)
                publish_text(state, "x", 1);
        publish_text(state, "y", 2);
        assert_int_equal(publish_rollback(*state, "image", 3, NULL, NULL, NULL), 0);
        keep(state, 1);
        assert_gone(state, "image@4");
        assert_int_equal(publish_text(state, "z", 1), 5);
}

/* Going back changes nothing about how many are kept, whatever was said when the old one was published. */
static void test_rollback_keeps_as_many(void **state) {
        publish_text(state, "one", 1);
        publish_text(state, "two", 3);
        publish_text(state, "three", 3);
        assert_int_equal(publish_rollback(*state, "image", 1, NULL, NULL, NULL), 0);
        assert_int_equal(generations_collect(*state, false, NULL), 0);
        assert_text(state, "image@2", "two", 2);
        assert_text(state, "image@3", "three", 3);
        keep(state, 2);
        assert_gone(state, "image@2");
        assert_text(state, "image@3", "three", 3);
        assert_text(state, "image", "one", 1);
}

/* Who publishes a tree without a number of generations to keep changes none. */
static void test_publish_keeps_as_many(void **state) {
        publish_text(state, "one", 1);
        publish_text(state, "two", 4);
        publish_text(state, "three", 0);
        publish_text(state, "four", 0);
        assert_int_equal(generations_collect(*state, false, NULL), 0);
        assert_text(state, "image@1", "one", 1);
        assert_text(state, "image@2", "two", 2);
        assert_text(state, "image", "four", 4);
}

/* A record that cannot be read for now may ask for more generations than the default: none goes meanwhile. */
static void test_unreadable_record(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE, again = STAGING_NONE;
        _cleanup_close_ int root_fd = open_directory(state);
        const char *record = ".generations/image/4.json", *aside = ".generations/image/aside";
        uint64_t previous;

        for (unsigned i = 1; i <= 4; i++)
                publish_text(state, "x", 4);
        assert_int_equal(renameat(root_fd, record, root_fd, aside), 0);
        assert_int_equal(mkdirat(root_fd, record, 0700), 0);
        assert_int_equal(generations_collect(*state, false, NULL), -EISDIR);
        stage(state, "y", &staging);
        assert_int_equal(publish(&staging, &(Generation){ 0 }, NULL, NULL), -EISDIR);
        assert_int_equal(staging_discard(&staging), 0);
        assert_int_equal(publish_rollback(*state, "image", 1, NULL, NULL, NULL), -EISDIR);

        assert_int_equal(unlinkat(root_fd, record, AT_REMOVEDIR), 0);
        assert_int_equal(renameat(root_fd, aside, root_fd, record), 0);
        assert_int_equal(renameat(root_fd, ".generations/image/1.json", root_fd, aside), 0);
        assert_int_equal(mkdirat(root_fd, ".generations/image/1.json", 0700), 0);
        assert_int_equal(staging_lock(*state, "image", NULL, &again), 0);
        assert_int_equal(publish_keep(&again, 2), 0);
        assert_int_equal(generations_collect_locked(&again, NULL), -EISDIR);
        assert_int_equal(staging_discard(&again), 0);
        assert_int_equal(generation_previous(*state, "image", 4, &previous), -EISDIR);
        for (unsigned i = 1; i <= 3; i++) {
                char reference[32];
                snprintf(reference, sizeof(reference), "image@%u", i);
                assert_text(state, reference, "x", i);
        }
        assert_text(state, "image", "x", 4);
}

/* A tree that has brought a number from elsewhere, and nothing of what was known of it. */
static void test_keep_of_unknown(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_close_ int root_fd = open_directory(state);

        make_by_hand(state, "image", "copied");
        _cleanup_close_ int tree_fd = open_directory_at(root_fd, "image", false, 0);
        assert_int_equal(fsetxattr(tree_fd, GENERATION_ATTRIBUTE, "7", 1, 0), 0);
        assert_int_equal(staging_lock(*state, "image", NULL, &staging), 0);
        assert_int_equal(publish_keep(&staging, 3), -ENOENT);
        assert_int_equal(staging_discard(&staging), 0);
        assert_text(state, "image", "copied", 7);
}

static void test_held(void **state) {
        _cleanup_image_ Image *held = NULL;
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *path = NULL, *data = NULL;
        unsigned in_use = 0;

        publish_text(state, "one", 1);
        assert_int_equal(generation_hold_reference(*state, "image", &held), 0);
        publish_text(state, "two", 1);
        publish_text(state, "three", 1);
        assert_gone(state, "image@2");
        assert_text(state, "image@1", "one", 1);

        /* The supervisor of the job finds it where it is now. */
        assert_int_equal(string_printf(&path, "%s/image", (char *) *state), 0);
        _cleanup_close_ int tree_fd = generation_hold_tree(path, 1, NULL);
        assert_true(tree_fd >= 0);
        assert_int_equal(file_read_at(tree_fd, "text", 100, &data, NULL), 0);
        assert_string_equal(data, "one");

        image_free(TAKE_PTR(held));
        assert_int_equal(publish_remove(*state, "image", NULL, &in_use), 0);
        assert_int_equal(in_use, 1);
        assert_gone(state, "image");
        assert_int_equal(generations_collect(*state, true, &names), 0);
        assert_int_equal(strv_length(names), 0);
        closep(&tree_fd);
        assert_int_equal(generations_collect(*state, true, &names), 0);
        assert_int_equal(strv_length(names), 1);
        assert_string_equal(names[0], "image@1");
        assert_int_equal(generations_collect(*state, false, NULL), 0);
        assert_gone(state, "image@1");

        _cleanup_close_ int root_fd = open_directory(state);
        assert_false(exists_at(root_fd, ".generations/image"));
        assert_int_equal(publish_remove(*state, "image", NULL, &in_use), -ENOENT);
}

/* Renamed before the supervisor looks for it, with another image in its place that has the same number. */
static void test_held_and_renamed(void **state) {
        _cleanup_image_ Image *held = NULL;
        _cleanup_free_ char *path = NULL, *handle = NULL, *data = NULL;
        Turn turn = { 0 };

        publish_text(state, "one", 1);
        assert_int_equal(generation_hold_reference(*state, "image", &held), 0);
        assert_int_equal(file_handle_text(held->fd, &handle), 0);
        assert_int_equal(image_rename(*state, "image", "other", &turn), 0);
        publish_text(state, "two", 1);
        assert_int_equal(string_printf(&path, "%s/image", (char *) *state), 0);
        _cleanup_close_ int tree_fd = generation_hold_tree(path, 1, handle);
        _cleanup_close_ int direct_fd = file_handle_open(held->fd, handle);
        if (direct_fd >= 0) {
                assert_true(tree_fd >= 0);
                assert_int_equal(file_read_at(tree_fd, "text", 100, &data, NULL), 0);
                assert_string_equal(data, "one");
        } else
                assert_int_equal(tree_fd,
                                 -ENOENT); /* in a container, the kernel may open nothing so: no tree, but no other */

        assert_int_equal(file_handle_open(held->fd, ""), -EINVAL);
        assert_int_equal(file_handle_open(held->fd, "1:0"), -EINVAL);
        assert_int_equal(file_handle_open(held->fd, "1:zz"), -EINVAL);
        assert_true(file_handle_open(held->fd, "1:00000000") < 0);
}

/* What is known of the tree that @image has opened. */
static void assert_source(const Image *image, const char *source) {
        _cleanup_generation_ Generation *about = NULL;

        assert_int_equal(generation_load_of(image, &about), 0);
        assert_string_equal(about->source, source);
}

/* Leaves a mark in the staging directory of @name, as a rename that was killed. */
static void leave_mark(int root_fd, const char *name, const char *mark, const char *text) {
        _cleanup_close_ int parent_fd = open_directory_at(root_fd, ".staging", true, 0700);
        _cleanup_close_ int fd = open_directory_at(parent_fd, name, true, 0700);

        assert_int_equal(file_replace_at(fd, mark, text, strlen(text), 0600), 0);
}

/* A job has opened it before, or does so while only its tree has the new name. */
static void test_records_of_renamed(void **state) {
        _cleanup_image_ Image *current = NULL, *old = NULL, *half = NULL, *half_old = NULL, *copy = NULL;
        _cleanup_close_ int root_fd = open_directory(state);
        _cleanup_generation_ Generation *about = NULL;
        Turn turn = { 0 };

        publish_text(state, "one", 3);
        publish_text(state, "two", 3);
        assert_int_equal(generation_hold_reference(*state, "image", &current), 0);
        assert_int_equal(generation_hold_reference(*state, "image@1", &old), 0);
        leave_mark(root_fd, "other", "renamed-from", "image");
        assert_int_equal(renameat(root_fd, "image", root_fd, "other"), 0);
        assert_int_equal(generation_hold_reference(*state, "other", &half), 0);
        assert_int_equal(generation_hold_reference(*state, "other@1", &half_old), 0);
        assert_string_equal(half_old->name, "other");
        assert_string_equal(half_old->current_path, half->path);
        assert_source(half_old, "one");
        assert_source(current, "two");
        assert_source(half, "two");
        assert_source(old, "one");

        /* Whoever locks the new name completes it. */
        assert_int_equal(image_rename(*state, "other", "third", &turn), 0);
        assert_false(exists_at(root_fd, ".staging"));
        assert_source(current, "two");
        assert_source(half, "two");
        assert_source(old, "one");
        assert_source(half_old, "one");

        /* A copy has a number, too, and no record. */
        make_by_hand(state, "copy", "hand");
        _cleanup_close_ int copy_fd = open_directory_at(root_fd, "copy", false, 0);
        assert_int_equal(fsetxattr(copy_fd, GENERATION_ATTRIBUTE, "2", 1, 0), 0);
        assert_int_equal(generation_hold_reference(*state, "copy", &copy), 0);
        assert_int_equal(generation_load_of(copy, &about), 0);
        assert_null(about->source);
        assert_int_equal(about->number, 2);
}

/* Killed before the tree was renamed, or after both. A mark that stays must not give another image's generations away
 * later, when the old name has been used again. */
static void test_forgotten_marks(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);
        _cleanup_image_ Image *held = NULL;
        Staging staging;

        for (unsigned round = 0; round < 2; round++) {
                publish_text(state, "one", 9);
                publish_text(state, "two", 9);
                leave_mark(root_fd, "image", "renamed-to", "other");
                leave_mark(root_fd, "other", "renamed-from", "image");
                if (round == 1)
                        assert_int_equal(renameat(root_fd, "image", root_fd, "other"), 0);

                assert_int_equal(staging_try_lock(*state, "image", &staging), 0);
                assert_int_equal(staging_discard(&staging), 0);
                staging_done(&staging);
                assert_false(exists_at(root_fd, ".staging/other/renamed-from"));
                assert_true(exists_at(root_fd, round == 0 ? ".generations/image/1" : ".generations/other/1"));
        }

        /* Where only the mark in the other directory is left, it moves nothing to an image with generations. */
        publish_text(state, "three", 1);
        assert_int_equal(generation_hold_reference(*state, "image", &held), 0);
        assert_int_equal(publish_remove(*state, "image", NULL, &(unsigned){ 0 }), 0);
        leave_mark(root_fd, "other", "renamed-from", "image");
        assert_int_equal(staging_try_lock(*state, "other", &staging), 0);
        assert_int_equal(staging_discard(&staging), 0);
        staging_done(&staging);
        assert_true(exists_at(root_fd, ".generations/image/1"));
        assert_true(exists_at(root_fd, ".generations/other/1"));
}

static void test_remove(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);
        unsigned in_use = 1;

        publish_text(state, "one", 0);
        publish_text(state, "two", 0);
        assert_int_equal(publish_remove(*state, "image", NULL, &in_use), 0);
        assert_int_equal(in_use, 0);
        assert_false(exists_at(root_fd, "image"));
        assert_false(exists_at(root_fd, ".generations/image"));
        assert_false(exists_at(root_fd, ".staging"));

        make_by_hand(state, "image", "hand");
        assert_int_equal(publish_remove(*state, "image", NULL, &in_use), 0);
        assert_false(exists_at(root_fd, "image"));
}

/* The supervisor of a job that was planned with generation @number, the tree @tree_fd, finds it. */
static void assert_held(void **state, uint64_t number, const char *text, int tree_fd) {
        _cleanup_free_ char *path = NULL, *handle = NULL, *other = NULL;
        const char *none = NULL;

        assert_int_equal(string_printf(&path, "%s/image", (char *) *state), 0);
        assert_int_equal(file_handle_text(tree_fd, &handle), 0);
        /* By its path, by both, and by its handle alone, as after the image was renamed. */
        assert_int_equal(string_printf(&other, "%s/other", (char *) *state), 0);
        const char *const ways[][2] = { { path, none }, { path, handle }, { other, handle } };
        for (size_t i = 0; i < ELEMENTSOF(ways); i++) {
                _cleanup_close_ int direct_fd = file_handle_open(tree_fd, handle);
                if (i == 2 && direct_fd < 0)
                        continue; /* in a container, the kernel may open nothing so */
                _cleanup_free_ char *data = NULL;
                _cleanup_close_ int fd = generation_hold_tree(ways[i][0], number, ways[i][1]);
                assert_true(fd >= 0);
                assert_int_equal(file_read_at(fd, "text", 100, &data, NULL), 0);
                assert_string_equal(data, text);
        }
}

/* Killed after the exchange: the tree that jobs may use is still in the staging directory. */
static void test_killed_after_exchange(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);

        for (unsigned round = 0; round < 2; round++) {
                _cleanup_staging_ Staging staging = STAGING_NONE;
                _cleanup_strv_ char **names = NULL;

                publish_text(state, "one", 5);
                publish_text(state, "two", 5);
                stage(state, "left", &staging);
                char old[64];
                snprintf(old, sizeof(old), ".generations/image/%u", round * 2 + 1);
                _cleanup_close_ int tree_fd = open_directory_at(root_fd, old, false, 0);
                assert_int_equal(remove_tree_at(staging.lock_fd, "root"), 0);
                assert_int_equal(renameat(root_fd, old, root_fd, ".staging/image/root"), 0);
                assert_int_equal(mkdirat(root_fd, old, 0700), 0); /* its reserved place, */
                staging_done(&staging);
                assert_int_equal(mkdirat(root_fd, ".generations/image/9", 0700), 0); /* and one for nobody */
                assert_text(state, round == 0 ? "image@1" : "image@3", "one", round * 2 + 1);
                assert_held(state, round * 2 + 1, "one", tree_fd);
                assert_gone(state, "image@9");

                if (round == 0)
                        assert_int_equal(staging_collect(*state, false, &names), 0);
                else
                        publish_text(state, "three", 5);
                assert_text(state, round == 0 ? "image@1" : "image@3", "one", round * 2 + 1);
                assert_false(exists_at(root_fd, ".staging"));
                assert_false(exists_at(root_fd, ".generations/image/9"));
        }
}

/* Killed before it: nobody has seen the new tree. */
static void test_killed_before_exchange(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_close_ int root_fd = open_directory(state);
        const Generation next = { .number = 3 };

        publish_text(state, "one", 5);
        publish_text(state, "two", 5);
        stage(state, "never seen", &staging);
        _cleanup_close_ int tree_fd = staging_tree(&staging);
        _cleanup_close_ int generations_fd = open_directory_at(root_fd, ".generations/image", false, 0);
        assert_int_equal(generation_save_at(generations_fd, &next), 0);
        assert_int_equal(fsetxattr(tree_fd, GENERATION_ATTRIBUTE, "3", 1, 0), 0);
        staging_done(&staging);
        assert_gone(state, "image@3"); /* nobody finds it before, either */

        _cleanup_strv_ char **names = NULL;
        assert_int_equal(staging_collect(*state, false, &names), 0);
        assert_int_equal(strv_length(names), 1);
        assert_gone(state, "image@3");
        assert_text(state, "image", "two", 2);
        assert_int_equal(publish_text(state, "four", 5), 4);
}

/* Killed in the middle of a rollback: two trees have changed places, and one bears the other's name. */
static void test_killed_rollback(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);

        publish_text(state, "one", 5);
        publish_text(state, "two", 5);
        _cleanup_close_ int tree_fd = open_directory_at(root_fd, "image", false, 0);
        assert_int_equal(renameat2(root_fd, ".generations/image/1", root_fd, "image", RENAME_EXCHANGE), 0);
        assert_text(state, "image", "one", 1);
        for (unsigned round = 0; round < 2; round++) {
                assert_text(state, "image@2", "two", 2);
                assert_text(state, "image@1", "one", 1);
                assert_held(state, 2, "two", tree_fd);
                /* The place that is reserved for it; then what the next one makes of it all. */
                if (round == 0)
                        assert_int_equal(mkdirat(root_fd, ".generations/image/2", 0700), 0);
        }
        assert_int_equal(generations_collect(*state, false, NULL), 0);
        assert_text(state, "image@2", "two", 2);
        assert_text(state, "image", "one", 1);
}

static void test_copy(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_image_ Image *from = NULL;
        uint64_t number;

        publish_text(state, "one", 0);
        assert_int_equal(generation_hold_reference(*state, "image", &from), 0);
        assert_int_equal(staging_open_copy(*state, "image", NULL, from, -EBADF, &staging), 0);
        _cleanup_close_ int fd = staging_tree(&staging);
        assert_int_equal(image_generation(fd), 0);
        assert_int_equal(file_replace_at(fd, "text", "changed", 7, 0644), 0);
        assert_text(state, "image", "one", 1);
        assert_int_equal(publish(&staging, NULL, &number, NULL), 0);
        assert_int_equal(number, 2);
        assert_int_equal(staging_discard(&staging), 0);
        assert_text(state, "image", "changed", 2);
        assert_text(state, "image@1", "one", 1);
}

/* A symlink in the image root is no image to change. */
static void test_symlinks(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_close_ int root_fd = open_directory(state);
        unsigned in_use;

        make_by_hand(state, "elsewhere", "text");
        assert_int_equal(symlinkat("elsewhere", root_fd, "image"), 0);
        stage(state, "new", &staging);
        assert_int_equal(publish(&staging, NULL, NULL, NULL), -ENOTDIR);
        assert_int_equal(staging_discard(&staging), 0);
        assert_int_equal(publish_remove(*state, "image", NULL, &in_use), -ENOTDIR);
        assert_true(exists_at(root_fd, "elsewhere/text"));
        assert_true(exists_at(root_fd, "image"));
}

static const char *lacks(void) {
        static const char number[] = "1";
        const char *parent = getenv("TMPDIR");
        _cleanup_close_ int fd = open(parent && *parent ? parent : "/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

        return fd < 0 || fsetxattr(fd, GENERATION_ATTRIBUTE, number, 1, 0) < 0 ?
                       "root, and a file system with trusted extended attributes" :
                       NULL;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_publish, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_keep, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_made_by_hand, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_copied_by_hand, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_rollback, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_numbers_are_not_reused, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_rollback_keeps_as_many, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_publish_keeps_as_many, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_unreadable_record, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_keep_of_unknown, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_held, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_held_and_renamed, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_records_of_renamed, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_forgotten_marks, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_killed_after_exchange, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_killed_before_exchange, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_killed_rollback, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_copy, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_symlinks, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .lacks = lacks);
