/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Knows which distribution a suite belongs to. Called when a build is planned, and for completions. Names of suites go
 * into URLs and command lines, so only plain words may pass here. */

#include "source/suite.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/string.h"

static const char *const debian_rolling[] = { "sid", "unstable", "experimental", NULL };
static const char *const ubuntu_rolling[] = { NULL };

static const Distribution distributions[] = {
        {
                .name = "debian",
                .label = "Debian",
                .components = "main",
                .keyring = "/usr/share/keyrings/debian-archive-keyring.gpg",
                .keyring_package = "debian-archive-keyring",
                .keyring_url = "https://deb.debian.org/debian/pool/main/d/debian-archive-keyring/",
                .archive = "debian",
                .default_security = true,
                .rolling = debian_rolling,
        },
        {
                .name = "ubuntu",
                .label = "Ubuntu",
                .components = "main,universe",
                .keyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
                .keyring_package = "ubuntu-keyring",
                .keyring_url = "https://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/",
                .archive = "ubuntu",
                .default_security = false,
                .rolling = ubuntu_rolling,
        },
};

enum { DEBIAN, UBUNTU };

void host_system_done(HostSystem *host) {
        free(host->id);
        free(host->codename);
        *host = (HostSystem){ 0 };
}

/* Finds the value of @key in os-release's shell-like syntax; *ret stays NULL if it is not there. Escapes are not decoded,
 * because codenames have none. 0 or -ENOMEM. */
static int os_release_value(const char *text, const char *key, char **ret) {
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, n) != 0 || line[n] != '=')
                        continue;
                const char *value = line + n + 1;
                size_t length = strcspn(value, "\n");
                if (length >= 2 && (*value == '"' || *value == '\'') && value[length - 1] == *value) {
                        value++;
                        length -= 2;
                }
                return length > 0 ? string_printf(ret, "%.*s", (int) length, value) : 0;
        }
        return 0;
}

int host_system_parse(const char *text, HostSystem *ret) {
        static const char *const codename_keys[] = { "UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME" };
        _cleanup_(host_system_done) HostSystem host = { 0 };

        int r = os_release_value(text, "ID", &host.id);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(codename_keys) && !host.codename; i++) {
                r = os_release_value(text, codename_keys[i], &host.codename);
                if (r < 0)
                        return r;
        }
        *ret = host;
        host = (HostSystem){ 0 };
        return 0;
}

int host_system_read(HostSystem *ret) {
        static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_close_ int fd = file_open_regular(paths[i]);

                int r = fd < 0 ? fd : fd_read_all(fd, 65536, &text, NULL);
                if (r != -ENOENT)
                        return r < 0 ? r : host_system_parse(text, ret);
        }
        return -ENOENT;
}

bool suite_name_valid(const char *suite) {
        if (isempty(suite) || strlen(suite) > 64 || !strchr("abcdefghijklmnopqrstuvwxyz0123456789", *suite))
                return false;
        return strspn(suite, "abcdefghijklmnopqrstuvwxyz0123456789.+-") == strlen(suite);
}

/* Appends column "series" of a table of package distro-info-data. A missing table adds nothing. 0 or -ENOMEM. */
static int distro_info_list(const char *distribution, char ***names) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        if (string_printf(&path, "/usr/share/distro-info/%s.csv", distribution) < 0)
                return -ENOMEM;
        if (file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL) < 0)
                return 0;

        char *state;
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                (void) strsep(&line, ",");
                (void) strsep(&line, ",");
                const char *series = strsep(&line, ",");
                if (series && suite_name_valid(series) && strv_extend(names, series) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static bool distro_info_has(const char *distribution, const char *suite) {
        _cleanup_strv_ char **names = NULL;

        (void) distro_info_list(distribution, &names);
        for (char **name = names; name && *name; name++)
                if (streq(*name, suite) && !streq(suite, "series"))
                        return true;
        return false;
}

/* Finds the distribution by debootstrap's scripts: each suite is a link to the script of its distribution. */
static const Distribution *debootstrap_distribution(const char *suite) {
        _cleanup_free_ char *path = NULL;
        char target[64];

        if (string_printf(&path, "/usr/share/debootstrap/scripts/%s", suite) < 0)
                return NULL;
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return NULL;
        target[n] = 0;
        return streq(target, "sid") ? &distributions[DEBIAN] : streq(target, "gutsy") ? &distributions[UBUNTU] : NULL;
}

static const char *const debian[] = { "sid",      "unstable", "testing", "stable", "oldstable", "experimental",
                                      "bullseye", "bookworm", "trixie",  "forky",  "duke" };
static const char *const ubuntu[] = { "focal", "jammy", "noble", "plucky", "questing" };

static const Distribution *known_distribution(const char *suite) {
        for (size_t i = 0; i < ELEMENTSOF(debian); i++)
                if (streq(debian[i], suite))
                        return &distributions[DEBIAN];
        for (size_t i = 0; i < ELEMENTSOF(ubuntu); i++)
                if (streq(ubuntu[i], suite))
                        return &distributions[UBUNTU];
        return NULL;
}

const Distribution *suite_distribution(const char *suite, const HostSystem *host) {
        if (!suite_name_valid(suite))
                return NULL;

        if (host->id && streq_null(host->codename, suite))
                for (size_t i = 0; i < ELEMENTSOF(distributions); i++)
                        if (streq(distributions[i].name, host->id))
                                return &distributions[i];
        for (size_t i = 0; i < ELEMENTSOF(distributions); i++)
                if (distro_info_has(distributions[i].name, suite))
                        return &distributions[i];

        const Distribution *distribution = debootstrap_distribution(suite);
        return distribution ? distribution : known_distribution(suite);
}

int suite_list(char ***ret) {
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < ELEMENTSOF(distributions); i++)
                if (distro_info_list(distributions[i].name, &names) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(debian); i++)
                if (strv_extend(&names, debian[i]) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(ubuntu); i++)
                if (strv_extend(&names, ubuntu[i]) < 0)
                        return -ENOMEM;
        strv_sort_unique(names);
        *ret = TAKE_PTR(names);
        return 0;
}

static const char *name_at(const void *userdata, size_t i) {
        char *const *names = userdata;

        return names[i];
}

char *suite_nearest(const char *typed) {
        _cleanup_strv_ char **names = NULL;

        if (suite_list(&names) < 0)
                return NULL;
        int i = nearest_name(typed, name_at, names);
        return i < 0 ? NULL : strdup(names[i]);
}

bool suite_is_rolling(const Distribution *distribution, const char *suite) {
        for (const char *const *name = distribution->rolling; *name; name++)
                if (streq(*name, suite))
                        return true;
        return false;
}
