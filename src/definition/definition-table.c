/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The table of the variables that are about images and not about containers, and the checks of their texts. The reader,
 * the help and the test of the man page use it. Texts that pass go to command lines and to sources.list, so a check
 * must refuse characters that have a meaning there. */

#include "definition/definition-table.h"

#include <ctype.h>
#include <stdio.h>

#include "base/string.h"
#include "config/setting-check.h"
#include "config/value.h"
#include "source/builder.h"
#include "source/skopeo.h"

/* A little less than Linux allows for one argument of a program (MAX_ARG_STRLEN). */
#define ARGUMENT_MAX_BYTES ((size_t) 127 * 1024)

#define LOWER_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

/* Has @text no character that means something in sources.list or in the list of an option? */
static bool is_plain_word(const char *text) {
        return text_is_printable(text) && text[0] != '-' && !strpbrk(text, " ,[]\"'#");
}

static const char *url_rest(const char *text) {
        const char *rest = startswith(text, "https://");

        return rest ? rest : startswith(text, "http://");
}

static bool text_is_url(const char *text) {
        return is_plain_word(text) && !isempty(url_rest(text)) && *url_rest(text) != '/';
}

static bool text_is_component(const char *text) {
        return text[0] && strchr(LOWER_DIGITS, text[0]) && strspn(text, LOWER_DIGITS "+-./_") == strlen(text);
}

/* As apt-get takes them: NAME[:ARCHITECTURE][=VERSION or /SUITE]. */
static bool text_is_package(const char *text) {
        return text[0] && strchr(LOWER_DIGITS, text[0]) &&
               strspn(text, LOWER_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ+-.:=/~_") == strlen(text);
}

static bool text_is_keyring(const char *text) {
        return is_plain_word(text) && text[strlen(text) - 1] != '/';
}

static bool text_is_argument(const char *text) {
        return strlen(text) < ARGUMENT_MAX_BYTES;
}

static bool text_is_port(const char *text) {
        uint64_t port;

        return parse_uint64(text, &port) >= 0 && port > 0 && port <= UINT16_MAX;
}

static bool text_is_tarball(const char *text) {
        if (strstr(text, "://"))
                return text_is_url(text);
        return text_is_printable(text) && text[0] != '-' && text[strlen(text) - 1] != '/';
}

static bool text_is_sha256(const char *text) {
        return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

static bool text_is_oci(const char *text) {
        _cleanup_free_ char *reference = NULL;

        return definition_oci_reference(text, NULL, &reference) >= 0;
}

#define ROW(variable, member, kind) \
        .info.name = variable, .info.type = &setting_##kind, .info.offset = offsetof(Definition, member)
#define EXPECT_COMMAND "a list of arguments, or a text for 'sh -e'; each shorter than 127 KiB"

/* The order is that of the documentation. */
static const DefinitionRow table[] = {
        { ROW("chroot_suite", source.suite, optional_string), .info.default_text = "null", .source = SOURCE_SUITE,
          .info.help = "make the image of this suite of Debian or Ubuntu", .info.check = suite_name_valid,
          .info.expect = "the name of a suite, such as bookworm" },
        { ROW("mirror", source.mirror, optional_string), .info.default_text = "null", .of = SOURCE_SUITE,
          .info.help = "URL of the archive that has the suite; null: the host's mirror", .info.check = text_is_url,
          .info.expect = "a URL that begins with http:// or https://" },
        { ROW("components", source.components, list), .info.default_text = "[]", .of = SOURCE_SUITE,
          .info.help = "components of the archive; empty: the distribution's usual ones",
          .info.check = text_is_component, .info.expect = "names of components, as in [main, contrib]" },
        { ROW("packages", source.packages, list), .info.default_text = "[]", .of = SOURCE_SUITE,
          .info.help = "packages to install in addition to the usual ones", .info.check = text_is_package,
          .info.expect = "names of packages" },
        { ROW("only_packages", source.only_packages, boolean), .info.default_text = "no", .of = SOURCE_SUITE,
          .info.help = "install those packages without the usual ones" },
        { ROW("variant", source.variant, optional_string), .info.default_text = "null", .of = SOURCE_SUITE,
          .info.help = "mmdebstrap's variant, which says what packages to begin with; null: minbase",
          .info.check = build_variant_known,
          .info.expect = "minbase, essential, apt, required, buildd, important, standard or debootstrap" },
        { ROW("keyring", source.keyring, optional_string), .info.default_text = "null", .of = SOURCE_SUITE,
          .info.help = "file with the keys that sign the archive; null: the distribution's",
          .info.check = text_is_keyring, .info.expect = "the path of a file, without blanks, commas and quotes" },
        { ROW("create_command", source.create_command, command), .info.default_text = "null", .source = SOURCE_COMMAND,
          .info.help = "command that makes the image in the directory $ROOT", .info.check = text_is_argument,
          .info.expect = EXPECT_COMMAND },
        { ROW("oci", source.oci, optional_string), .info.default_text = "null", .source = SOURCE_OCI,
          .info.help = "make the image of this OCI image, from a registry or a directory", .info.check = text_is_oci,
          .info.expect = "a reference such as registry.example/group/name:tag, docker://..., or oci:PATH" },
        { ROW("tarball", source.tarball, optional_string), .info.default_text = "null", .source = SOURCE_TARBALL,
          .info.help = "make the image of this archive: a path or URL", .info.check = text_is_tarball,
          .info.expect = "a path, or a URL that begins with http:// or https://" },
        { ROW("tarball_sha256", source.sha256, optional_string), .info.default_text = "null", .of = SOURCE_TARBALL,
          .info.help = "SHA-256 that the archive must have", .info.check = text_is_sha256,
          .info.expect = "64 hexadecimal digits, as sha256sum prints them" },
        { ROW("from", source.from, optional_string), .info.default_text = "null", .source = SOURCE_FROM,
          .info.help = "make the image of another image of this host", .info.check = text_is_image_name,
          .info.expect = "the name of an image" },
        { ROW("maint_recreate", recreate, boolean), .info.default_text = "no",
          .info.help = "make the image anew at each maintenance, instead of updating it" },
        { ROW("keep_generations", keep_generations, number), .info.default_text = TEXT_OF(GENERATIONS_KEPT),
          .info.help = "how many generations to keep, including the current one", .info.min = 1, .info.max = 1000,
          .info.expect = "a number from 1 to 1000" },
        { ROW("test", test, command), .info.default_text = "null",
          .info.help = "command that must succeed in a new tree before jobs get it", .info.check = text_is_argument,
          .info.expect = EXPECT_COMMAND },
        { ROW("service_command", service_command, command), .info.default_text = "null",
          .info.help = "what the image runs as a service of a job; null: its systemd", .info.check = text_is_argument,
          .info.expect = EXPECT_COMMAND },
        { ROW("service_ports", service_ports, list), .info.default_text = "[]",
          .info.help = "TCP ports that show that such a service is ready", .info.check = text_is_port,
          .info.expect = "numbers of ports, from 1 to 65535" },
};

_Static_assert(ELEMENTSOF(table) < DEFINITION_ROWS_MAX, "DEFINITION_ROWS_MAX is too small for the table");

const DefinitionRow *definition_row(size_t i) {
        return i < ELEMENTSOF(table) ? table + i : NULL;
}

void *definition_field(const Definition *definition, const DefinitionRow *row) {
        return (char *) definition + row->info.offset;
}

const DefinitionRow *definition_source_row(SourceKind source) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].source == source)
                        return table + i;
        return NULL;
}

/* Returns the name of variable @i, without the prefix. */
static const char *variable_name(_unused_ const void *userdata, size_t i) {
        if (i < ELEMENTSOF(table))
                return table[i].info.name;
        i -= ELEMENTSOF(table);
        for (size_t row = 0; settings_info(row); row++)
                if (setting_is_machine(settings_info(row)) && i-- == 0)
                        return setting_name(settings_info(row));
        return NULL;
}

bool definition_variable(size_t i, DefinitionVariable *ret) {
        const char *name = variable_name(NULL, i);

        if (!name)
                return false;
        *ret = (DefinitionVariable){ .machine = i >= ELEMENTSOF(table) };
        ret->info = ret->machine ? setting_find(name) : &table[i].info;
        snprintf(ret->name, sizeof(ret->name), DEFINITION_PREFIX "%s", name);
        return true;
}

/* Does @text end with the word @word, as "chroot_mirror" does with "mirror"? */
static bool ends_with_word(const char *text, const char *word) {
        const char *end = endswith(text, word);

        return end && end > text && end[-1] == '_' && strlen(word) >= 4;
}

const char *definition_nearest(const char *typed) {
        int i = nearest_name(typed, variable_name, NULL);

        if (i >= 0)
                return variable_name(NULL, (size_t) i);
        for (size_t k = 0; variable_name(NULL, k); k++)
                if (ends_with_word(typed, variable_name(NULL, k)) || ends_with_word(variable_name(NULL, k), typed))
                        return variable_name(NULL, k);
        return NULL;
}

int definition_path(const char *path, const char *directory, char **ret) {
        if (path[0] == '/' || !directory)
                return string_replace(ret, path);
        return string_printf(ret, "%s/%s", directory, startswith(path, "./") ? path + 2 : path);
}

static bool is_reference(const char *text) {
        return isalnum((unsigned char) text[0]) &&
               strspn(text, LOWER_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ+-.:/@_") == strlen(text) && !strstr(text, "//") &&
               text[strlen(text) - 1] != '/' && text[strlen(text) - 1] != ':';
}

int definition_oci_reference(const char *text, const char *directory, char **ret) {
        static const char *const with_path[] = { "oci:", "oci-archive:", "docker-archive:", "dir:" };
        _cleanup_free_ char *path = NULL;
        const char *rest;

        if (!text_is_printable(text) || strchr(text, ' '))
                return -EINVAL;
        rest = startswith(text, SKOPEO_REGISTRY);
        if (rest)
                return is_reference(rest) ? string_replace(ret, text) : -EINVAL;
        rest = startswith(text, "docker-daemon:");
        if (rest)
                return is_reference(rest) ? string_replace(ret, text) : -EINVAL;

        for (size_t i = 0; i < ELEMENTSOF(with_path); i++) {
                rest = startswith(text, with_path[i]);
                if (!rest)
                        continue;
                if (isempty(rest) || *rest == '-' || *rest == ':')
                        return -EINVAL;
                int r = definition_path(rest, directory, &path);
                return r < 0 ? r : string_printf(ret, "%s%s", with_path[i], path);
        }

        /* A path without a transport is the path of an OCI layout. */
        if (text[0] == '/' || startswith(text, "./")) {
                int r = definition_path(text, directory, &path);
                return r < 0 ? r : string_printf(ret, "oci:%s", path);
        }
        return is_reference(text) ? string_printf(ret, SKOPEO_REGISTRY "%s", text) : -EINVAL;
}

void definition_free(Definition *definition) {
        if (!definition)
                return;
        for (size_t i = 0; definition_row(i); i++)
                if (definition_row(i)->info.type->clear)
                        definition_row(i)->info.type->clear(definition_field(definition, definition_row(i)));
        settings_done(&definition->settings);
        free(definition->name);
        free(definition->path);
        free(definition->source.directory);
        free(definition);
}
