/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "container/machine.h"

#include "base/string.h"

void machine_free(Machine *machine) {
        if (!machine)
                return;
        char *strings[] = {
                machine->id,
                machine->name,
                machine->directory,
                machine->layer,
                machine->image,
                machine->image_path,
                machine->agent_path,
                machine->storage,
                machine->supervisor,
                machine->init,
                machine->uuid,
                machine->shell,
                machine->seccomp_filter,
                machine->user,
                machine->working_dir,
        };
        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(strings[i]);
        strv_free(machine->environment);
        strv_free(machine->bind);
        strv_free(machine->bind_ro);
        free(machine);
}
