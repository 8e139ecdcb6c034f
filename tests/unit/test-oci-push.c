/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "maintain/push-image.h"
#include "source/skopeo.h"

/* What skopeo says, and a part of what we say; NULL: we do not know what it means. */
static void test_failures(_unused_ void **state) {
        static const struct {
                const char *line, *means;
                bool is_refusal;
        } table[] = {
                { "reading manifest 1 in r.example/a: manifest unknown: manifest unknown",
                  "the registry r.example has no such image", true },
                { "reading manifest 1 in r.example/a: StatusCode: 404, Not Found", "has no such image", true },
                { "fuse-overlayfs: not found", NULL, false },
                { "initializing source: unauthorized: authentication required",
                  "the registry r.example wants other credentials: as root, 'skopeo login --authfile "
                  "/root/.config/containers/auth.json r.example' stores them",
                  true },
                { "pinging container registry: http: server gave HTTP response to HTTPS client",
                  "location = \"r.example\", insecure = true", false },
                { "dial tcp 127.0.0.1:1: connect: connection refused", "r.example cannot be reached", false },
                { "x509: certificate signed by unknown authority", "/etc/containers/certs.d/r.example/ca.crt", false },
                { "Copying blob sha256:1", NULL, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const SkopeoFailure *failure = skopeo_failure(table[i].line);
                Problem problem = { 0 };

                assert_row(!failure == !table[i].means, i, table[i].line);
                if (!failure)
                        continue;
                assert_row(failure->is_refusal == table[i].is_refusal, i, table[i].line);
                assert_row(skopeo_explain(failure, "docker://r.example/a:1", &problem) == -EIO, i, table[i].line);
                assert_row(strstr(problem.text, table[i].means) && !strchr(problem.text, '%'), i, problem.text);
        }
}

static void test_transports(_unused_ void **state) {
        static const struct {
                const char *reference;
                bool online, daemon;
                const char *readable;
        } table[] = {
                { "docker://r.example/a:1", true, false, NULL },
                { "docker-daemon:a:1", true, true, "/var/run/docker.sock" },
                { "oci-archive:/srv/a.tar:1", false, false, "/srv/a.tar" },
                { "oci:layout:next", false, false, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_skopeo_ Skopeo skopeo = { 0 };
                bool found = !table[i].readable;

                assert_int_equal(skopeo_for(table[i].reference, &skopeo), 0);
                assert_row(skopeo.online == table[i].online && skopeo.daemon == table[i].daemon, i, table[i].reference);
                for (char **path = skopeo.readable; path && *path; path++) {
                        assert_row((*path)[0] == '/', i, *path);
                        found |= streq_null(*path, table[i].readable);
                }
                assert_row(found, i, table[i].reference);
        }
}

static void test_export_kinds(_unused_ void **state) {
        static const char *const good[] = { "a.tar", "/x/a.tar.zst", "a.tar.gz", "a.tar.xz", "a.oci.tar" };
        static const char *const bad[] = { "a", "a.zip", "r.example/a:1", "tar", "" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_row(export_kind(good[i]), i, good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_row(!export_kind(bad[i]), i, bad[i]);
        assert_ptr_equal(export_kind("b.oci.tar"), export_kind("a.oci.tar"));
        assert_ptr_not_equal(export_kind("a.tar"), export_kind("a.oci.tar"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_transports),
        cmocka_unit_test(test_export_kinds),
};
UNIT_FILE(tests);
