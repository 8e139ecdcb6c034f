/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the mirrors and keys of the host's own apt, so that images are built from the same ones. Called when a build is
 * planned. It only reads the host's files, and must skip entries that it does not understand. */

#include "source/apt-sources.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define FILE_BYTES_MAX (1 << 20)

static void apt_source_done(AptSource *source) {
        free(source->uri);
        free(source->suite);
        strv_free(source->components);
        free(source->keyring);
}

void apt_sources_done(AptSources *sources) {
        for (size_t i = 0; i < sources->n; i++)
                apt_source_done(&sources->sources[i]);
        free(sources->sources);
        *sources = (AptSources){ 0 };
}

/* "mirror+file:PATH" (cloud providers' images use it): the file holds URIs, one a line; the first one is used. */
static char *resolve_mirror_file(const char *path) {
        _cleanup_free_ char *text = NULL;

        if (file_read_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL) < 0)
                return NULL;
        char *state;
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                line += strspn(line, " \t");
                line[strcspn(line, " \t\r")] = 0;
                if (*line && *line != '#')
                        return strdup(line);
        }
        return NULL;
}

/* Returns the URI if the image can use it as well as the host; NULL for disks, local files and special transports. */
static char *usable_uri(const char *uri) {
        const char *path = startswith(uri, "mirror+file:");
        char *usable = path ? resolve_mirror_file(path) : strdup(uri);

        if (!usable || (!startswith(usable, "http://") && !startswith(usable, "https://"))) {
                free(usable);
                return NULL;
        }
        for (size_t n = strlen(usable); n > 0 && usable[n - 1] == '/'; n--)
                usable[n - 1] = 0;
        return usable;
}

static int add_source(AptSources *sources, const char *uri, const char *suite, char *const *components,
                      const char *keyring) {
        AptSource *grown = reallocarray(sources->sources, sources->n + 1, sizeof(AptSource));

        if (!grown)
                return -ENOMEM;
        sources->sources = grown;

        AptSource *source = &grown[sources->n];
        *source = (AptSource){ .uri = usable_uri(uri) };
        if (!source->uri)
                return 0;
        if (string_replace(&source->suite, suite) < 0 || strv_copy(components, &source->components) < 0 ||
            (keyring && *keyring == '/' && string_replace(&source->keyring, keyring) < 0)) {
                apt_source_done(source);
                return -ENOMEM;
        }
        sources->n++;
        return 0;
}

/* Splits @text at blanks. 0 or -ENOMEM; *ret stays NULL where there is no word. */
static int split_words(const char *text, char ***ret) {
        _cleanup_free_ char *copy = strdup(text);
        char *state;

        if (!copy)
                return -ENOMEM;
        for (char *word = strtok_r(copy, " \t\r\n", &state); word; word = strtok_r(NULL, " \t\r\n", &state)) {
                int r = strv_extend(ret, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* "deb [option=value ...] URI SUITE COMPONENT..." */
static int parse_list_line(char *line, AptSources *sources) {
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *keyring = NULL;

        line[strcspn(line, "#")] = 0;
        line += strspn(line, " \t");
        if (strncmp(line, "deb", 3) != 0 || !isblank((unsigned char) line[3]))
                return 0;
        line += 3 + strspn(line + 3, " \t");

        if (*line == '[') {
                char *end = strchr(line, ']');
                if (!end)
                        return 0;
                *end = 0;
                char *option = strstr(line, "signed-by=");
                if (option) {
                        option += strlen("signed-by=");
                        keyring = strndup(option, strcspn(option, " \t"));
                        if (!keyring)
                                return -ENOMEM;
                }
                line = end + 1;
        }

        int r = split_words(line, &words);
        if (r < 0 || strv_length(words) < 3)
                return r;
        return add_source(sources, words[0], words[1], words + 2, keyring);
}

int apt_sources_parse_list(const char *text, AptSources *sources) {
        _cleanup_free_ char *copy = strdup(text);
        char *state;

        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                int r = parse_list_line(line, sources);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* One stanza of a deb822 file, by field. */
typedef struct Stanza {
        char **types, **uris, **suites, **components, **signed_by, **enabled;
} Stanza;

static void stanza_done(Stanza *stanza) {
        strv_free(stanza->types);
        strv_free(stanza->uris);
        strv_free(stanza->suites);
        strv_free(stanza->components);
        strv_free(stanza->signed_by);
        strv_free(stanza->enabled);
        *stanza = (Stanza){ 0 };
}

static char ***stanza_field(Stanza *stanza, const char *line, size_t length) {
        struct {
                const char *name;
                char ***words;
        } fields[] = {
                { "Types", &stanza->types },         { "URIs", &stanza->uris },
                { "Suites", &stanza->suites },       { "Components", &stanza->components },
                { "Signed-By", &stanza->signed_by }, { "Enabled", &stanza->enabled },
        };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (strlen(fields[i].name) == length && strncasecmp(fields[i].name, line, length) == 0)
                        return fields[i].words;
        return NULL;
}

static bool strv_contains(char *const *v, const char *s) {
        for (; v && *v; v++)
                if (streq(*v, s))
                        return true;
        return false;
}

/* Adds the sources of a complete stanza: each of its suites at each of its URIs. */
static int add_stanza(const Stanza *stanza, AptSources *sources) {
        bool enabled = !stanza->enabled ||
                       !(strcasecmp(stanza->enabled[0], "no") == 0 || strcasecmp(stanza->enabled[0], "false") == 0 ||
                         streq(stanza->enabled[0], "0"));
        /* More than one word is the key itself instead of the name of a file. */
        const char *keyring = strv_length(stanza->signed_by) == 1 ? stanza->signed_by[0] : NULL;

        if (!enabled || !strv_contains(stanza->types, "deb") || !stanza->components)
                return 0;
        for (char **uri = stanza->uris; uri && *uri; uri++)
                for (char **suite = stanza->suites; suite && *suite; suite++) {
                        int r = add_source(sources, *uri, *suite, stanza->components, keyring);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int stanza_finish(Stanza *stanza, AptSources *sources) {
        int r = add_stanza(stanza, sources);
        stanza_done(stanza);
        return r;
}

int apt_sources_parse_deb822(const char *text, AptSources *sources) {
        _cleanup_(stanza_done) Stanza stanza = { 0 };
        char ***field = NULL;

        while (*text) {
                size_t length = strcspn(text, "\n");
                _cleanup_free_ char *line = strndup(text, length);

                if (!line)
                        return -ENOMEM;
                text += length + (text[length] == '\n');

                int r = 0;
                if (strspn(line, " \t\r") == strlen(line)) {
                        r = stanza_finish(&stanza, sources);
                        field = NULL;
                } else if (isblank((unsigned char) *line)) { /* the value of the field above goes on */
                        if (field)
                                r = split_words(line, field);
                } else if (*line != '#') {
                        char *colon = strchr(line, ':');
                        field = colon ? stanza_field(&stanza, line, (size_t) (colon - line)) : NULL;
                        if (field)
                                r = split_words(colon + 1, field);
                }
                if (r < 0)
                        return r;
        }
        return stanza_finish(&stanza, sources);
}

/* Does @r (-errno) say nothing about the file? One that apt could not read either is skipped. */
static bool is_of_host(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EIO;
}

static int read_file(int dir_fd, const char *name, AptSources *sources) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        int r = fd < 0 ? -errno : fd_read_all(fd, FILE_BYTES_MAX, &text, NULL);
        if (r < 0)
                return is_of_host(r) ? r : 0;
        return endswith(name, ".sources") ? apt_sources_parse_deb822(text, sources) :
                                            apt_sources_parse_list(text, sources);
}

static int read_directory(int fd, AptSources *sources) {
        _cleanup_strv_ char **names = NULL;

        int r = directory_names(fd, &names);
        if (r < 0)
                return r;
        strv_sort(names);
        for (char **name = names; name && *name; name++) {
                if (!endswith(*name, ".list") && !endswith(*name, ".sources"))
                        continue;
                r = read_file(fd, *name, sources);
                if (r < 0)
                        return r;
        }
        return 0;
}

int apt_sources_read(const char *directory, AptSources *ret) {
        _cleanup_apt_sources_ AptSources sources = { 0 };
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && is_of_host(-errno))
                return -errno;
        if (fd >= 0) {
                int r = read_file(fd, "sources.list", &sources);
                if (r < 0)
                        return r;
                _cleanup_close_ int parts_fd = openat(fd, "sources.list.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (parts_fd < 0 && is_of_host(-errno))
                        return -errno;
                r = parts_fd < 0 ? 0 : read_directory(parts_fd, &sources);
                if (r < 0)
                        return r;
        }
        *ret = sources;
        sources = (AptSources){ 0 };
        return 0;
}

void mirror_done(Mirror *mirror) {
        free(mirror->archive);
        free(mirror->security);
        free(mirror->keyring);
        *mirror = (Mirror){ 0 };
}

static const AptSource *find_suite(const AptSources *sources, const char *uri, const char *codename,
                                   const char *suffix) {
        for (size_t i = 0; i < sources->n; i++) {
                const AptSource *source = &sources->sources[i];
                const char *rest = startswith(source->suite, codename);

                if (rest && streq(rest, suffix) && strv_contains(source->components, "main") &&
                    (!uri || streq(source->uri, uri)))
                        return source;
        }
        return NULL;
}

/* The distribution's own keyring has two names, "X.gpg" and, newer, "X.pgp". */
static bool is_own_keyring(const char *keyring, const Distribution *distribution) {
        const char *end = strrchr(distribution->keyring, '.');
        size_t n = (size_t) (end - distribution->keyring);

        return !keyring || (strncmp(keyring, distribution->keyring, n) == 0 &&
                            (streq(keyring + n, ".gpg") || streq(keyring + n, ".pgp")));
}

/* Is @source a whole archive, rather than somebody's own packages for the same suite? An archive has updates of the
 * suite, too, or it looks like a mirror and is signed with the distribution's own keys. */
static bool is_archive(const AptSources *sources, const AptSource *source, const Distribution *distribution,
                       const char *codename) {
        const char *last = strrchr(source->uri, '/');

        if (find_suite(sources, source->uri, codename, "-updates"))
                return true;
        return streq(last + 1, distribution->archive) && is_own_keyring(source->keyring, distribution);
}

int mirror_pick(const AptSources *sources, const Distribution *distribution, const char *codename, Mirror *ret) {
        _cleanup_mirror_ Mirror mirror = { 0 };

        for (size_t i = 0; i < sources->n && !mirror.archive; i++) {
                const AptSource *source = &sources->sources[i];

                if (streq(source->suite, codename) && strv_contains(source->components, "main") &&
                    is_archive(sources, source, distribution, codename))
                        if (string_replace(&mirror.archive, source->uri) < 0 ||
                            (!is_own_keyring(source->keyring, distribution) &&
                             string_replace(&mirror.keyring, source->keyring) < 0))
                                return -ENOMEM;
        }

        const AptSource *security = find_suite(sources, NULL, codename, "-security");
        if (mirror.archive && security && string_replace(&mirror.security, security->uri) < 0)
                return -ENOMEM;
        *ret = mirror;
        mirror = (Mirror){ 0 };
        return 0;
}

int mirror_replace(Mirror *mirror, const Distribution *distribution, const char *archive) {
        size_t length = strlen(archive);

        while (length > 0 && archive[length - 1] == '/')
                length--;
        char *copy = strndup(archive, length);
        if (!copy)
                return -ENOMEM;
        bool same = streq_null(mirror->archive, copy);
        free(mirror->archive);
        mirror->archive = copy;

        if (!same)
                (void) string_replace(&mirror->keyring, NULL);
        return distribution->default_security ? 0 : string_replace(&mirror->security, mirror->archive);
}

int mirror_sources_list(const Mirror *mirror, const Distribution *distribution, const char *suite,
                        const char *components_with_commas, char ***ret_lines) {
        _cleanup_strv_ char **lines = NULL;
        _cleanup_free_ char *components = strdup(components_with_commas);
        const char *keyring = mirror->keyring ? mirror->keyring : distribution->keyring;

        if (!components)
                return -ENOMEM;
        for (char *comma = components; (comma = strchr(comma, ','));)
                *comma = ' ';

        int r = strv_extendf(&lines, "deb [signed-by=%s] %s %s %s", keyring, mirror->archive, suite, components);
        if (r < 0)
                return r;
        if (!suite_is_rolling(distribution, suite)) {
                r = strv_extendf(&lines, "deb [signed-by=%s] %s %s-updates %s", keyring, mirror->archive, suite,
                                 components);
                if (r < 0)
                        return r;
                if (mirror->security)
                        r = strv_extendf(&lines, "deb [signed-by=%s] %s %s-security %s", keyring, mirror->security,
                                         suite, components);
        }
        if (r < 0)
                return r;
        *ret_lines = TAKE_PTR(lines);
        return 0;
}
