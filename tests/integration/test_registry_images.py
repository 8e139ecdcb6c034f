# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of registries in jobs: fetched once, as `pull` says, within the cache's limits; run as they are configured."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import ociimage
from lab import IMAGE, Lab, Site
from pace import wait_until
from ociimage import Registry, Tar
from simulation.build import Build
from simulation.jobspec import Job

HANGS = b"#!/bin/busybox ash\nwhile :; do /bin/busybox sleep 1; done\n"
# For shells that are not bash.
POSIX = [("FF_POSIXLY_CORRECT_ESCAPES", "true")]


@pytest.fixture(name="push")
def fixture_push(registry: Registry, tmp_path: Path) -> Callable[..., str]:
    """Puts an image made of busybox into the registry, with a file `/text` in it; returns its reference."""
    def push(name: str, text: str = "", more: Callable[[Tar], Any] | None = None, **config: Any) -> str:
        def change(tar: Tar) -> None:
            tar.add("text", text.encode())
            if more:
                more(tar)

        layout = tmp_path / f"layout-{time.monotonic_ns()}"
        ociimage.busybox_layout(layout, change, **config)
        return registry.push(layout, name)
    return push


@pytest.fixture(name="fetching")
def fixture_fetching(make_site: Callable[..., Site], tiny_root: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites that fetch, with an empty cache."""
    def make(**settings: Any) -> Site:
        return make_site(root=tiny_root, **{"pull": "if-not-present", "shell": "/bin/sh", **settings})

    yield make


def cached(site: Site) -> list[str]:
    """The directories of the cache."""
    path = site.root / ".oci"
    return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []


@contextmanager
def meanwhile(site: Site) -> Iterator[None]:
    """While one job runs, others leave something: its things."""
    site.traces = list  # type: ignore[method-assign]
    try:
        yield
    finally:
        del site.traces


def play(site: Site, image: str, script: str = "cat /text") -> str:
    """What a script prints in a job of that image."""
    with site.started(Job(image=image)) as build:
        return build.run_script(script, raw=True).stdout.decode()


def refused(site: Site, image: str) -> Any:
    """A job that must fail before its script."""
    result = site.run(Job(image=image))
    assert result.state == "failed" and "get_sources" not in result.names(), str(result)
    return result



def test_helper_for_large_files(fetching, push, tiny_root: Path) -> None:
    """GitLab Runner's own steps of an image with git, bash and certificates, but without git-lfs, run in a helper that has it, as
    with Docker; not in one that has none, and not if the image has its own. Without any helper, nobody complains."""
    def complete(tar: Tar) -> None:
        tar.add("bin/git", b"#!/bin/sh\n", mode=0o755).hardlink("bin/bash", "bin/busybox", mode=0o755)
        tar.directory("etc/ssl").add("etc/ssl/cert.pem", b"one\n")

    def with_large(tar: Tar) -> None:
        complete(tar)
        tar.add("bin/git-lfs", b"#!/bin/sh\n", mode=0o755)

    site, helper = fetching(), tiny_root / "helper"
    without, complete_image = push("without", "image", complete), push("with", "image", with_large)

    def where(image: str) -> str:
        with site.started(Job(image=image)) as build:
            assert build.run_script("cat /text", raw=True).stdout == b"image"
            call = build.run_script("cat /text", "get_sources", raw=True)
            assert b"elper" not in call.stderr, str(call)
            return call.stdout.decode()

    assert where(without) == "image"
    subprocess.run(["cp", "-a", tiny_root / IMAGE, helper], check=True)
    (helper / "text").write_text("helper")
    assert where(without) == "image"
    (helper / "usr/bin/git-lfs").write_text("#!/bin/sh\n")
    (helper / "usr/bin/git-lfs").chmod(0o755)
    assert where(without) == "helper"
    assert where(complete_image) == "image"
    # An image of this host: what git needs may be in it.
    tree = site.root / ".oci" / without.replace("/", "%")
    subprocess.run(["cp", "-a", tree if tree.exists() else f"{tree}:latest", tiny_root / "local"], check=True)
    assert where("local") == "image"


def test_never(make_site, tiny_root: Path, registry: Registry, push) -> None:
    """By default nothing is fetched: the job is at fault, and knows why."""
    image = push("group/never:1", "one")
    before = registry.count("/v2/")
    result = refused(make_site(root=tiny_root), image)
    assert result.failure_reason == "script_failure", str(result)
    assert "the setting 'pull' forbids fetching it" in result.log, result.log
    assert f"'nspawn-runner chroot-pull {image}' fetches it; with 'pull: if-not-present'" in result.log, result.log
    assert registry.count("/v2/") == before and not (tiny_root / ".oci").exists()


@pytest.mark.host_matters
def test_if_not_present(fetching, registry: Registry, push) -> None:
    """Fetched by the first job, with progress in its log; the second one does not need the registry."""
    image = push("group/sub/present:1", "one", lambda tar: tar.add("of-another", uid=300000))
    site = fetching()
    result = site.run(Job(["cat /text"], image=image, variables=POSIX))
    assert f"Fetching image {image}" in result.log and "Copying blob" in result.log, result.log
    assert "1 of its files belong" in result.log and "'of-another' belongs to 300000:0" in result.log, result.log
    push("group/sub/present:1", "two")
    before = registry.count("/v2/")
    assert play(site, image) == "one"
    assert registry.count("/v2/") == before
    site.settings["pull"] = "never"
    site.write_config()
    assert play(site, image) == "one", "never means that nothing is fetched, and this is here"


def test_without_images_of_this_host(make_site, push, tmp_path: Path) -> None:
    """A host that has no directory of images yet gets it by the first fetch."""
    image, root = push("group/first:1", "one"), tmp_path / "parent/images"
    site = make_site(root=root, pull="if-not-present", shell="/bin/sh")
    try:
        assert play(site, image) == "one"
        assert (root.stat().st_mode & 0o777, (root / ".oci").stat().st_mode & 0o777) == (0o700, 0o700)
    finally:
        host.remove_tree(root)


class WithPolicy(Job):
    """A job that says when its image is fetched."""

    def __init__(self, image: str, *policies: str) -> None:
        super().__init__(["cat /text"], image=image, variables=POSIX)
        self.policies = policies

    def payload(self) -> dict[str, Any]:
        payload = super().payload()
        payload["image"]["pull_policy"] = list(self.policies)
        return payload


def test_always(fetching, registry: Registry, push) -> None:
    """Asks each time, and fetches what is new; without the registry it is the runner that failed."""
    image = push("group/always:1", "one")
    site = fetching(pull="always")
    assert play(site, image) == "one"
    layers = registry.count("/blobs/")
    assert play(site, image) == "one"
    assert registry.count("/blobs/") <= layers + 1, "the digest is the same: nothing but the configuration is read"
    push("group/always:1", "two")
    with site.started(Job(image=image)) as old, meanwhile(site):
        assert old.run_script("cat /text", raw=True).stdout == b"two"
        push("group/always:1", "three")
        assert play(site, image) == "three"
        assert old.run_script("cat /text", raw=True).stdout == b"two", "a job keeps the image that it started with"
    registry.stop()
    try:
        result = refused(site, image)
        assert result.failure_reason == "runner_system_failure" and "cannot be fetched" in result.log, str(result)
        # the next policy, the job's own or the runner's, makes do with what is here
        job = WithPolicy(image, "always", "if-not-present")
        assert site.run(job).failure_reason == "runner_system_failure", "the runner's is always only"
        fallback = fetching(pull=["always", "if-not-present"])
        for job in Job(["cat /text"], image=image, variables=POSIX), WithPolicy(image, "always", "if-not-present"):
            result = fallback.run(job)
            assert "\nthree" in result.log and "Trying the next pull policy, 'if-not-present'" in result.log, str(result)
        result = fallback.run(WithPolicy(image, "if-not-present"))
        assert "\nthree" in result.log and "Trying" not in result.log, str(result)
        result = fallback.run(WithPolicy(image + "0", "never"))
        assert result.failure_reason == "script_failure" and "'pull_policy: never' of the job forbids" in result.log
        fallback.settings["allowed_pull_policies"] = ["always"]
        fallback.write_config()
        result = fallback.run(WithPolicy(image, "if-not-present"))
        assert result.failure_reason == "script_failure" and "allowed_pull_policies" in result.log, str(result)
    finally:
        registry.start()
    assert play(site, image) == "three"


# Takes its time after it has fetched an image, and says when. It sees nothing of the host's but its own directory.
SLOW_SKOPEO = """\
#!/bin/sh
PATH={path} skopeo "$@" || exit
case "$*" in *docker://*oci:*) echo was asked; while [ ! -e go-on ]; do sleep 0.05; done;; esac
"""


def own_skopeo(site: Site, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Puts a program of that name before the host's."""
    path, directory = os.environ["PATH"], site.directory / "bin"
    directory.mkdir()
    (directory / "skopeo").write_text(text.format(path=path, directory=directory))
    (directory / "skopeo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{path}")


def go_on(site: Site, threads: list[threading.Thread]) -> None:
    """Lets each fetch end, the present one and those that follow, until the threads have."""
    while any(thread.is_alive() for thread in threads):
        with suppress(FileNotFoundError):  # a fetch that ends removes its directory
            for work in site.root.glob(".oci/.staging/*/work"):
                (work / "go-on").touch()
        time.sleep(0.05)


def test_always_while_another_fetches(fetching, push, monkeypatch) -> None:
    """What another job's fetch was told before this one began is old."""
    image, site = push("group/overtaken:1", "one"), fetching(pull="always")
    own_skopeo(site, monkeypatch, SLOW_SKOPEO)
    first, second = (Build(site.runner(), Job(image=image)) for _ in range(2))
    threads = [threading.Thread(target=build.begin) for build in (first, second)]
    try:
        threads[0].start()
        wait_until(lambda: b"was asked" in first.log)
        push("group/overtaken:1", "second")
        threads[1].start()
        wait_until(lambda: b"Another job fetches it" in second.log)
        go_on(site, threads)
        assert [build.run_script("cat /text", raw=True).stdout for build in (first, second)] == [b"one", b"second"]
        # Both are in the list, each with its job, and can be compared.
        rows = [row for row in json.loads(site.call("chroot-list", "--json").stdout)["images"] if row["name"] == image]
        assert sorted((row["generation"], row["jobs"]) for row in rows) == [(1, 1), (2, 1)], rows
        done = site.call("chroot-diff", "--files", image)
        assert done.returncode == 0 and "/text" in done.stdout, str(done)
    finally:
        go_on(site, threads)
        for build in (first, second):
            build.cleanup()
    assert site.traces() == []


# The same for the question whether an image is still the same.
ASKING_SKOPEO = """\
#!/bin/sh
PATH={path} skopeo "$@" || exit
case "$*" in *--no-tags*) echo was asked >&2; while [ ! -e go-on ]; do sleep 0.05; done;; esac
"""


def test_always_asks_once_for_all_that_wait(fetching, push, monkeypatch) -> None:
    """One of those who wait asks again, because the question was older than they are, and its answer is good for the others."""
    image, site = push("group/same:1", "one"), fetching(pull="always")
    assert play(site, image) == "one"
    own_skopeo(site, monkeypatch, ASKING_SKOPEO)
    builds = [Build(site.runner(), Job(image=image)) for _ in range(4)]
    threads = [threading.Thread(target=build.begin) for build in builds]
    try:
        threads[0].start()
        wait_until(lambda: b"was asked" in builds[0].log)
        for thread in threads[1:]:
            thread.start()
        wait_until(lambda: all(b"Another job fetches it" in build.log for build in builds[1:]))
        go_on(site, threads)
        assert [build.run_script("cat /text", raw=True).stdout for build in builds] == [b"one"] * 4
        assert sorted(build.log.count(b"was asked") for build in builds[1:]) == [0, 0, 1]
    finally:
        go_on(site, threads)
        for build in builds:
            build.cleanup()


def test_program_is_missing(fetching, push, monkeypatch) -> None:
    """What this host lacks is no refusal by the registry: another runner may have it."""
    image, site = push("group/helper:1", "x"), fetching()
    own_skopeo(site, monkeypatch, "#!/bin/sh\necho 'exec: \"docker-credential-x\": executable file not found in $PATH'\n"
                                  "exit 1\n")
    result = refused(site, image)
    assert result.failure_reason == "runner_system_failure" and "docker-credential-x" in result.log, str(result)


def test_unknown(fetching, registry: Registry, push) -> None:
    """What the registry does not have, or does not give us, is the job's fault: trying again does not help."""
    site = fetching()
    for name in ("group/nothing:1", "group/always:nothing"):
        result = refused(site, f"{registry.host}/{name}")
        assert result.failure_reason == "script_failure" and "cannot be fetched" in result.log, str(result)
    image = push("group/secret:1", "x")
    os.environ.update(registry.environment(credentials=False))
    try:
        result = refused(site, image)
        assert result.failure_reason == "script_failure" and "cannot be fetched" in result.log, str(result)
    finally:
        os.environ.update(registry.environment())
    assert ociimage.AUTH not in result.log and "secret" not in result.log.replace("group/secret", "")
    assert site.call("gc").returncode == 0
    assert [name for name in cached(site) if not name.startswith(".")] == []


HOSTILE = ("docker://127.0.0.1/x", "dir:/etc", "oci:/etc:x", "docker-archive:/etc/passwd", "--authfile=/x/y",
           "127.0.0.1/../../x", "127.0.0.1//x", "127.0.0.1/X", "127.0.0.1/x y", "127.0.0.1/x;id", "127.0.0.1/$(id)",
           "127.0.0.1/x@3", "group/name", "/etc", "registry.example/a\u00e4", "127.0.0.1/.oci/x", "127.0.0.1/x:" + "t" * 200,
           "127.0.0.1/" + "a" * 246)


@pytest.mark.parametrize("image", HOSTILE)
def test_hostile_references(fetching, registry: Registry, image: str) -> None:
    """Whatever is no plain reference is refused before anything is started."""
    site = fetching()
    before = registry.count("/v2/")
    result = refused(site, image)
    assert result.failure_reason == "script_failure" and "Image name" in result.log, str(result)
    assert registry.count("/v2/") == before and cached(site) == []


def test_default_registry(fetching, registry: Registry, push) -> None:
    """Names without a registry, as jobs and services have them that were written for Docker. What this host has comes first."""
    def more(tar: Tar) -> None:
        for name in ("httpd", "wget"):
            tar.hardlink("bin/" + name, "bin/busybox", mode=0o755)

    image = push("app:1", "short", more, Entrypoint=["/bin/httpd", "-f", "-p"], Cmd=["8080"], WorkingDir="/",
                 ExposedPorts={"8080/tcp": {}})
    push("group/app:1", "in a group")
    push(f"{IMAGE}:latest", "must not be fetched")
    push("defined:latest", "must not be fetched")
    site = fetching(default_registry=registry.host, network="private",
                    allowed_images=[IMAGE, "defined", f"{registry.host}/app:*", f"{registry.host}/group/*"])
    service = {"name": "app:1", "alias": "", "entrypoint": None, "command": None}
    with site.started(Job(image="app:1", services=[service])) as build:
        assert build.run_script("cat /text; wget -qO- http://app:8080/text", raw=True).stdout == b"shortshort"
        assert image in site.call("status").stdout
    assert play(site, "group/app:1") == "in a group"
    assert play(site, IMAGE, "test ! -e /text && echo own") == "own\n"
    (site.definitions / "defined.yaml").write_text("- vars: {nspawn_runner_suite: bookworm}\n", encoding="utf-8")
    assert "'nspawn-runner chroot-create defined'" in refused(site, "defined").log
    result = refused(site, "other:1")
    assert (f"Image '{registry.host}/other:1' is not among this runner's allowed_images: name another image, or ask "
            "the runner's administrator") in result.log, result.log
    assert "does not begin with a registry" in refused(site, "Group/app").log
    assert len([name for name in cached(site) if not name.startswith(".")]) == 2

    done = site.call("chroot-run", "app:1", "--", "/bin/cat", "/text")
    assert (done.returncode, done.stdout) == (0, "short"), str(done)
    done = site.call("chroot-pull", "group/app:1", env=registry.environment())
    assert done.returncode == 0 and f"Image '{registry.host}/group/app:1' is here" in done.stderr, str(done)


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not in PATH")
def test_names_are_looked_up_once(fetching, tmp_path: Path) -> None:
    """What a name stands for with default_registry is asked once for each job that there is room for."""
    def opened(site: Site) -> int:
        """How often `prepare` opens the image by its name."""
        log = tmp_path / "trace"
        trace = ["strace", "-qq", "-o", str(log), "-e", "trace=openat"]
        with site.started(prepare_exec=[*trace, *site.argv("prepare", IMAGE)]):
            return host.read(log).count(f', "{IMAGE}", ')

    without = opened(fetching())
    assert without > 0
    assert opened(fetching(default_registry="registry.example")) == without + 1


def test_helper_image_of_this_host(fetching, registry: Registry, push) -> None:
    """An image that a job has fetched by the name of the helper image does not become the helper of other jobs."""
    site = fetching(default_registry=registry.host)
    push("helper:latest", "from a job")
    assert play(site, "helper") == "from a job"
    assert f"{registry.host}%helper:latest" in cached(site)
    assert "there is none" in next(line for line in site.call("doctor").stdout.splitlines() if "helper image" in line)
    # Nor if the configuration asks for it by name.
    site.settings["helper_image"] = "helper"
    site.write_config()
    log = refused(site, push("group/app:1", "x")).log
    assert "no image 'helper'" in log and "docker.io" not in log, log


def test_allowed_images(fetching, registry: Registry, push) -> None:
    """They are compared with the reference as it is written."""
    good, bad = push("group/good:1", "x"), push("other/bad:1", "x")
    site = fetching(allowed_images=[f"{registry.host}/group/*"])
    assert play(site, good) == "x"
    result = refused(site, bad)
    assert result.failure_reason == "script_failure" and "allowed_images" in result.log, str(result)
    assert len([name for name in cached(site) if not name.startswith(".")]) == 1


@pytest.mark.parametrize("pull", ("if-not-present", "always"))
def test_many_at_once(fetching, registry: Registry, push, pull: str) -> None:
    """However many jobs ask at the same time, one fetches, and the others wait for it."""
    image = push(f"group/many-{pull}:1", "x", lambda tar: tar.add("data", os.urandom(8 << 20)))
    site = fetching(pull=pull)
    before = registry.count("/blobs/")
    assert play(site, image) == "x"
    once = registry.count("/blobs/") - before
    host.remove_tree(site.root / ".oci")
    before = registry.count("/blobs/")
    builds = [Build(site.runner(), Job(image=image)) for _ in range(8)]
    threads = [threading.Thread(target=build.begin) for build in builds]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for build in builds:
            assert build.run_script("cat /text", raw=True).stdout == b"x"
        again = registry.count("/blobs/") - before - once
        # Who began after the registry was asked for the others asks again, and reads the configuration.
        assert 0 <= again <= (7 if pull == "always" else 0)
        assert any(b"Another job fetches it" in build.log for build in builds)
    finally:
        for build in builds:
            build.cleanup()
    assert site.traces() == []


def test_cache_size(fetching, registry: Registry, push) -> None:
    """The least recently used goes first, and never one that a job uses."""
    images = [push(f"group/size-{i}:1", str(i), lambda tar: tar.add("data", os.urandom(3 << 20))) for i in range(4)]
    site = fetching(image_cache_size="10M")
    for image in images[:2]:
        play(site, image)
    with site.started(Job(image=images[1])) as build, meanwhile(site):
        play(site, images[0])
        play(site, images[2])
        play(site, images[3])
        there = [name for name in cached(site) if not name.startswith(".")]
        assert len(there) == 2 and any("size-1" in name for name in there), there
        assert build.run_script("cat /text", raw=True).stdout == b"1"
    before = registry.count("/blobs/")
    play(site, images[3])
    assert registry.count("/blobs/") == before, "the one that was used last is still there"


@pytest.mark.host_matters
@pytest.mark.parametrize("data", (os.urandom(11 << 20), bytes(64 << 20)), ids=("layers", "bomb"))
def test_too_large(fetching, registry: Registry, push, data: bytes) -> None:
    """One that takes up more than all may: the job fails for good, and what there was stays. Random data shows in the
    manifest, and is not fetched at all; zeros only when they are unpacked."""
    small = push("group/small:1", "x")
    large = push(f"group/large-{data[:4].hex()}:1", "x", lambda tar: tar.add("data", data))
    site = fetching(image_cache_size="10M")
    assert play(site, small) == "x"
    there, before = cached(site), registry.count("/blobs/")
    result = refused(site, large)
    assert result.failure_reason == "script_failure" and "image_cache_size allows, which is 10M" in result.log, str(result)
    assert cached(site) == there and not list((site.root / ".oci").glob(".staging/*"))
    # To find out the digest, skopeo reads the configuration.
    assert (registry.count("/blobs/") - before <= 1) == any(data), result.log


def test_killed_while_fetching(fetching, push) -> None:
    """After SIGKILL at many points, and after SIGTERM, the next job has its image as if nothing had been, and `gc` finds
    what is left."""
    image = push("group/killed:1", "x", lambda tar: tar.add("data", os.urandom(4 << 20)))
    site = fetching()
    begin = time.monotonic()
    assert play(site, image) == "x"
    duration = time.monotonic() - begin
    for round_ in range(12):
        host.remove_tree(site.root / ".oci")
        build = Build(site.runner(), Job(image=image))
        build.start_attempt()
        build.config()
        call = build.start("prepare", build.runner.prepare_exec)
        time.sleep(duration * round_ / 12)
        with suppress(ProcessLookupError):
            os.kill(call.pid, signal.SIGTERM if round_ % 4 == 3 else signal.SIGKILL)
        assert call.wait()
        build.cleanup()
        assert play(site, image) == "x"
        # What was killed when the image had its name already left nothing to fetch, and its directory to `gc`.
        assert site.call("gc").returncode == 0
        assert not list((site.root / ".oci").glob(".staging/*"))
        assert site.traces() == []
        assert play(site, image) == "x"
    wait_until(lambda: not [command for command in host.processes().values() if str(site.root) in command])


@pytest.mark.host_matters
@pytest.mark.parametrize("private_users", (True, False), ids=("userns", "hostids"))
@pytest.mark.parametrize("storage", ("overlay", "tmpfs"))
def test_configuration(fetching, push, storage: str, private_users: bool) -> None:
    """Env, User and WorkingDir count for all steps, the entrypoint for none; the user can work in the builds directory."""
    image = push("group/configured:1", "x", Env=["COLOUR=deep blue", "PATH=/opt:/bin"], User="builder",
                 WorkingDir="/srv/work", Entrypoint=["/bin/false"], Cmd=["/bin/false"])
    site = fetching(storage=storage, private_users=private_users)
    with site.started(Job(image=image)) as build:
        script = "id -u; pwd; echo $COLOUR; echo $PATH; echo $HOME; touch here && mkdir -p /builds/group/project && " \
                 "cd /builds/group/project && touch mine && mkdir -p /cache/x && echo works"
        shown = build.run_script(script, raw=True).stdout.decode().splitlines()
        assert shown == ["1000", "/srv/work", "deep blue", "/opt:/bin", "/home/builder", "works"], shown
        assert build.run_script("ls /builds/group/project; id -u", "after_script", raw=True).stdout == b"mine\n1000\n"


def test_start_runs_nothing(fetching, push) -> None:
    """No program of the image runs before the first step: one that hangs cannot hold up `prepare`."""
    image = push("group/hangs:1", "x", lambda tar: tar.add("bin/sh", HANGS, mode=0o755), User="builder")
    with fetching().started(Job(image=image)) as build:
        call = build.start_script("exit 0\n", raw=True)
        assert not call.wait(0.5)
        os.kill(call.pid, signal.SIGTERM)
        assert call.wait()


@pytest.mark.host_matters
def test_whole_job_without_bash(fetching, push) -> None:
    """A job of GitLab's own scripts, in an image that has nothing but busybox."""
    image = push("group/whole:1", "x")
    result = fetching().run(Job(["echo from the script", "cat /text"], ["echo afterwards"], image=image,
                                variables=POSIX))
    assert result.state == "success", result.log
    assert "from the script" in result.log and "afterwards" in result.log


def test_commands(fetching, registry: Registry, push) -> None:
    """They know images of registries by their references."""
    image = push("group/listed", "x")
    site = fetching()
    with site.started(Job(image=image)):
        status = site.call("status")
        assert image in status.stdout, str(status)
    shown = site.call("chroot-list")
    assert image in shown.stdout and f"oci docker://{image}" in shown.stdout, str(shown)
    done = site.call("chroot-run", image, "--", "/bin/cat", "/text")
    assert (done.returncode, done.stdout) == (0, "x"), str(done)
    done = site.call("chroot-run", f"{registry.host}/group/nothing", "--", "/bin/true")
    assert done.returncode == 1 and "There is no image" in done.stderr, str(done)
    done = site.call("chroot-remove", "--yes", image)
    assert done.returncode == 0, str(done)
    assert image not in site.call("chroot-list").stdout
    assert subprocess.run(["ls", site.root / ".oci"], capture_output=True, text=True, check=True).stdout == ""


def test_dockerenv(fetching, push, tiny_root: Path) -> None:
    """Scripts for Docker's images look for a file; it is there, unless the image has something of that name. Images of this host
    do not have it. What tells the agent does not reach the job."""
    def own(tar: Tar) -> None:
        tar.add(".dockerenv", b"of the image")

    site = fetching()
    look = "[ -f /.dockerenv ] && [ ! -s /.dockerenv ] && echo empty; id -u"
    image = push("plain", User="builder")
    assert play(site, image, look) == "empty\n1000\n"
    assert "OF_REGISTRY" not in play(site, image, "env; cat /text")
    assert play(site, push("own", "", own), "cat /.dockerenv") == "of the image"
    assert play(site, push("link", "", lambda tar: tar.symlink(".dockerenv", "text")), "cat /.dockerenv; ls /text") == "/text\n"
    assert play(site, IMAGE, "ls -d /.dockerenv 2>/dev/null || echo none") == "none\n"


@pytest.mark.parametrize("user, service", (("", False), ("builder", False), ("builder", True)))
def test_mount_points(fetching, push, user: str, service: bool) -> None:
    """What makes images in a job removes all that is no mount point: the project, and the files that the container got, stay, as
    with Docker. What the image has in that directory is there, and GitLab Runner's own steps see what the job's write."""
    def of_image(tar: Tar) -> None:
        tar.directory("builds").add("builds/of-image", b"kept", mode=0o666)

    image = push("mounts", "", None if user else of_image, **({"User": user} if user else {}))
    services = [{"name": IMAGE, "alias": "other", "entrypoint": None, "command": ["sleep", "1000"]}] if service else []
    site = fetching(boot="auto", network="none", wait_for_services_timeout=1)
    with site.started(Job(image=image, services=services)) as build:
        def say(script: str, stage: str = "build_script") -> str:
            return build.run_script(script, stage, raw=True).stdout.decode()

        points = {line.split()[4] for line in say("cat /proc/self/mountinfo").splitlines()}
        assert {"/builds", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= points, points
        say("mkdir -p /builds/group; echo project >/builds/group/file", "get_sources")
        assert say("cat /builds/group/file; echo more >/builds/group/more; cat /builds/of-image 2>/dev/null || true") == \
            "project\n" + ("" if user else "kept")
        assert say("cat /builds/group/more; cat /etc/hosts | /bin/busybox grep -c localhost", "archive_cache")[:5] == "more\n"


def test_long_references(fetching, registry: Registry, push) -> None:
    """As long as Docker allows: pinned by a digest, and with a long path and a long tag. Each is an image of its own,
    and commands know them by their references."""
    path = "/".join(["group", "team" * 20, "images" * 20])
    tag = "t" * 128
    one, two = push(f"{path}:{tag}", "one"), push(f"{path}:{tag[:-1]}u", "two")
    short = push("pinned/builder:1.2.3-bookworm", "pinned")
    shown = subprocess.run(["skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", f"docker://{short}"], check=True,
                           env={**os.environ, **registry.environment()}, capture_output=True, text=True)
    pinned = f"{short}@{shown.stdout.strip()}"
    assert len(two) > 255 and 128 > len(short) and len(pinned) > 100, (one, pinned)
    pinned = pinned.replace(":1.2.3-bookworm", ":1.2.3-bookworm" + "-x" * 30)  # what the digest names counts
    assert len(pinned) > 128
    images = {one: "one", two: "two", pinned: "pinned"}
    site = fetching(allowed_images=[f"{registry.host}/*"])
    for _ in range(2):
        for image, text in images.items():
            assert play(site, image) == text
    assert all(len(name) <= 128 for name in cached(site)), cached(site)
    for command in (["chroot-list"], ["df"], ["prune", "--dry-run"]):
        shown = site.call(*command, "--json") if command[0] != "prune" else site.call(*command)
        for image in images:
            assert image in shown.stdout, (command, shown.stdout)
    assert site.call("chroot-run", two, "--", "/bin/cat", "/text").stdout == "two"
    done = site.call("chroot-remove", "--yes", two)
    assert done.returncode == 0, str(done)
    listed = site.call("chroot-list", "--json").stdout
    assert two not in listed and one in listed


def test_disk_reserve(lab: Lab, make_site, push) -> None:
    """When the disk is short of room, the least recently used go: not the job's own, nor one that a job uses."""
    images = [push(f"group/reserve-{i}:1", str(i), lambda tar: tar.add("data", os.urandom(6 << 20))) for i in range(4)]
    with lab.file_system("ext4", "reserve", "200M") as where:
        root = where / "root"
        root.mkdir()
        site = make_site(root=root, pull="if-not-present", shell="/bin/sh", storage="overlay")
        for image in images:
            play(site, image)
        with site.started(Job(image=images[1])), meanwhile(site):
            info = os.statvfs(root)
            site.settings["disk_reserve"] = str(info.f_bavail * info.f_frsize + (4 << 20))
            site.write_config()
            play(site, images[0])
            there = [name for name in cached(site) if not name.startswith(".")]
            assert [number for number in range(4) if any(f"reserve-{number}" in name for name in there)] == [0, 1, 3]
        host.remove_tree(root)
