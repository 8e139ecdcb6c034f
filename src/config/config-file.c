/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the configuration file into Settings, for main.c, `check` and the completions. Everything wrong in it must be
 * an error with its line; nothing may be skipped. Definitions of images are read elsewhere: see definition/. */

#include "config/config-file.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/string.h"
#include "config/binds.h"
#include "config/config-data.h"
#include "config/yaml-reader.h"

typedef struct ConfigReader {
        YamlReader yaml;
        Settings *settings;
        unsigned seen[SETTINGS_MAX]; /* line where each row of the table was set; 0: not yet */
} ConfigReader;

/* Returns the index of the row that the present key names, or -EINVAL. */
static int read_key(ConfigReader *reader) {
        const char *name = yaml_scalar(&reader->yaml);

        if (!name)
                return yaml_fail(&reader->yaml, "the name of a setting must be plain text");
        for (unsigned i = 0; settings_info(i); i++) {
                if (!streq(setting_name(settings_info(i)), name))
                        continue;
                if (reader->seen[i] > 0)
                        return yaml_fail(&reader->yaml, "'%s' is set twice, first in line %u", name, reader->seen[i]);
                reader->seen[i] = yaml_line(&reader->yaml);
                return (int) i;
        }

        const char *nearest = setting_nearest(name);
        if (nearest)
                return yaml_fail(&reader->yaml, "unknown setting '%.64s'; did you mean '%s'?", name, nearest);
        return yaml_fail(&reader->yaml, "unknown setting '%.64s'", name);
}

static int read_mapping(ConfigReader *reader) {
        for (;;) {
                int r = yaml_next_plain(&reader->yaml);
                if (r < 0)
                        return r;
                if (reader->yaml.event.type == YAML_MAPPING_END_EVENT)
                        return 0;

                int i = read_key(reader);
                if (i < 0)
                        return i;
                const SettingInfo *info = settings_info((size_t) i);
                r = yaml_next(&reader->yaml);
                if (r < 0)
                        return r;
                r = yaml_read_value(&reader->yaml, info, setting_name(info), setting_field(reader->settings, info));
                if (r < 0)
                        return r;
        }
}

static int read_stream(ConfigReader *reader) {
        int r = yaml_begin(&reader->yaml);
        if (r < 0 || reader->yaml.event.type == YAML_STREAM_END_EVENT)
                return r;

        r = yaml_require_plain(&reader->yaml);
        if (r < 0)
                return r;
        if (reader->yaml.event.type == YAML_MAPPING_START_EVENT) {
                r = read_mapping(reader);
                if (r < 0)
                        return r;
        } else if (!yaml_is_null(&reader->yaml)) {
                return yaml_fail(&reader->yaml, "the file must be a mapping, with lines 'SETTING: VALUE'");
        }
        return yaml_end(&reader->yaml);
}

/* Checks `bind` and `bind_ro` together; a problem is shown at the later of the two settings. */
static int check_binds(const ConfigReader *reader, Problem *reterr_problem) {
        int r = binds_check(reader->settings, reterr_problem);
        if (r != -EINVAL)
                return r;
        for (unsigned i = 0; settings_info(i); i++)
                if (reader->seen[i] > 0 && startswith(setting_name(settings_info(i)), "bind"))
                        reterr_problem->line = reader->seen[i];
        reterr_problem->column = 1;
        return r;
}

static int parse(const char *data, size_t size, Settings *settings, unsigned ret_lines[static SETTINGS_MAX],
                 Problem *reterr_problem) {
        ConfigReader reader = { .settings = settings };

        int r = yaml_reader_init(&reader.yaml, data, size, reterr_problem);
        if (r < 0)
                return r;
        r = read_stream(&reader);
        yaml_reader_done(&reader.yaml);
        if (r < 0)
                return r;
        memcpy(ret_lines, reader.seen, sizeof(reader.seen));
        return check_binds(&reader, reterr_problem);
}

int config_parse(const char *data, size_t size, Settings *settings, Problem *reterr_problem) {
        unsigned lines[SETTINGS_MAX];

        return parse(data, size, settings, lines, reterr_problem);
}

int config_file_read_lines(const char *path, Settings *settings, unsigned ret_lines[static SETTINGS_MAX],
                           Problem *reterr_problem) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = config_data_read("configuration file", path, &data, &size, reterr_problem);
        if (r < 0)
                return r;
        r = parse(data, size, settings, ret_lines, reterr_problem);
        if (r < 0)
                reterr_problem->file = path;
        return r;
}

int config_file_read(const char *path, Settings *settings, Problem *reterr_problem) {
        unsigned lines[SETTINGS_MAX];

        return config_file_read_lines(path, settings, lines, reterr_problem);
}
