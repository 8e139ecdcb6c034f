#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GitLab's scripts call `gitlab-runner` for inside of a container: cache-extractor and cache-archiver with a local
cache. Writes and reads zip archives as those do. For images that have Python and no gitlab-runner."""

import argparse
import os
import stat
import sys
import time
import zipfile
from pathlib import Path


def files_of(patterns: list[str]) -> list[str]:
    """The files below those paths or globs, as they are seen from the project's directory."""
    found: set[str] = set()
    for pattern in patterns:
        for path in Path(".").glob(pattern):
            found.add(str(path))
            if path.is_dir() and not path.is_symlink():
                for top, directories, names in os.walk(path):
                    found.update(os.path.join(top, name) for name in directories + names)
    return sorted(found)


def add(archive: zipfile.ZipFile, name: str) -> None:
    """Adds one entry with its mode; a symlink as such."""
    status = os.lstat(name)
    date = max(time.localtime(status.st_mtime)[:6], (1980, 1, 1, 0, 0, 0))
    info = zipfile.ZipInfo(name + ("/" if stat.S_ISDIR(status.st_mode) else ""), date)
    info.external_attr = status.st_mode << 16
    if stat.S_ISLNK(status.st_mode):
        archive.writestr(info, os.readlink(name))
    elif stat.S_ISDIR(status.st_mode):
        archive.writestr(info, b"")
    elif stat.S_ISREG(status.st_mode):
        info.compress_type = zipfile.ZIP_DEFLATED
        with open(name, "rb") as source, archive.open(info, "w") as target:
            while data := source.read(1 << 20):
                target.write(data)


def save(options: argparse.Namespace) -> int:
    """cache-archiver: a temporary file beside the archive, which then takes its name."""
    path = Path(options.file)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"archive_{os.getpid()}")
    with zipfile.ZipFile(temporary, "w", compresslevel=6, allowZip64=True) as archive:
        for name in files_of(options.path):
            add(archive, name)
    temporary.rename(path)
    print(f"{', '.join(options.path)}: saved to {path}")
    return 0


def restore(options: argparse.Namespace) -> int:
    """cache-extractor: into the present directory."""
    if not os.path.exists(options.file):
        print(f"FATAL: file does not exist: {options.file}")
        return 1
    with zipfile.ZipFile(options.file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                os.symlink(archive.read(info).decode(), info.filename)
                continue
            archive.extract(info)
            os.chmod(info.filename, stat.S_IMODE(mode))
    return 0


def main() -> int:
    """The command line as GitLab's scripts have it."""
    if sys.argv[1:] == ["--version"]:
        print("Version: simulated")
        return 0
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("cache-archiver", "cache-extractor"))
    parser.add_argument("--file", required=True)
    parser.add_argument("--timeout")
    parser.add_argument("--path", action="append", default=[])
    options = parser.parse_args()
    return save(options) if options.command == "cache-archiver" else restore(options)


if __name__ == "__main__":
    sys.exit(main())
