/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#define FILE_SYSTEM_NAME_MAX 32

/* What people call the kind of file system that @fd is on, such as "ext4": static, or in @buffer where only its number is
 * known. */
const char *file_system_name(int fd, char buffer[static FILE_SYSTEM_NAME_MAX]);
