/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/string.h"
#include "image/image.h"
#include "maintain/image-cache.h"
#include "maintain/image-roots.h"

/* A directory that nobody can look at, among images: a FUSE file system whose server is gone. Whether there is an image is
 * not known, and so it must be neither passed over in silence nor taken for missing, and the others are there. */

static void make_image(const char *root, const char *name) {
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/%s/usr/bin", root, name), 0);
        assert_int_equal(mkdir_parents(path, 0755), 0);
}

static void break_image(const char *root, const char *name, int fuse_fd) {
        _cleanup_free_ char *path = NULL;
        char options[128];

        make_image(root, name);
        assert_int_equal(string_printf(&path, "%s/%s", root, name), 0);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse_fd);
        assert_int_equal(mount("broken", path, "fuse", 0, options), 0);
        assert_int_equal(close(fuse_fd), 0);
}

static void mend_image(const char *root, const char *name) {
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/%s", root, name), 0);
        assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static int open_fuse(void) {
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_list(void **state) {
        _cleanup_strv_ char **names = NULL, **again = NULL, **broken = NULL;
        _cleanup_image_ Image *image = NULL;
        const char *root = *state;

        make_image(root, "a");
        make_image(root, "c");
        break_image(root, "b", open_fuse());
        int r = image_list(root, &names, &broken);
        assert_int_equal(r, 0);
        assert_int_equal(strv_length(names), 2);
        assert_string_equal(names[0], "a");
        assert_string_equal(names[1], "c");
        assert_int_equal(strv_length(broken), 1);
        assert_string_equal(broken[0], "'b': Transport endpoint is not connected");
        assert_int_equal(image_list(root, &again, NULL), 0);
        assert_int_equal(strv_length(again), 2);
        assert_int_equal(image_open(root, "b", &image), -ENOTCONN);
        mend_image(root, "b");
}

static void test_exists(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        break_image(*state, "b", open_fuse());
        assert_true(exists_at(fd, "b"));
        assert_true(exists_at(fd, "b/usr")); /* who knows */
        assert_false(exists_at(fd, "none"));
        mend_image(*state, "b");
}

/* Images of registries: all others go, and the result says that not all was looked at. */
static void test_remove_unused(void **state) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *root = NULL;

        assert_int_equal(image_root_path(*state, IMAGE_ROOT_REGISTRIES, &root), 0);
        make_image(root, "a");
        break_image(root, "b", open_fuse());
        assert_int_equal(image_cache_remove_unused(*state, false, &names), -EIO);
        assert_int_equal(strv_length(names), 1);
        assert_string_equal(names[0], "a");
        mend_image(root, "b");
        strv_free(names);
        names = NULL;
        assert_int_equal(image_cache_remove_unused(*state, true, &names), 0);
        assert_int_equal(strv_length(names), 1);
        assert_string_equal(names[0], "b");
}

static const char *lacks(void) {
        return access("/dev/fuse", R_OK) < 0 ? "/dev/fuse" : lacks_mount_namespace();
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_exists, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove_unused, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .lacks = lacks);
