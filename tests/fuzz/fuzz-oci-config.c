/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/string.h"
#include "fuzz.h"
#include "source/oci-config.h"

/* The configuration of an image from a registry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_image_config_ ImageConfig config = { 0 };

        int r = oci_config_parse((const char *) data, size, &config);
        if (r < 0) {
                FUZZ_ASSERT(r == -EBADMSG || r == -E2BIG);
                FUZZ_ASSERT(!config.env && !config.working_dir && !config.user);
                return 0;
        }
        for (char **variable = config.env; variable && *variable; variable++)
                FUZZ_ASSERT(**variable != '=' && strchr(*variable, '='));
        FUZZ_ASSERT(!config.working_dir || config.working_dir[0] == '/');
        FUZZ_ASSERT(!config.user || config.user[0]);
        return 0;
}
