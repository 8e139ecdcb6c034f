# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of images: settings of their own for machines, and errors that say where and what."""

import json
from pathlib import Path

import pytest

from lab import IMAGE, Site

BAD = [
    ("- hosts: all\n  vars:\n    nspawn_runner_memory_maxx: 1G\n", "3:5", "did you mean 'nspawn_runner_memory_max'?"),
    ("- hosts: all\n  vars:\n    nspawn_runner_memory_max: lots\n", "3:31", "'nspawn_runner_memory_max' must be"),
    ("- hosts: all\n  vars:\n    nspawn_runner_root_dir: /x\n", "3:5", "configuration file only"),
    ("- hosts: all\n  vars:\n    nspawn_runner_oci: a\n    nspawn_runner_from: b\n", "4:5", "both say"),
    ("- hosts: all\n tasks: x\n", "2:2", ""),
    ("nspawn_runner_boot: no\n", "1:1", "list of plays"),
    ("- hosts: all\n  vars:\n    <<: {nspawn_runner_private_users: yes}\n", "3:5", "'<<'"),
    ("", "1:1", "list of plays"),
]


@pytest.mark.parametrize("text, place, words", BAD)
def test_errors(site: Site, text: str, place: str, words: str) -> None:
    """No job starts with half of what the administrator meant; the message has file, line and column."""
    path = site.definitions / f"{IMAGE}.yaml"
    path.write_text(text)
    done = site.call("prepare", IMAGE, "--id", "7")
    assert done.returncode == 2 and f"{path}:{place}: " in done.stderr and words in done.stderr, str(done)
    assert site.jobs() == [] and site.layers() == []

    # other images, and the stages that do not need it, are not affected
    assert site.call("gitlab-config").returncode == 0
    path.rename(site.definitions / "other.yaml")
    with site.started() as build:
        assert build.run_script("echo up").stdout == b"up\n"


def test_unreadable(site: Site) -> None:
    """A symlink to nowhere, to a directory or to a device is an error and not an image without definition."""
    path = site.definitions / f"{IMAGE}.yml"
    for target, words in (("nowhere", "No such file"), ("/", "directory"), ("/dev/zero", "no regular file")):
        path.symlink_to(target)
        done = site.call("prepare", IMAGE, "--id", "7")
        assert done.returncode == 2 and str(path) in done.stderr and words in done.stderr, str(done)
        path.unlink()


def machine(site: Site) -> dict:
    """The plan of the only job's machine."""
    return json.loads((site.runtime_dir / "jobs" / site.job_id() / "machine.json").read_text())


def listed(site: Site) -> dict:
    """What chroot-list says of the image."""
    (row,) = [row for row in json.loads(site.call("chroot-list", "--json").stdout)["images"] if row["name"] == IMAGE]
    return row


@pytest.mark.host_matters
def test_settings(site: Site, tmp_path: Path) -> None:
    """The definition's settings come before the configuration's, for machines of this image; the rest stays."""
    (tmp_path / "file").write_text("of the host\n")
    tmp_path.chmod(0o755)
    site.settings.update(memory_max="40%", tasks_max=5000, kill_timeout="7s")
    site.write_config()
    site.define(IMAGE, "storage: tmpfs", "tmpfs_size: 64M", "tasks_max: 4711", "shell: /bin/sh",
                f"bind_ro: ['{tmp_path}:/mnt']")
    with site.started() as build:
        assert build.run_script("echo ${BASH_VERSION:-plain}; cat /mnt/file\n",
                                raw=True).stdout == b"plain\nof the host\n"
        assert build.run_script("df -m / | tail -n 1 | awk '{ print $2 }'\n", raw=True).stdout == b"64\n"
        planned = machine(site)
        assert planned["storage"] == "tmpfs" and planned["tasks_max"] == 4711, planned
        assert planned["kill_timeout"] == 7_000_000, planned
        assert listed(site)["storage"] == "tmpfs"

    (site.definitions / f"{IMAGE}.yaml").unlink()
    with site.started():
        planned = machine(site)
        assert planned["storage"] == "overlay" and planned["tasks_max"] == 5000, planned


@pytest.mark.host_matters
def test_boot(make_site) -> None:
    """An image of its own boot mode, either way."""
    for configured, defined, init in (("no", "yes", b"systemd"), ("yes", "no", b"nspawn-runner-a")):
        site = make_site(boot=configured)
        site.define(IMAGE, f"boot: {defined}")
        with site.started() as build:
            assert build.run_script("cat /proc/1/comm").stdout.strip() == init
            assert listed(site)["boot"] == defined
    site.define(IMAGE, "boot: perhaps")
    row = listed(site)
    assert (row["boot"], row["storage"]) == (None, None), "jobs of it fail"


def test_boot_without_systemd(make_site, tiny_root) -> None:
    """The message also thinks of the definition."""
    site = make_site(root=tiny_root)
    site.define(IMAGE, "boot: yes")
    done = site.call("prepare", IMAGE, "--id", "7")
    assert done.returncode == 1 and "its definition or the configuration says 'boot: yes'" in done.stderr, str(done)


def test_network_and_users(site: Site) -> None:
    """Settings that keep jobs apart: one image may be stricter than the configuration, or laxer."""
    site.settings["private_users"] = False
    site.write_config()
    site.define(IMAGE, "network: none", "private_users: yes")
    with site.started() as build:
        assert build.run_script("ls /sys/class/net").stdout == b"lo\n"
        uid_map = build.run_script("cat /proc/self/uid_map").stdout.split()
        assert uid_map[0] == b"0" and uid_map[1] != b"0", uid_map


def test_beside_the_image(make_site, tiny_root) -> None:
    """A definition in the image root counts if there is none in definitions_dir."""
    site = make_site(root=tiny_root)
    beside = tiny_root / f"{IMAGE}.yaml"
    beside.write_text("- vars: {nspawn_runner_tasks_max: 1001}\n")
    with site.started():
        assert machine(site)["tasks_max"] == 1001
    site.define(IMAGE, "tasks_max: 1002")
    with site.started():
        assert machine(site)["tasks_max"] == 1002
    assert site.call("chroot-list").returncode == 0
    beside.unlink()
