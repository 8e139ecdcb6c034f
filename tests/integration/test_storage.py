# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage drivers: where a job's files go, that the image never changes, that nothing of a layer remains."""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import host
from lab import IMAGE, STORAGES, Lab, Site
from simulation.jobspec import Job

pytestmark = pytest.mark.host_matters

KINDS = list(itertools.product(STORAGES, (True, False)))

# Everything that could reach through to an image: contents, owners, modes, times, links, xattrs, removal, renaming.
VANDALISM = """\
echo changed >> /etc/os-release; truncate -s 0 /etc/debian_version
rm -rf /usr/share/doc; mv /usr/share/perl5 /usr/share/other
chown -R 1000:1000 /etc; chmod -R u+s,o+w /usr/bin; touch -d '2001-01-01' /etc/* /usr/bin/*
ln /etc/passwd /etc/passwd.link; ln -sf /nowhere /etc/hostname; mkdir /opt/new; rmdir /srv /mnt || :
echo in-place > /etc/issue; head -c 10 /usr/bin/id >> /usr/bin/ls
python3 - <<'END'
import os
for name in ("user.job", "trusted.job"):
    try:
        os.setxattr("/etc/shadow", name, b"x")
    except OSError:
        pass
os.utime("/", (1, 1))
with open("/etc/group", "r+b") as file:
    import mmap
    mmap.mmap(file.fileno(), 0)[0:1] = b"X"
END
sync"""


@pytest.mark.parametrize("storage, private_users", KINDS)
def test_image_is_never_changed(make_site, lab: Lab, storage: str, private_users: bool) -> None:
    """Whatever a job does as root, the image keeps every byte, owner, time and attribute."""
    image = lab.image(storage)
    before = host.fingerprint(image)
    site = make_site(storage=storage, private_users=private_users)
    result = site.run(Job([VANDALISM]))
    assert "Permission denied" not in result.log
    assert host.changes(before, host.fingerprint(image)) == []
    assert result.state == "success", result.log


@pytest.mark.parametrize("storage, private_users", KINDS)
def test_owners_on_the_host(make_site, storage: str, private_users: bool) -> None:
    """What a job makes as root belongs to its UID range on the host, or to root without a user namespace."""
    site = make_site(storage=storage, private_users=private_users)
    with site.started() as build:
        build.run_script("touch /root/by-root; touch /root/by-1000; chown 1000:1001 /root/by-1000")
        assert build.run_script("stat -c %u:%g /root/by-root /root/by-1000 /etc/passwd /bin/ls /root /").stdout == \
            b"0:0\n1000:1001\n0:0\n0:0\n0:0\n0:0\n"
        assert build.run_script("find / -xdev -uid 65534 -not -path /proc -not -path /sys").stdout == b""
        pid = site.init_pid()
        base = int(host.read(f"/proc/{pid}/uid_map").split()[1])
        assert (base > 0) == private_users
        root = f"/proc/{pid}/root/root"
        for name, owner in (("by-root", (base, base)), ("by-1000", (base + 1000, base + 1001))):
            info = os.stat(f"{root}/{name}")
            assert (info.st_uid, info.st_gid) == owner
        if storage == "overlay":
            on_disk = [path for path in (site.root / ".layers").rglob("by-root")]
            assert [path.stat().st_uid for path in on_disk] == [base]


@pytest.mark.parametrize("storage", STORAGES)
def test_where_files_go(make_site, storage: str) -> None:
    """overlay: a directory in .layers; btrfs: a subvolume there; tmpfs: nothing on disk."""
    site = make_site(storage=storage)
    with site.started() as build:
        build.run_script("head -c 100000 /dev/zero > /root/data; sync")
        # What the image has does not count, also where the layer is a snapshot of it, which takes long to look through.
        disk = json.loads(site.call("status", "--json").stdout)["jobs"][0]["disk"]
        assert disk < 10_000_000 and (disk >= 100_000 or storage == "btrfs"), disk
        found = [path for path in (site.root / ".layers").rglob("root/data")]
        assert bool(found) == (storage != "tmpfs"), found
        if storage == "btrfs":
            tops = [path for path in found[0].parents if path.stat().st_ino == 256 and ".layers" in path.parts]
            assert tops, found
        kind = build.run_script("stat -f -c %T /").stdout.decode().strip()
        assert kind == ("btrfs" if storage == "btrfs" else "overlayfs")


@pytest.mark.parametrize("place, expected", (("overlay", "overlayfs"), ("btrfs", "btrfs")))
def test_auto(make_site, lab: Lab, place: str, expected: str) -> None:
    """storage: auto looks at the image root's file system."""
    with make_site(root=lab.root(place), storage="auto").started() as build:
        assert build.run_script("stat -f -c %T /").stdout.decode().strip() == expected


@pytest.mark.parametrize("storage", ("overlay", "tmpfs"))
def test_overlay_on_btrfs(make_site, lab: Lab, storage: str) -> None:
    """The other drivers work on btrfs too, where the image is a subvolume."""
    with make_site(root=lab.root("btrfs"), storage=storage).started() as build:
        assert build.run_script("touch /root/x; rm /etc/issue; stat -f -c %T /").stdout == b"overlayfs\n"


def test_btrfs_elsewhere(make_site) -> None:
    """storage: btrfs on another file system is an error of the set-up, which the message names."""
    site = make_site(storage="btrfs", root=make_site().root)
    result = site.run(Job())
    assert result.failure_reason == "runner_system_failure" and "btrfs" in result.log, str(result)


@pytest.mark.parametrize("private_users", (True, False))
def test_plain_directory_on_btrfs(make_site, lab: Lab, private_users: bool) -> None:
    """An image that is no subvolume is reflinked."""
    root = lab.root("btrfs") / "plain-images"
    root.mkdir()
    try:
        subprocess.run(["cp", "-a", lab.tiny_image(), root / IMAGE], check=True)
        before = host.fingerprint(root / IMAGE, content=True)
        site = make_site(root=root, storage="btrfs", private_users=private_users)
        with site.started() as build:
            build.run_script("echo x >> /etc/passwd; touch /root/x; ln -s a /root/l; chown 7:7 /root/x")
            assert build.run_script("stat -c %u:%g /root/x /bin/bash").stdout == b"7:7\n0:0\n"
        assert host.changes(before, host.fingerprint(root / IMAGE, content=True)) == []
    finally:
        host.remove_tree(root)


MAKE_SUBVOLUME = """\
python3 - <<'END'
import fcntl, os, struct
for parent in ("/root", "/root/one"):
    fd = os.open(parent, os.O_RDONLY)
    name = b"one" if parent == "/root" else b"two"
    fcntl.ioctl(fd, 0x5000940e, bytearray(struct.pack("q4088s", 0, name)))  # BTRFS_IOC_SUBVOL_CREATE
    open(parent + "/" + name.decode() + "/file", "w").write("x")
END"""


@pytest.mark.parametrize("private_users", (True, False))
def test_nested_subvolumes(make_site, private_users: bool) -> None:
    """Subvolumes that a job makes inside its root, also inside each other, go with it."""
    site = make_site(storage="btrfs", private_users=private_users)
    with site.started() as build:
        build.run_script(MAKE_SUBVOLUME)
        assert build.run_script("cat /root/one/two/file").stdout == b"x"
    listing = subprocess.run(["btrfs", "subvolume", "list", site.root], check=True, capture_output=True,
                             text=True).stdout
    assert ".layers/" not in listing and "/one" not in listing


def test_tmpfs_size(make_site) -> None:
    """A job cannot write more than tmpfs_size; then it gets "No space left"."""
    site = make_site(storage="tmpfs", tmpfs_size="16M")
    with site.started() as build:
        call = build.start_script("head -c 12M /dev/zero > /root/fits; head -c 12M /dev/zero > /root/too-much")
        assert call.wait() and call.returncode == 1 and "No space left" in call.output
        assert build.run_script("stat -c %s /root/fits").stdout == b"12582912\n"


def test_tmp_is_big(any_boot_site: Site) -> None:
    """/tmp is no small tmpfs: what fits on the disk fits into it."""
    with any_boot_site.started() as build:
        assert build.run_script("stat -f -c %T /tmp").stdout == b"overlayfs\n"


def test_odd_files(any_site: Site) -> None:
    """Deep, many, unreadable, immutable-looking and strangely named files: cleanup removes them all."""
    script = r"""mkdir -p /root/d/$'new\nline'/"*"/' '; cd /root/d; mkdir -p $(printf 'x/%.0s' {1..300})
cd /root; mkdir closed; touch closed/f; chmod 000 closed; mkfifo fifo; touch -- -rf; ln -s /etc/passwd link
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/root/socket")'; touch "$(printf '\xff\xfe')" """
    with any_site.started() as build:
        build.run_script(script)


def test_immutable_files(make_site) -> None:
    """chattr +i needs a capability that containers do not have; if it works all the same, cleanup copes."""
    for storage in ("overlay", "btrfs"):
        with make_site(storage=storage, private_users=False).started() as build:
            build.run_script("touch /root/f; chattr +i /root/f 2>/dev/null || echo refused")


def test_image_with_special_files(make_site, tiny_root: Path) -> None:
    """Device nodes, set-uid files, capabilities and hard links of an image look inside as outside."""
    image = tiny_root / IMAGE
    shutil.copy2(image / "usr/bin/id", image / "usr/bin/setuid-id")
    os.chmod(image / "usr/bin/setuid-id", 0o4755)
    os.link(image / "usr/bin/setuid-id", image / "usr/bin/linked-id")
    os.chown(image / "etc/group", 7, 8)
    before = host.fingerprint(image, content=True)
    for private_users in (True, False):
        with make_site(root=tiny_root, private_users=private_users).started() as build:
            out = build.run_script("stat -c '%a %h %u %g' /usr/bin/linked-id /etc/group").stdout.decode()
            assert out.splitlines() == ["4755 2 0 0", "644 1 7 8"]
            build.run_script("echo x >> /usr/bin/linked-id; chown 0:0 /etc/group")
        assert host.changes(before, host.fingerprint(image, content=True)) == []


def test_root_on_tmpfs_in_overlay(make_site, tiny_root: Path) -> None:
    """A job can mount overlayfs on a tmpfs of its own (containers inside jobs)."""
    script = """mkdir -p /t /m; mount -t tmpfs t /t; mkdir /t/u /t/w
mount -t overlay -o lowerdir=/etc,upperdir=/t/u,workdir=/t/w o /m
test -e /m/passwd; touch /m/new; test -e /t/u/new; echo mounted"""
    with make_site().started() as build:
        assert build.run_script(script).stdout == b"mounted\n"
