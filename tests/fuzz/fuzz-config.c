/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/config-file.h"
#include "fuzz.h"

/* The configuration file. What is accepted must be what setting_format() shows, and be accepted again in that form. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Problem problem = { .text = "" };
        Settings settings;

        if (settings_init(&settings) < 0)
                abort();
        int r = config_parse((const char *) data, size, &settings, &problem);
        if (r == -EINVAL)
                FUZZ_ASSERT(problem.text[0]);
        else
                FUZZ_ASSERT(r == 0);

        for (size_t i = 0; r >= 0 && settings_info(i); i++) {
                _cleanup_free_ char *value = NULL, *line = NULL, *again = NULL;

                FUZZ_ASSERT(setting_format(&settings, settings_info(i), &value) >= 0);
                FUZZ_ASSERT(asprintf(&line, "%s: %s\n", setting_name(settings_info(i)), value) >= 0);
                FUZZ_ASSERT(config_parse(line, strlen(line), &settings, &problem) >= 0);
                FUZZ_ASSERT(setting_format(&settings, settings_info(i), &again) >= 0);
                FUZZ_ASSERT(strcmp(value, again) == 0);
        }
        settings_done(&settings);
        return 0;
}
