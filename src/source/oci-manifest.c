/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads manifests of images as a registry sends them. source-oci.c calls this to find out whether there is room for an
 * image before it is fetched. Manifests are not trusted, and nothing else may be decided from them: sizes that they
 * hide are found out when the image was fetched. */

#include "source/oci-manifest.h"

#include <jansson.h>
#include <sys/utsname.h>

#include "base/string.h"

void oci_manifest_done(OciManifest *manifest) {
        free(manifest->digest);
        *manifest = (OciManifest){ 0 };
}

static int sum_layers(const json_t *layers, uint64_t *ret) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < json_array_size(layers); i++) {
                const json_t *size = json_object_get(json_array_get(layers, i), "size");

                if (!json_is_integer(size) || json_integer_value(size) < 0)
                        return -EBADMSG;
                /* A sum that overflows is too large in any case. */
                if (__builtin_add_overflow(bytes, (uint64_t) json_integer_value(size), &bytes))
                        bytes = UINT64_MAX;
        }
        *ret = bytes;
        return 0;
}

static bool is_for(const json_t *entry, const char *architecture) {
        const json_t *platform = json_object_get(entry, "platform");
        const char *os = json_string_value(json_object_get(platform, "os")),
                   *its = json_string_value(json_object_get(platform, "architecture"));

        return os && its && streq(os, "linux") && streq(its, architecture);
}

/* Finds the first manifest for @architecture in a list. skopeo also takes the first one that fits, but perhaps another
 * variant of the architecture. */
static int find_entry(const json_t *entries, const char *architecture, char **ret) {
        for (size_t i = 0; i < json_array_size(entries); i++) {
                const json_t *entry = json_array_get(entries, i);
                const char *digest = json_string_value(json_object_get(entry, "digest"));

                if (is_for(entry, architecture))
                        return digest ? string_replace(ret, digest) : -EBADMSG;
        }
        return -ENOENT;
}

int oci_manifest_parse(const char *text, const char *architecture, OciManifest *ret) {
        json_auto_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        const json_t *layers = json_object_get(root, "layers"), *entries = json_object_get(root, "manifests");
        OciManifest manifest = { 0 };

        int r = json_is_array(layers)  ? sum_layers(layers, &manifest.layers_bytes) :
                json_is_array(entries) ? find_entry(entries, architecture, &manifest.digest) :
                                         -EBADMSG;
        if (r < 0)
                return r;
        *ret = manifest;
        return 0;
}

const char *oci_architecture(void) {
        static const struct {
                const char *machine, *name;
        } table[] = {
                { "x86_64", "amd64" }, { "aarch64", "arm64" },   { "i686", "386" },    { "armv7l", "arm" },
                { "armv6l", "arm" },   { "ppc64le", "ppc64le" }, { "s390x", "s390x" }, { "riscv64", "riscv64" },
        };
        static struct utsname host;

        if (uname(&host) < 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].machine, host.machine))
                        return table[i].name;
        return NULL;
}
