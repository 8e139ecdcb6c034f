/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Recognizes references of images in registries, and turns them into names of images and back. Jobs write these
 * references, so only the grammar of registries may pass: never another transport of skopeo, an option or a path. */

#include "config/image-reference.h"

#include "base/sha256.h"
#include "base/string.h"
#include "config/image-name.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
/* As Docker has them (github.com/distribution/reference). */
#define REPOSITORY_BYTES_MAX 255U
#define TAG_BYTES_MAX 128
/* What is left of a reference in a name that has a hash behind it. References have no "//", so no other name has this. */
#define HASHED_BYTES 60
#define HASH_MARK "%%"
#define PORT_BYTES_MAX 5

/* Are the @n bytes at @text HOST[:PORT]? */
static bool is_registry(const char *text, size_t n) {
        const char *colon = memchr(text, ':', n);
        size_t host = colon ? (size_t) (colon - text) : n, port = colon ? n - host - 1 : 0;

        if (host == 0 || strspn(text, LOWER UPPER DIGITS ".-") < host || !strchr(LOWER UPPER DIGITS, text[host - 1]) ||
            !strchr(LOWER UPPER DIGITS, *text))
                return false;
        if (colon)
                return port > 0 && port <= PORT_BYTES_MAX && strspn(colon + 1, DIGITS) == port;
        return memchr(text, '.', n) || (n == strlen("localhost") && startswith(text, "localhost"));
}

/* Returns the length of a component of a path: words of lower case letters and digits, with one '.', one or two '_', or
 * any number of '-' between them. 0: there is none. */
static size_t component_length(const char *text) {
        size_t n = strspn(text, LOWER DIGITS);

        if (n == 0)
                return 0;
        for (;;) {
                const char *rest = text + n;
                size_t between = *rest == '.' ? 1 :
                                 *rest == '_' ? (rest[1] == '_' ? 2 : 1) :
                                                strspn(rest, "-"),
                       word = between > 0 ? strspn(rest + between, LOWER DIGITS) : 0;

                if (word == 0)
                        return n;
                n += between + word;
        }
}

static size_t path_length(const char *text) {
        size_t n = component_length(text);

        while (n > 0 && text[n] == '/') {
                size_t component = component_length(text + n + 1);

                if (component == 0)
                        return 0;
                n += 1 + component;
        }
        return n;
}

static bool is_digest(const char *text) {
        static const struct {
                const char *algorithm;
                size_t digits;
        } table[] = { { "sha256:", 64 }, { "sha512:", 128 } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const char *digits = startswith(text, table[i].algorithm);

                if (digits)
                        return strlen(digits) == table[i].digits && strspn(digits, DIGITS "abcdef") == table[i].digits;
        }
        return false;
}

const char *image_reference_problem(const char *text) {
        _cleanup_free_ char *name = image_reference_to_name(text);
        const char *slash = strchr(text, '/');

        if (!name)
                return "is too long";
        if (image_name_problem(name))
                return image_name_problem(name);
        if (!slash || !is_registry(text, (size_t) (slash - text)))
                return "does not begin with a registry, as in docker.io/library/NAME";
        if (image_reference_repository_length(text) > REPOSITORY_BYTES_MAX)
                return "is longer than 255 bytes before its tag";
        const char *rest = slash + 1;
        size_t n = path_length(rest);
        if (n == 0)
                return "has no path of small letters, digits and single '.', '_' and '-' between them";
        rest += n;
        if (*rest == ':') {
                n = strspn(rest + 1, LOWER UPPER DIGITS "_.-");
                if (n == 0 || n > TAG_BYTES_MAX || strchr(".-", rest[1]))
                        return "has an invalid tag";
                rest += 1 + n;
        }
        if (*rest == '@')
                return is_digest(rest + 1) ? NULL : "has an invalid digest";
        return *rest ? "has characters that are not allowed in it" : NULL;
}

bool image_reference_is(const char *text) {
        return strchr(text, '/') && !image_reference_problem(text);
}

bool image_reference_registry_is(const char *text) {
        return is_registry(text, strlen(text));
}

char *image_reference_complete(const char *registry, const char *name) {
        const char *library = streq(registry, "docker.io") && !strchr(name, '/') ? "library/" : "";
        char *reference;

        return string_printf(&reference, "%s/%s%s", registry, library, name) < 0 ? NULL : reference;
}

static char *exchange(char *text, char from, char to) {
        for (char *p = text; p && *p; p++)
                if (*p == from)
                        *p = to;
        return text;
}

/* Frees @reference. Nobody finds two references with one hash: whoever did could put an image in another one's place. */
static char *hashed_name(char *reference) {
        _cleanup_free_ char *text = reference;
        uint8_t digest[SHA256_BYTES];
        char *name = NULL;

        sha256(text, strlen(text), digest);
        if (string_append(&name, NULL, "%.*s%s", HASHED_BYTES, text, HASH_MARK) < 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(digest); i++)
                if (string_append(&name, "", "%02x", digest[i]) < 0) {
                        free(name);
                        return NULL;
                }
        return exchange(name, '/', '%');
}

char *image_reference_to_name(const char *reference) {
        const char *slash = strrchr(reference, '/');
        bool complete = strchr(slash ? slash : reference, ':') || strchr(reference, '@');
        char *name;

        if (string_printf(&name, "%s%s", reference, complete ? "" : ":latest") < 0)
                return NULL;
        return image_name_fits(name) ? exchange(name, '/', '%') : hashed_name(name);
}

bool image_reference_is_hashed(const char *name) {
        return strstr(name, HASH_MARK);
}

char *image_reference_from_name(const char *name) {
        return image_reference_is_hashed(name) ? strdup(name) : exchange(strdup(name), '%', '/');
}

size_t image_reference_repository_length(const char *reference) {
        size_t n = strcspn(reference, "@");
        const char *slash = memrchr(reference, '/', n);
        const char *colon = memrchr(reference, ':', n);

        return colon && (!slash || colon > slash) ? (size_t) (colon - reference) : n;
}
