/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The types of settings that are texts, lists, yes or no, or one of several words. Reached through SettingType only, by
 * everything that reads or shows a setting: configuration file, definitions, help, `doctor`. Every printed text must
 * read back as the same value. */

#include "config/setting-type.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#include "base/string.h"
#include "config/value.h"

const char *setting_expect(const SettingInfo *info, int error) {
        return error == -ERANGE && info->expect ? info->expect : info->type->expect;
}

/* --- booleans and choices --- */

/* Defines the copy function of a type whose values own nothing. */
#define DEFINE_COPY(name, type)                              \
        static int name##_copy(const void *from, void *to) { \
                *(type *) to = *(const type *) from;         \
                return 0;                                    \
        }
DEFINE_COPY(boolean, bool)
DEFINE_COPY(boot, BootMode)

static int parse_boolean(const char *text, bool *ret) {
        static const char *const names[2][6] = {
                { "no", "false", "off", "0", "n", "f" },
                { "yes", "true", "on", "1", "y", "t" },
        };

        for (unsigned value = 0; value < 2; value++)
                for (unsigned i = 0; i < ELEMENTSOF(names[value]); i++)
                        if (strcasecmp(text, names[value][i]) == 0) {
                                *ret = value;
                                return 0;
                        }
        return -EINVAL;
}

static int boolean_assign(_unused_ const SettingInfo *info, const char *text, void *value) {
        return parse_boolean(text, value);
}

static int boolean_format(const void *value, char **ret) {
        return string_printf(ret, "%s", *(const bool *) value ? "yes" : "no");
}

const SettingType setting_boolean = {
        .expect = "yes or no",
        .assign = boolean_assign,
        .format = boolean_format,
        .copy = boolean_copy,
        .record = RECORD_BOOL,
};

static int boot_assign(_unused_ const SettingInfo *info, const char *text, void *value) {
        bool boolean;

        if (streq(text, "auto"))
                *(BootMode *) value = BOOT_AUTO;
        else if (streq(text, "eager"))
                *(BootMode *) value = BOOT_EAGER;
        else if (parse_boolean(text, &boolean) >= 0)
                *(BootMode *) value = boolean ? BOOT_YES : BOOT_NO;
        else
                return -EINVAL;
        return 0;
}

static const char *const boot_names[] = {
        [BOOT_AUTO] = "auto", [BOOT_YES] = "yes", [BOOT_NO] = "no", [BOOT_EAGER] = "eager", NULL,
};

static int boot_format(const void *value, char **ret) {
        return string_printf(ret, "%s", boot_names[*(const BootMode *) value]);
}

const SettingType setting_boot = {
        .expect = "auto, yes, no or eager",
        .assign = boot_assign,
        .format = boot_format,
        .copy = boot_copy,
        .record = RECORD_CHOICE,
        .choices = boot_names,
};

/* The names of an enum's values, from 0 on. The enum is stored as an unsigned. */
typedef struct Choice {
        const char *const *names;
        unsigned n;
} Choice;

static int choice_assign(const Choice *choice, const char *text, void *value) {
        for (unsigned i = 0; i < choice->n; i++)
                if (streq(text, choice->names[i])) {
                        *(unsigned *) value = i;
                        return 0;
                }
        return -EINVAL;
}

static int choice_format(const Choice *choice, const void *value, char **ret) {
        return string_printf(ret, "%s", choice->names[*(const unsigned *) value]);
}

/* Defines the type of a setting whose value is of enum @type. */
#define DEFINE_CHOICE(setting, type, text_expected, ...)                                               \
        _Static_assert(sizeof(type) == sizeof(unsigned), "choices are stored as unsigned");            \
        DEFINE_COPY(setting, type)                                                                     \
        static const char *const setting##_names[] = { __VA_ARGS__, NULL };                            \
        static const Choice setting##_choice = { setting##_names, ELEMENTSOF(setting##_names) - 1 };   \
        static int setting##_assign(_unused_ const SettingInfo *info, const char *text, void *value) { \
                return choice_assign(&setting##_choice, text, value);                                  \
        }                                                                                              \
        static int setting##_format(const void *value, char **ret) {                                   \
                return choice_format(&setting##_choice, value, ret);                                   \
        }                                                                                              \
        const SettingType setting_##setting = {                                                        \
                .expect = text_expected,                                                               \
                .assign = setting##_assign,                                                            \
                .format = setting##_format,                                                            \
                .copy = setting##_copy,                                                                \
                .record = RECORD_CHOICE,                                                               \
                .choices = setting##_names,                                                            \
        };
DEFINE_CHOICE(network, NetworkMode,
              "private, host or none", [NETWORK_HOST] = "host", [NETWORK_NONE] = "none", [NETWORK_PRIVATE] = "private")
DEFINE_CHOICE(network_backend, WayOut,
              "auto, nat or pasta", [WAY_OUT_AUTO] = "auto", [WAY_OUT_NAT] = "nat", [WAY_OUT_PASTA] = "pasta")
DEFINE_CHOICE(cache, CacheMode,
              "project, shared or none", [CACHE_PROJECT] = "project", [CACHE_SHARED] = "shared", [CACHE_NONE] = "none")
DEFINE_CHOICE(builds, BuildsMode,
              "ephemeral or persistent", [BUILDS_EPHEMERAL] = "ephemeral", [BUILDS_PERSISTENT] = "persistent")
_Static_assert(sizeof(BootMode) == sizeof(unsigned), "choices are stored as unsigned");

/* --- strings and lists --- */

/* Appends @text as a YAML scalar that reads as exactly this string, unquoted if possible. The text has no control
 * characters: every check refuses them. */
static int format_scalar(char **target, const char *text) {
        bool plain = (isalnum((unsigned char) text[0]) || text[0] == '/') && strcasecmp(text, "null") != 0;
        size_t length = *target ? strlen(*target) : 0, size = length + 2 * strlen(text) + 3;

        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("/._-+@%", *p))
                        plain = false;

        char *grown = realloc(*target, size);
        if (!grown)
                return -ENOMEM;
        *target = grown;

        char *out = grown + length;
        if (!plain)
                *out++ = '\'';
        for (const char *p = text; *p; p++) {
                if (*p == '\'')
                        *out++ = '\'';
                *out++ = *p;
        }
        if (!plain)
                *out++ = '\'';
        *out = 0;
        return 0;
}

static int string_assign(const SettingInfo *info, const char *text, void *value) {
        if (!info->check(text))
                return -ERANGE;
        return string_replace(value, text);
}

static int string_format(const void *value, char **ret) {
        const char *text = *(char *const *) value;
        _cleanup_free_ char *formatted = NULL;

        if (!text)
                return string_printf(ret, "null");
        if (format_scalar(&formatted, text) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(formatted);
        return 0;
}

static void string_clear(void *value) {
        free(*(char **) value);
        *(char **) value = NULL;
}

static int string_copy(const void *from, void *to) {
        return string_replace(to, *(char *const *) from);
}

const SettingType setting_string = {
        .assign = string_assign,
        .format = string_format,
        .copy = string_copy,
        .clear = string_clear,
        .record = RECORD_STRING,
};

const SettingType setting_optional_string = {
        .nullable = true,
        .assign = string_assign,
        .format = string_format,
        .copy = string_copy,
        .clear = string_clear,
        .record = RECORD_STRING,
};

static int list_assign(const SettingInfo *info, const char *text, void *value) {
        if (!info->check(text))
                return -ERANGE;
        return strv_extend(value, text);
}

static int list_format(const void *value, char **ret) {
        _cleanup_free_ char *formatted = NULL;

        for (char *const *item = *(char **const *) value; item && *item; item++) {
                if (formatted) {
                        char *grown;
                        if (string_printf(&grown, "%s, ", formatted) < 0)
                                return -ENOMEM;
                        free(formatted);
                        formatted = grown;
                }
                if (format_scalar(&formatted, *item) < 0)
                        return -ENOMEM;
        }
        return string_printf(ret, "[%s]", formatted ? formatted : "");
}

static void list_clear(void *value) {
        strv_free(*(char ***) value);
        *(char ***) value = NULL;
}

static int list_copy(const void *from, void *to) {
        char **copy = NULL;

        int r = strv_copy(*(char **const *) from, &copy);
        if (r < 0)
                return r;
        list_clear(to);
        *(char ***) to = copy;
        return 0;
}

const SettingType setting_list = {
        .is_list = true,
        .nullable = true,
        .assign = list_assign,
        .format = list_format,
        .copy = list_copy,
        .clear = list_clear,
        .record = RECORD_LIST,
};

static int command_assign_text(const SettingInfo *info, const char *text, void *value) {
        _cleanup_strv_ char **command = NULL;

        if (!info->check(text))
                return -ERANGE;
        int r = strv_extend_many(&command, "/bin/sh", "-e", "-c", text);
        if (r < 0)
                return r;
        list_clear(value);
        *(char ***) value = TAKE_PTR(command);
        return 0;
}

const SettingType setting_command = {
        .is_list = true,
        .nullable = true,
        .assign = list_assign,
        .assign_text = command_assign_text,
        .format = list_format,
        .copy = list_copy,
        .clear = list_clear,
        .record = RECORD_LIST,
};

/* Assigns a list that is written as one text, which becomes its only item. */
static int texts_assign_text(const SettingInfo *info, const char *text, void *value) {
        _cleanup_strv_ char **texts = NULL;

        int r = list_assign(info, text, &texts);
        if (r < 0)
                return r;
        list_clear(value);
        *(char ***) value = TAKE_PTR(texts);
        return 0;
}

static int texts_format(const void *value, char **ret) {
        char *const *texts = *(char **const *) value;

        return strv_length(texts) == 1 ? string_printf(ret, "%s", texts[0]) : list_format(value, ret);
}

const SettingType setting_texts = {
        .is_list = true,
        .nullable = true,
        .assign = list_assign,
        .assign_text = texts_assign_text,
        .format = texts_format,
        .copy = list_copy,
        .clear = list_clear,
        .record = RECORD_LIST,
};
