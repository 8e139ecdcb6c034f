/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of single texts for the rows of the tables of settings and of definitions. They must look only at the text,
 * never at the host: whether a path exists is checked when it is used. */

#include "config/setting-check.h"

#include <ctype.h>
#include <limits.h>

#include "base/string.h"
#include "config/egress-rule.h"
#include "config/image-name.h"
#include "config/image-reference.h"
#include "config/ip-network.h"
#include "config/value.h"
#include "storage/storage.h"

bool text_is_printable(const char *text) {
        for (const unsigned char *p = (const unsigned char *) text; *p; p++)
                if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) ||
                    (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)))
                        return false;
        return text[0] != 0;
}

/* Are the @length bytes at @text an absolute path without empty, "." and ".." components? True for "/". */
static bool is_normalized(const char *text, size_t length) {
        if (length == 0 || text[0] != '/' || length >= PATH_MAX)
                return false;
        if (length == 1)
                return true;
        for (size_t i = 0; i < length;) {
                const char *component = text + i + 1;
                size_t n = 0;

                while (i + 1 + n < length && component[n] != '/')
                        n++;
                if (n == 0 || n > NAME_MAX || (component[0] == '.' && (n == 1 || (n == 2 && component[1] == '.'))))
                        return false;
                i += 1 + n;
        }
        return true;
}

bool text_is_absolute_path(const char *text) {
        return text_is_printable(text) && is_normalized(text, strlen(text)) && !streq(text, "/");
}

bool text_is_runtime_dir(const char *text) {
        return text_is_absolute_path(text) && strlen(text) <= RUNTIME_DIR_MAX;
}

bool text_is_storage(const char *text) {
        return streq(text, "auto") || storage_find(text);
}

bool text_is_image_name(const char *text) {
        return !image_name_problem(text) || !image_reference_problem(text);
}

bool text_is_registry(const char *text) {
        return image_reference_registry_is(text);
}

bool text_is_image_glob(const char *text) {
        return text_is_printable(text);
}

bool text_is_shell(const char *text) {
        return text_is_absolute_path(text) || (text_is_printable(text) && !strpbrk(text, "/ ") && text[0] != '-' &&
                                               !streq(text, ".") && !streq(text, ".."));
}

bool text_is_helper_image(const char *text) {
        return streq(text, "auto") || streq(text, "none") || text_is_image_name(text);
}

bool text_is_program(const char *text) {
        return streq(text, "auto") || streq(text, "none") || text_is_absolute_path(text);
}

bool text_is_system_call(const char *text) {
        if (*text == '@')
                text++;
        if (!islower((unsigned char) *text))
                return false;
        while (islower((unsigned char) *text) || isdigit((unsigned char) *text) || *text == '_' || *text == '-')
                text++;
        return *text == 0;
}

bool text_is_pull_policy(const char *text) {
        return pull_policy_parse(text) != PULL_INVALID;
}

bool text_is_egress_rule(const char *text) {
        EgressRule rule;

        return egress_rule_parse(text, &rule) >= 0;
}

bool text_is_network_pool(const char *text) {
        IpNetwork network;

        return streq(text, "auto") ||
               (ip_network_parse(text, &network) >= 0 && network.family == AF_INET &&
                network.prefix >= NETWORK_POOL_PREFIX_MIN && network.prefix <= NETWORK_POOL_PREFIX_MAX);
}

bool text_is_bind(const char *text) {
        if (!text_is_printable(text))
                return false;

        size_t n = strcspn(text, ":");
        const char *target = text[n] ? text + n + 1 : text;
        size_t target_length = text[n] ? strlen(target) : n;

        return is_normalized(text, n) && is_normalized(target, target_length) && target_length > 1 &&
               !memchr(target, ':', target_length);
}
