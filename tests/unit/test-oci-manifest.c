/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "source/oci-manifest.h"

#define ENTRY(os, architecture, digest) \
        "{\"digest\":\"" digest "\",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"}}"

static void test_parse(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t layers_bytes;
                const char *digest;
        } table[] = {
                { "{\"layers\":[]}", 0, 0, NULL },
                { "{\"layers\":[{\"size\":7}]}", 0, 7, NULL },
                { "{\"config\":{\"size\":1000},\n\"layers\":[{\"size\":7},{\"size\":8,\"digest\":\"x\"}]}", 0, 15,
                  NULL },
                { "{\"layers\":[{\"size\":9223372036854775807},{\"size\":9223372036854775807},{\"size\":9}]}", 0,
                  UINT64_MAX, NULL },
                { "{\"manifests\":[" ENTRY("linux", "arm64", "a") "," ENTRY("linux", "amd64", "b") "]}", 0, 0, "b" },
                { "{\"manifests\":[" ENTRY("windows", "amd64",
                                           "a") "," ENTRY("linux", "amd64", "b") "," ENTRY("linux", "amd64", "c") "]}",
                  0, 0, "b" },
                { "{\"manifests\":[" ENTRY("linux", "arm64", "a") "]}", -ENOENT, 0, NULL },
                { "{\"manifests\":[]}", -ENOENT, 0, NULL },
                { "{\"manifests\":[{\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}", -EBADMSG, 0, NULL },
                { "{\"manifests\":[7,{\"platform\":[]}]}", -ENOENT, 0, NULL },
                { "{\"layers\":[{}]}", -EBADMSG, 0, NULL },
                { "{\"layers\":[{\"size\":-1}]}", -EBADMSG, 0, NULL },
                { "{\"layers\":[{\"size\":1.5}]}", -EBADMSG, 0, NULL },
                { "{\"layers\":[7]}", -EBADMSG, 0, NULL },
                { "{\"layers\":{}}", -EBADMSG, 0, NULL },
                { "{\"fsLayers\":[]}", -EBADMSG, 0, NULL }, /* Docker's schema 1 tells no sizes */
                { "{}", -EBADMSG, 0, NULL },
                { "[]", -EBADMSG, 0, NULL },
                { "", -EBADMSG, 0, NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_oci_manifest_ OciManifest manifest = { 0 };

                assert_row(oci_manifest_parse(table[i].text, "amd64", &manifest) == table[i].r, i, table[i].text);
                assert_row(manifest.layers_bytes == table[i].layers_bytes, i, table[i].text);
                assert_row(streq_null(manifest.digest, table[i].digest), i, table[i].text);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
};
UNIT_FILE(tests);
