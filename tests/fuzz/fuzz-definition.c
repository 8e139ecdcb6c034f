/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "definition/definition.h"
#include "fuzz.h"

/* The definition of an image. What is accepted must be whole: one source with what it needs, and settings that can be
 * put over the configuration's and shown. */
static void check(const Definition *definition) {
        Settings settings;

        FUZZ_ASSERT((definition->source.kind == SOURCE_SUITE) == (definition->source.suite != NULL));
        FUZZ_ASSERT((definition->source.kind == SOURCE_COMMAND) == (definition->source.create_command != NULL));
        FUZZ_ASSERT((definition->source.kind == SOURCE_OCI) == (definition->source.oci != NULL));
        FUZZ_ASSERT((definition->source.kind == SOURCE_TARBALL) == (definition->source.tarball != NULL));
        FUZZ_ASSERT((definition->source.kind == SOURCE_FROM) == (definition->source.from != NULL));
        FUZZ_ASSERT(!definition->source.mirror || definition->source.suite);
        FUZZ_ASSERT(!definition->source.sha256 ||
                    (definition->source.tarball && strlen(definition->source.sha256) == 64));
        FUZZ_ASSERT(!definition->source.oci || strchr(definition->source.oci, ':'));
        FUZZ_ASSERT(!definition->source.from || definition->from_line > 0);
        FUZZ_ASSERT(definition->keep_generations >= 1);
        FUZZ_ASSERT(!definition->test || definition->test[0][0]);

        FUZZ_ASSERT(settings_init(&settings) >= 0);
        FUZZ_ASSERT(definition_apply(definition, &settings) >= 0);
        for (size_t i = 0; settings_info(i); i++) {
                _cleanup_free_ char *value = NULL, *given = NULL;

                FUZZ_ASSERT(setting_format(&settings, settings_info(i), &value) >= 0);
                if (!definition->settings_given[i])
                        continue;
                FUZZ_ASSERT(setting_is_machine(settings_info(i)));
                FUZZ_ASSERT(setting_format(&definition->settings, settings_info(i), &given) >= 0);
                FUZZ_ASSERT(strcmp(value, given) == 0);
        }
        settings_done(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_definition_ Definition *definition = NULL;
        Problem problem = { .text = "" };

        int r = definition_parse((const char *) data, size, "/etc/nspawn-runner/x.yaml", "x", &definition, &problem);
        if (r == -EINVAL) {
                FUZZ_ASSERT(problem.text[0] && !definition);
        } else {
                FUZZ_ASSERT(r == 0);
                check(definition);
        }
        return 0;
}
