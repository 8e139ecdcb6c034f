/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out which processor a tree is for, to explain why its programs could not be executed (machine/explain.c). It
 * must never decide whether a container may be started in a tree: a host may be able to run foreign programs. */

#include "tree/architecture.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"

/* elf.h of Debian 12 has all these machines. The names are Debian's, most of which OCI images share. */
static const struct {
        unsigned machine;
        const char *name;
} names[] = {
        { EM_386, "i386" },      { EM_X86_64, "amd64" },  { EM_ARM, "arm" },
        { EM_AARCH64, "arm64" }, { EM_RISCV, "riscv64" }, { EM_S390, "s390x" },
        { EM_PPC64, "ppc64el" }, { EM_MIPS, "mips" },     { EM_LOONGARCH, "loong64" },
};

/* Reads the part of the ELF header that is the same for 32 and 64 bits. Returns false: the file is no program. */
static bool read_header(int fd, Elf32_Ehdr *ret) {
        struct stat st;

        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) &&
               pread(fd, ret, sizeof(*ret), 0) == sizeof(*ret) && memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0;
}

const char *tree_foreign_architecture(int tree_fd) {
        static const char *const programs[] = { "/bin/sh", "/usr/lib/systemd/systemd", "/lib/systemd/systemd" };
        _cleanup_close_ int own_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        Elf32_Ehdr own, foreign;

        if (!read_header(own_fd, &own))
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
                _cleanup_close_ int fd = open_in_root(tree_fd, programs[i], O_RDONLY | O_NONBLOCK | O_NOCTTY);

                if (!read_header(fd, &foreign))
                        continue;
                if (foreign.e_machine == own.e_machine && foreign.e_ident[EI_DATA] == own.e_ident[EI_DATA])
                        return NULL;
                for (size_t j = 0; j < ELEMENTSOF(names); j++)
                        if (names[j].machine == foreign.e_machine)
                                return names[j].name;
                return "an unknown processor";
        }
        return NULL;
}
