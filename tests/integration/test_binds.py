# SPDX-License-Identifier: GPL-3.0-or-later
"""bind and bind_ro: what of the host a job sees, whose it is there, and that no job decides what the next one gets."""

import os
import socket
import stat
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

import host
from lab import IMAGE, Site

pytestmark = pytest.mark.host_matters


def owner(path: Path) -> tuple[int, int]:
    """User and group."""
    found = path.lstat()
    return found.st_uid, found.st_gid


def prepare_fails(site: Site) -> str:
    """What prepare says; it must fail, and leave nothing."""
    done = site.call("prepare", IMAGE, "--id", "7")
    assert done.returncode == 2, str(done)
    assert site.jobs() == [] and "7" not in site.layers()
    return done.stderr


@contextmanager
def mounted(where: Path, *arguments: str) -> Iterator[Path]:
    """A file system as long as the caller is in the context."""
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", *arguments, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


@pytest.mark.parametrize("storage, private_users, boot",
                         [("overlay", True, "yes"), ("overlay", False, "no"), ("btrfs", True, "no")])
def test_what_a_job_sees(make_site, lab, tmp_path: Path, storage: str, private_users: bool, boot: str) -> None:
    """Directories, files, sockets and pipes; what is missing in the image is made, and belongs to the job's root."""
    for name in ("rw", "ro", "mine", "above"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    os.chown(tmp_path / "mine", 1234, 2345)
    os.chown(tmp_path / "ro" / "file", 1234, 2345)
    (tmp_path / "one").write_text("one")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "above" / "below").mkdir()
    site = make_site(storage=storage, private_users=private_users, boot=boot,
                     bind=[f"{tmp_path}/rw:/root/.cargo/registry", f"{tmp_path}/mine:/cache/shared",
                           f"{tmp_path}/one:/opt/new/er/one", f"{tmp_path}/pipe:/opt/pipe",
                           f"{tmp_path}/socket:/run/some/where/socket"],
                     bind_ro=[f"{tmp_path}/ro:/srv/back\\\\slash/ro", f"{tmp_path}/above"])
    with socket.socket(socket.AF_UNIX) as server, mounted(tmp_path / "above" / "below", "-t", "tmpfs", "none"):
        server.bind(str(tmp_path / "socket"))
        server.listen()
        (tmp_path / "above" / "below" / "mounted").touch()
        with site.started() as build:
            # made on the way, and what a mapped source's owner appears as
            made = "/root/.cargo /cache /opt/new /opt/new/er '/srv/back\\slash' /run/some /run/some/where"
            assert build.run_script(f"stat -c %u:%g:%a {made}").stdout.split() == [b"0:0:755"] * 7
            out = build.run_script("cat /root/.cargo/registry/file /cache/shared/file /opt/new/er/one "
                                   f"'/srv/back\\slash/ro/file' {tmp_path}/above/file").stdout
            assert out == b"rwmineoneroabove"
            seen = build.run_script("stat -c %u:%g /cache/shared '/srv/back\\slash/ro/file'").stdout.split()
            assert seen == ([b"0:0", b"1234:2345"] if private_users else [b"1234:2345"] * 2)
            build.run_script("touch /root/.cargo/beside /cache/shared/new; echo more >> /opt/new/er/one\n"
                             "test -p /opt/pipe; test -S /run/some/where/socket; touch /run/some/beside\n"
                             f"for path in '/srv/back\\slash/ro' {tmp_path}/above; do\n"
                             "  if echo x > \"$path\"/x; then exit 9; fi\n"
                             "done")
            connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/some/where/socket')"
            build.run_script(f'python3 -c "{connect}"')
            # through a mapped mount, only the source's own file system is seen
            below = build.run_script(f"ls {tmp_path}/above/below").stdout
            assert below == (b"" if private_users else b"mounted\n")
    assert owner(tmp_path / "mine" / "new") == ((1234, 2345) if private_users else (0, 0))
    assert (tmp_path / "one").read_text() == "onemore\n" and not (tmp_path / "ro" / "x").exists()
    assert not (lab.image(storage) / "cache" / "shared").exists()


def test_targets_behind_symlinks(make_site, tiny_root: Path, tmp_path: Path) -> None:
    """A symlink in the image leads where it leads in the container, never out of it; a target that cannot be is named."""
    image, canary = tiny_root / IMAGE, tmp_path / "canary"
    canary.mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("seen")
    (image / "absolute").symlink_to(f"{canary}/new")
    (image / "relative").symlink_to("../../../dangling/../dangling/deep")
    (image / "round").symlink_to("round")
    site = make_site(root=tiny_root, bind_ro=[f"{tmp_path}/source:/absolute/a", f"{tmp_path}/source:/relative"])
    with site.started() as build:
        assert build.run_script(f"cat {canary}/new/a/file /dangling/deep/file").stdout == b"seenseen"
        assert build.run_script(f"stat -c %u {canary} /dangling").stdout == b"0\n0\n"
    assert os.listdir(canary) == []

    for target, words in (("/round/x", "symbolic links"), ("/etc/passwd", "'/etc/passwd'"), ("/etc/passwd/x", "passwd/x")):
        site.settings["bind_ro"] = [f"{tmp_path}/source:{target}"]
        site.write_config()
        said = prepare_fails(site)
        assert words in said and f"cannot bind '{tmp_path}/source' (setting bind_ro)" in said, said
    site.settings["bind_ro"] = [f"{tmp_path}/source:/run/host"]
    site.write_config()
    said = prepare_fails(site)
    assert f"{site.config}:" in said and "cannot be mounted on '/run/host'" in said, said
    site.settings["bind_ro"] = [f"{tmp_path}/source/file:/usr"]
    site.write_config()
    assert f"'/usr' in image '{IMAGE}' is a directory, but the source is not" in prepare_fails(site)


def test_a_job_replaces_a_source(make_site, tmp_path: Path) -> None:
    """One job puts a symlink where the next one's source was: that gets nothing of the host, and its start says why."""
    shared, secret = tmp_path / "shared", tmp_path / "secret"
    (shared / "sub" / "deep").mkdir(parents=True)
    secret.mkdir()
    (secret / "deep").mkdir()
    first = make_site(bind=[f"{shared}:/shared"])
    # of another runner on this host: one configuration with both is refused
    second = [make_site(bind=[f"{shared}/sub:/sub"]), make_site(bind_ro=[f"{shared}/sub/deep:/sub"])]
    with first.started() as build:
        build.run_script(f"mv /shared/sub /shared/away && ln -s {secret} /shared/sub")
        for site in second:
            said = prepare_fails(site)
            assert f"'{shared}/sub' is a symlink, which is not followed" in said, said
        build.run_script("rm /shared/sub && mkfifo /shared/sub")
        assert "Not a directory" in prepare_fails(second[1])
        build.run_script("rm /shared/sub && mv /shared/away /shared/sub")
    with second[0].started() as build:
        build.run_script("touch /sub/mine")
    assert sorted(os.listdir(secret)) == ["deep"] and (shared / "sub" / "mine").exists()


def test_sources_in_reach_of_jobs(make_site, tmp_path: Path) -> None:
    """What jobs could put symlinks into is no source of other jobs, whichever file says so."""
    (tmp_path / "c" / "sub").mkdir(parents=True)
    site = make_site(bind=[f"{tmp_path}/c:/shared"], bind_ro=[f"{tmp_path}/c/sub:/sub"])
    refused = f"bind_ro: '{tmp_path}/c/sub' is below '{tmp_path}/c', which jobs may write to"
    assert f"{site.config}:" in (said := prepare_fails(site)) and refused in said
    assert refused in site.call("doctor").stdout

    # the configuration and a definition
    site.settings.update(bind=[f"{tmp_path}/c:/shared"], bind_ro=[])
    site.write_config()
    path = site.define(IMAGE, f"bind_ro: ['{tmp_path}/c/sub:/sub']")
    assert f"{path}: {refused}" in prepare_fails(site)

    # two definitions
    site.settings.update(bind=[])
    site.write_config()
    site.define("other", f"bind: ['{tmp_path}/c:/shared']")
    said = prepare_fails(site)
    assert f"'{tmp_path}/c/sub' is below '{tmp_path}/c', which jobs of image 'other' may write to" in said, said
    assert "jobs of image 'other' may write to" in site.call("chroot-run", IMAGE, "true").stderr
    assert "jobs of image 'other' may write to" in site.call("doctor").stdout
    site.define("other", "bind: broken")
    with site.started() as build:
        build.run_script("test -d /sub")


def test_sources_that_cannot_be(make_site, tmp_path: Path) -> None:
    """prepare and doctor name the bind, the reason and what to do."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "lower").mkdir()
    (tmp_path / "nowhere").symlink_to("none")
    site = make_site()
    table = [
        ("bind", "none", "there is no such file or directory on the host. Make it"),
        ("bind_ro", "link", f"'{tmp_path}/link' is a symlink, which is not followed, as a job could have made it. If it "
                            f"is yours, write '{tmp_path}/real' in the setting"),
        ("bind", "link/x", f"'{tmp_path}/link' is a symlink, which is not followed"),
        ("bind", "nowhere", f"'{tmp_path}/nowhere' is a symlink, which is not followed"),
        ("bind", "overlay", "its file system (overlay) cannot show files with the users of a job"),
        ("bind_ro", "overlay", "its file system (overlay) cannot show files with the users of a job"),
    ]
    with mounted(tmp_path / "overlay", "-t", "overlay", "none", "-o", f"lowerdir={tmp_path}/lower:{tmp_path}/real"):
        for setting, name, words in table:
            site.settings.update(bind=[], bind_ro=[])
            site.settings[setting] = [f"{tmp_path}/{name}:/srv"]
            site.write_config()
            message = f"cannot bind '{tmp_path}/{name}' (setting {setting}): {words}"
            assert message in prepare_fails(site)
            done = site.call("doctor")
            assert done.returncode == 1 and message in done.stdout, str(done)
        # without users of its own, a job needs no mapping
        site.settings["private_users"] = False
        site.write_config()
        with site.started() as build:
            build.run_script("test -d /srv")
        assert site.call("doctor").returncode == 0
        site.settings["private_users"] = True
        site.settings["bind_ro"] = []
        site.write_config()
        site.define("other", f"bind: ['{tmp_path}/none:/srv']")
        done = site.call("doctor")
        assert done.returncode == 0 and f"image 'other': cannot bind '{tmp_path}/none'" in done.stdout, str(done)


FUSE = "mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none /mnt 3<>/dev/fuse && umount -l /mnt && echo mounted"


@pytest.mark.parametrize("private_users", (True, False), ids=("userns", "hostids"))
def test_devices(make_site, tmp_path: Path, private_users: bool) -> None:
    """A job's root can use a device that is bound, wherever its node is, and change the mode and owner of its own node
    only; with bind_ro it is for reading."""
    node, fuse = tmp_path / "control", os.stat("/dev/fuse")
    os.mknod(node, 0o660 | stat.S_IFCHR, fuse.st_rdev)
    node.chmod(0o660)
    os.chown(node, 0, 1234)
    site = make_site(private_users=private_users, network="none",
                     bind=["/dev/fuse", "/dev/net/tun", f"{node}:/dev/of/mine"],
                     bind_ro=["/dev/loop-control:/srv/control", f"{node}:/srv/read"])
    with site.started() as build:
        for path in ("/dev/fuse", "/dev/net/tun", "/dev/of/mine"):
            assert build.run_script(f"exec 3<>{path} && echo opened").stdout == b"opened\n"
        assert build.run_script(FUSE).stdout == b"mounted\n"
        assert build.run_script("exec 3</srv/control && echo opened").stdout == b"opened\n"
        if private_users or host.has_systemd():
            call = build.start_script("exec 3>/srv/control && echo opened")
            assert call.wait() and b"opened" not in call.stdout, call.output
        build.run_script("chmod 600 /dev/fuse /dev/of/mine; chown 7:7 /dev/of/mine")
        if private_users:
            assert build.run_script("stat -c %u:%g:%a /dev/net/tun").stdout.startswith(b"0:0:6")
    assert os.stat("/dev/fuse").st_mode == fuse.st_mode and owner(node) == (0, 1234)
    assert stat.S_IMODE(node.stat().st_mode) == 0o660


def test_smuggled_devices(make_site, tmp_path: Path) -> None:
    """A device that comes with a bound directory cannot be opened."""
    os.mknod(tmp_path / "smuggled", 0o666 | stat.S_IFCHR, os.stat("/dev/loop-control").st_rdev)
    for private_users in (True, False):
        if not private_users and not host.has_systemd():
            continue  # nobody there forbids it
        site = make_site(private_users=private_users, bind=[f"{tmp_path}:/srv/host"])
        with site.started() as build:
            call = build.start_script("exec 3<>/srv/host/smuggled && echo opened")
            assert call.wait() and b"opened" not in call.stdout, call.output
