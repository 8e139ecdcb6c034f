# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry distributes images to a fleet: pushed by one host, pulled by another, and only what changed moves. Archives."""

import json
import os
import signal
import subprocess
from pathlib import Path

import host
from lab import IMAGE, Lab, Site
from ociimage import Registry
from simulation.jobspec import Job


def call(registry: Registry, site: Site, *arguments: str, credentials: bool = True):
    """Runs a command that can talk to the registry."""
    return site.call(*arguments, env=registry.environment(credentials))


def layers(registry: Registry, reference: str) -> list[tuple[str, int, str]]:
    """Digest, size and type of each."""
    raw = subprocess.run(["skopeo", "inspect", "--raw", f"docker://{reference}"], check=True, capture_output=True,
                         env={**os.environ, **registry.environment()}).stdout
    return [(layer["digest"], layer["size"], layer["mediaType"]) for layer in json.loads(raw)["layers"]]


def change(site: Site, script: str) -> None:
    """Publishes a next generation."""
    subprocess.run(site.argv("chroot-login", IMAGE, "--publish"), input=script, text=True, capture_output=True, check=True)


def play(site: Site, image: str, script: str) -> str:
    """What a script prints in a job."""
    with site.started(Job(image=image)) as build:
        return build.run_script(script, raw=True).stdout.decode()


def test_fleet(make_site, lab: Lab, tiny_root: Path, registry: Registry) -> None:
    """Two hosts with a registry between them."""
    one = make_site(root=tiny_root, shell="/bin/sh")
    reference = f"{registry.host}/fleet/tiny:1"
    change(one, "echo one > /text; head -c 3000000 /dev/urandom > /large; chown 5:6 /large; touch /gone; ln -s text /link")
    result = call(registry, one, "chroot-push", IMAGE, reference)
    assert result.returncode == 0, result
    assert f"nspawn_runner_oci: {reference}" in result.stderr
    first = layers(registry, reference)
    assert len(first) == 1 and first[0][1] > 3000000 and first[0][2].endswith("+zstd"), first

    root = lab.base / "second"
    root.mkdir()
    try:
        two = make_site(root=root, shell="/bin/sh")
        two.define("copy", f"oci: {reference}")
        result = call(registry, two, "chroot-create", "copy")
        assert result.returncode == 0, result
        assert play(two, "copy", "cat /link; stat -c %u:%g /large; ls /gone") == "one\n5:6\n/gone\n"

        change(one, "echo two > /text; rm /gone; mkdir /new")
        uploads = registry.count("PATCH") + registry.count("PUT")
        result = call(registry, one, "chroot-push", IMAGE, reference)
        assert result.returncode == 0, result
        second = layers(registry, reference)
        assert second[0] == first[0] and len(second) == 2 and second[1][1] < 100000, second
        # a layer, the configuration and the manifest
        assert registry.count("PUT") + registry.count("PATCH") - uploads <= 5
        result = call(registry, two, "chroot-maintenance", "copy")
        assert result.returncode == 0, result
        assert play(two, "copy", "cat /link; test -e /gone || ls -d /new") == "two\n/new\n"

        # as an image of the registry, before a job asks for it
        result = call(registry, two, "chroot-pull", reference)
        assert result.returncode == 0 and "sha256:" in result.stderr, result
        assert play(two, reference, "cat /text") == "two\n"
    finally:
        host.remove_tree(root)

    # What is kept for the next push is of no use: all begins anew.
    index = tiny_root / ".pushed" / IMAGE / "layout" / "index.json"
    index.write_text("{")
    change(one, "echo three > /text")
    result = call(registry, one, "chroot-push", IMAGE, reference)
    assert result.returncode == 0 and "beginning anew" in result.stderr, result
    assert len(layers(registry, reference)) == 1
    assert sorted(path.name for path in (tiny_root / ".pushed" / IMAGE).iterdir()) == ["bundle", "layout"]
    # Killed before there was anything to add to.
    (tiny_root / ".pushed" / IMAGE / "bundle" / "umoci.json").unlink()
    result = call(registry, one, "chroot-push", IMAGE, reference)
    assert result.returncode == 0 and len(layers(registry, reference)) == 1, result


def test_refused(make_site, tiny_root: Path, registry: Registry, tmp_path: Path) -> None:
    """What went wrong is said in our words, and skopeo's follow."""
    site = make_site(root=tiny_root)
    result = call(registry, site, "chroot-push", IMAGE, f"{registry.host}/fleet/refused:1", credentials=False)
    error = result.stderr
    assert result.returncode == 1 and f"registry {registry.host} wants other credentials" in error, result
    assert "unauthorized" in error or "authentication required" in error, result
    result = call(registry, site, "chroot-push", IMAGE, "127.0.0.1:1/fleet/refused:1")
    assert result.returncode == 1 and "registry 127.0.0.1:1 cannot be reached" in result.stderr, result
    result = call(registry, site, "chroot-pull", "127.0.0.1:1/fleet/refused:1")
    assert result.returncode == 1 and "registry 127.0.0.1:1 cannot be reached" in result.stderr, result
    assert call(registry, site, "chroot-push", "nothing", "127.0.0.1:1/a:1").returncode == 1
    assert call(registry, site, "chroot-push", IMAGE, "no-registry").returncode == 2
    assert call(registry, site, "chroot-export", IMAGE, str(tmp_path / "x.zip")).returncode == 2


def test_export(make_site, tiny_root: Path, tmp_path: Path) -> None:
    """Archives have owners and links, and images can be made of them again."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    change(site, "echo text > /text; chown 5:6 /text; ln /text /same")
    for ending, source in ((".tar.gz", "tarball: {}"), (".oci.tar", "oci: oci-archive:{}")):
        path = tmp_path / f"exported{ending}"
        result = site.call("chroot-export", IMAGE, str(path))
        assert result.returncode == 0, result
        assert os.stat(path).st_mode & 0o777 == 0o600
        result = site.call("chroot-export", IMAGE, str(path))
        assert result.returncode == 1 and "exists already" in result.stderr, result
        site.define("again", source.format(path))
        result = site.call("chroot-create", "again")
        assert result.returncode == 0, result
        assert play(site, "again", "cat /same; stat -c %u:%g:%h /text") == "text\n5:6:2\n"
        assert site.call("chroot-remove", "--yes", "again").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("exported")) == \
        ["exported.oci.tar", "exported.tar.gz"]
    assert not list((tiny_root / ".pushed").iterdir()), "nothing is kept of exports"


def test_export_killed(make_site, tiny_root: Path, tmp_path: Path) -> None:
    """A killed export leaves nothing beside the file that it was to be, and gc removes the rest; also what was pushed of an
    image that is gone, and the directory where images are made."""
    site, pushed = make_site(root=tiny_root), tiny_root / ".pushed"
    inject = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=sendfile", "-e", "inject=sendfile:signal=KILL:when=1"]
    done = subprocess.run([*inject, *site.argv("chroot-export", IMAGE, str(tmp_path / "x.tar"))], check=False)
    assert done.returncode == -signal.SIGKILL and not list(tmp_path.iterdir())
    for name in (IMAGE, "gone"):
        (pushed / name / "layout").mkdir(parents=True)
    assert len(list(pushed.iterdir())) == 3
    (tiny_root / ".staging").mkdir()
    done = site.call("gc")
    assert done.returncode == 0 and ".export-" in done.stderr and "gone" in done.stderr, str(done)
    assert [path.name for path in pushed.iterdir()] == [IMAGE] and not (tiny_root / ".staging").exists()
