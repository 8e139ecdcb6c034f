/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The file system that something is on: how much room there is, and its name. `doctor` and container/bind.c use the
 * name in messages; what makes room on the disk asks how much there is (maintain/space.c). Nothing may be decided by
 * the name. */

#include "base/file-system.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/macro.h"

const char *file_system_name(int fd, char buffer[static FILE_SYSTEM_NAME_MAX]) {
        static const struct {
                unsigned magic;
                const char *name;
        } table[] = {
                { BTRFS_SUPER_MAGIC, "btrfs" },     { EXT4_SUPER_MAGIC, "ext4" },
                { XFS_SUPER_MAGIC, "xfs" },         { TMPFS_MAGIC, "tmpfs" },
                { RAMFS_MAGIC, "ramfs" },           { OVERLAYFS_SUPER_MAGIC, "overlay" },
                { F2FS_SUPER_MAGIC, "f2fs" },       { NFS_SUPER_MAGIC, "nfs" },
                { FUSE_SUPER_MAGIC, "fuse" },       { PROC_SUPER_MAGIC, "proc" },
                { SYSFS_MAGIC, "sysfs" },           { CGROUP_SUPER_MAGIC, "cgroup" },
                { CGROUP2_SUPER_MAGIC, "cgroup2" }, { SMB2_SUPER_MAGIC, "smb" },
                { CIFS_SUPER_MAGIC, "cifs" },       { V9FS_MAGIC, "9p" },
                { CEPH_SUPER_MAGIC, "ceph" },       { MSDOS_SUPER_MAGIC, "vfat" },
                { SQUASHFS_MAGIC, "squashfs" },     { ISOFS_SUPER_MAGIC, "iso9660" },
                { 0x2fc12fc1 /* zfs */, "zfs" },    { 0xca451a4e /* bcachefs */, "bcachefs" },
        };
        struct statfs s;

        if (fstatfs(fd, &s) < 0)
                return "unknown";
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if ((unsigned) s.f_type == table[i].magic)
                        return table[i].name;
        snprintf(buffer, FILE_SYSTEM_NAME_MAX, "file system 0x%x", (unsigned) s.f_type);
        return buffer;
}

int file_system_space(int fd, FileSystemSpace *ret) {
        struct statvfs s;

        if (fstatvfs(fd, &s) < 0)
                return -errno;
        *ret = (FileSystemSpace){
                .total_bytes = (uint64_t) s.f_blocks * s.f_frsize,
                .free_bytes = (uint64_t) s.f_bavail * s.f_frsize,
                .total_files = s.f_files,
                .free_files = s.f_favail,
        };
        return 0;
}
