# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and bad surroundings: a message that names what is wrong, the right exit status, nothing left."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

import host
from lab import IMAGE, Lab, Site
from simulation.gitlabrunner import Result
from simulation.jobspec import Job


def assert_build_failure(result: Result, *words: str) -> None:
    """The job's fault: one attempt, and the job log says what is wrong."""
    assert (result.state, result.failure_reason) == ("failed", "script_failure"), str(result)
    assert result.names() == ["config", "prepare", "cleanup"], result.names()
    for word in words:
        assert word in result.log, (word, result.log)
    assert result.call("cleanup").returncode == 0


def assert_system_failure(result: Result, *words: str) -> None:
    """The host's fault: tried three times, and the job log says what is wrong."""
    assert (result.state, result.failure_reason) == ("failed", "runner_system_failure"), str(result)
    assert result.names().count("prepare") == 3
    for word in words:
        assert word in result.log, (word, result.log)
    assert result.calls[-1].name == "cleanup" and result.calls[-1].returncode == 0, result.calls[-1]


def test_no_such_image(make_site, tiny_root: Path) -> None:
    """The message lists the images there are; hidden ones and layers are not among them."""
    for name in ("first", "second"):
        subprocess.run(["cp", "-a", tiny_root / IMAGE, tiny_root / name], check=True)
    (tiny_root / ".hidden").mkdir()
    (tiny_root / ".layers").mkdir(exist_ok=True)
    result = make_site(root=tiny_root).run(Job(image="thrid"))
    assert_build_failure(result, "thrid", "first", "second", IMAGE)
    assert ".hidden" not in result.log and ".layers" not in result.log


def test_no_image_at_all(make_site, tiny_root: Path) -> None:
    """A job without image:, and no default."""
    site = make_site(root=tiny_root)
    result = site.run(Job(), prepare_exec=site.argv("prepare"))
    assert_build_failure(result, "image")


def test_default_image_setting(make_site, tiny_root: Path) -> None:
    """default_image of the configuration is used when neither job nor command line name one."""
    site = make_site(root=tiny_root, default_image=IMAGE)
    with site.started(prepare_exec=site.argv("prepare")) as build:
        assert build.run_script("echo up").stdout == b"up\n"


@pytest.mark.parametrize("leave", ([], ["etc"], ["var/lib", "tmp"]))
def test_empty_or_half_made_image(make_site, tiny_root: Path, leave: list[str]) -> None:
    """A directory that holds no root file system: refused, with its name."""
    for path in ["half", *(f"half/{name}" for name in leave)]:
        (tiny_root / path).mkdir(parents=True)
    assert_build_failure(make_site(root=tiny_root).run(Job(image="half")), "half")


@pytest.mark.parametrize("pull", ("never", "if-not-present"))
def test_name_for_docker(make_site, tiny_root: Path, pull: str) -> None:
    """A name as in a .gitlab-ci.yml that was written for Docker: the log says how to get that image."""
    site = make_site(root=tiny_root, pull=pull)
    result = site.run(Job(image="python:3.12"))
    assert_build_failure(result, "There is no image 'python:3.12'")
    assert "name it 'docker.io/library/python:3.12'" in result.log and f"Images in {tiny_root}: {IMAGE}" in result.log
    assert ("set 'pull: if-not-present'" in result.log) == (pull == "never"), result.log
    assert "python:3.12.yaml'" in result.log and "call 'nspawn-runner chroot-create python:3.12'" in result.log, result.log


def test_image_is_a_file(make_site, tiny_root: Path) -> None:
    """A file in the image root is no image."""
    (tiny_root / "file").write_text("x")
    assert_build_failure(make_site(root=tiny_root).run(Job(image="file")), "file")


def test_image_without_shell(make_site, tiny_root: Path) -> None:
    """An image that can be started but has neither bash nor sh fails with a message that says so."""
    for name in ("bash", "sh"):
        (tiny_root / IMAGE / "usr/bin" / name).unlink()
    result = make_site(root=tiny_root, bash_program="none").run(Job())
    assert (result.state, result.failure_reason) == ("failed", "script_failure"), str(result)
    assert "sh" in result.log and ("shell" in result.log or "/bin/sh" in result.log), result.log
    assert result.call("cleanup").returncode == 0


def test_image_without_bash(make_site, tiny_root: Path) -> None:
    """/bin/sh is used where there is no bash, neither in the image nor for it."""
    image = tiny_root / IMAGE / "usr/bin"
    shutil.copy2("/usr/bin/dash", image / "dash")
    (image / "sh").unlink()
    (image / "sh").symlink_to("dash")
    (image / "bash").unlink()
    with make_site(root=tiny_root, bash_program="none").started() as build:
        call = build.run_script("echo ${BASH_VERSION:-plain} $SHELL\n", raw=True)
        assert call.stdout == b"plain /bin/sh\n"


@pytest.mark.host_matters
def test_boot_without_systemd(make_site, tiny_root: Path) -> None:
    """boot: yes with an image that has no systemd: the message says so; boot: auto falls back."""
    result = make_site(root=tiny_root, boot="yes").run(Job())
    assert result.state == "failed" and "systemd" in result.log, str(result)
    with make_site(root=tiny_root, boot="auto").started() as build:
        assert build.run_script("echo up").stdout == b"up\n"


@pytest.mark.host_matters
def test_boot_auto_with_systemd(make_site) -> None:
    """boot: auto boots an image that has systemd."""
    with make_site(boot="auto").started() as build:
        assert build.run_script("cat /proc/1/comm").stdout == b"systemd\n"


@pytest.mark.host_matters
def test_broken_init(make_site, lab: Lab, tiny_root: Path) -> None:
    """An init that ends at once: prepare fails with the container's last lines, well before the start timeout."""
    init = tiny_root / IMAGE / "usr/lib/systemd/systemd"
    init.parent.mkdir(parents=True)
    init.write_text("#!/bin/sh\necho this-init-is-broken; exit 7\n")
    init.chmod(0o755)
    result = make_site(root=tiny_root, boot="eager", start_timeout="50s").run(Job())
    assert result.state == "failed" and "this-init-is-broken" in result.log, str(result)


@pytest.mark.host_matters
def test_init_that_hangs(make_site, tiny_root: Path) -> None:
    """An init that never starts the agent: start_timeout ends it."""
    init = tiny_root / IMAGE / "usr/lib/systemd/systemd"
    init.parent.mkdir(parents=True)
    init.write_text("#!/bin/sh\necho this-init-hangs; while :; do sleep 100; done\n")
    init.chmod(0o755)
    site = make_site(root=tiny_root, boot="eager", start_timeout="1s")
    done = site.call("prepare", IMAGE, "--id", "hangs")
    assert done.returncode == 2 and "this-init-hangs" in done.stderr, str(done)
    assert "1s" in done.stderr.replace("1 s", "1s"), str(done)
    assert site.traces() == []


def test_root_directory_missing(make_site, tmp_path: Path) -> None:
    """The image root does not exist (the Python original crashed): no such image, and nothing is made."""
    root = tmp_path / "not" / "there"
    site: Site = make_site(root=root)
    result = site.run(Job())
    assert result.state == "failed" and str(root) in result.log, str(result)
    for command in (["chroot-list"], ["status"], ["gc"], ["cleanup", "--id", "7"]):
        done = site.call(*command)
        assert done.returncode == 0, str(done)
    assert not root.exists()


@pytest.fixture(name="small_disk")
def small_disk_fixture(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """A small ext4 mounted on a loop device with a tiny image in it."""
    where, file = tmp_path / "disk", tmp_path / "disk.ext4"
    where.mkdir()
    subprocess.run(["truncate", "-s", "64M", file], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", file], check=True)
    subprocess.run(["mount", "-o", "loop", file, where], check=True)
    try:
        subprocess.run(["cp", "-a", lab.tiny_image(), where / IMAGE], check=True)
        yield where
    finally:
        host.unmount(where)


def test_read_only_root(make_site, small_disk: Path) -> None:
    """An image root on a read-only file system: a system failure that names it."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    result = make_site(root=small_disk).run(Job())
    assert_system_failure(result, str(small_disk), "ead-only")


def test_full_disk(make_site, small_disk: Path) -> None:
    """On a full disk prepare fails with a message, or the job finds out itself; cleanup works in both cases."""
    with open(small_disk / "filler", "wb") as filler:
        try:
            while filler.write(b"\0" * 65536):
                filler.flush()
        except OSError:
            pass
    site = make_site(root=small_disk, disk_reserve=0)
    result = site.run(Job(["head -c 1M /dev/zero > /root/x"]))
    assert result.state == "failed" and "o space left" in result.log, str(result)
    assert site.traces() == []


@pytest.mark.host_matters
def test_full_runtime_directory(make_site, lab: Lab, tiny_root: Path) -> None:
    """No space for the job's state: a system failure that says so, nothing left."""
    runtime = lab.runtime_base / "full"
    runtime.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "t", runtime], check=True)
    try:
        (runtime / "filler").write_bytes(b"\0" * 65536)
    except OSError:
        pass
    try:
        site = make_site(root=tiny_root, runtime_dir=str(runtime))
        result = site.run(Job())
        assert result.failure_reason == "runner_system_failure" and "o space left" in result.log, str(result)
        assert not [path for path in (runtime / "jobs").glob("*")]
    finally:
        host.unmount(runtime)
        runtime.rmdir()


@pytest.mark.parametrize("boot", ("no", "yes"))
def test_other_architecture(make_site, tiny_root: Path, boot: str) -> None:
    """An image for another processor: the job's fault in both boot modes, and the message names the processor."""
    tree = tiny_root / IMAGE
    (tree / "usr/lib/systemd").mkdir()
    shutil.copy2(tree / "bin/true", tree / "usr/lib/systemd/systemd")
    for path in [*(tree / "usr/bin").iterdir(), tree / "usr/lib/systemd/systemd"]:
        if path.is_symlink() or path.read_bytes()[:4] != b"\x7fELF":
            continue
        with path.open("r+b") as file:  # e_machine of elf(5): one that nobody has a binfmt for
            file.seek(18)
            file.write(b"\x02\x01")
    result = make_site(root=tiny_root, boot=boot).run(Job())
    assert (result.state, result.failure_reason) == ("failed", "script_failure"), str(result)
    assert "is for another processor than this host's: loong64" in result.log, result.log
    assert result.names().count("prepare") == 1


def test_no_bash(make_site, tiny_root: Path) -> None:
    """A shell that cannot read GitLab Runner's scripts: the log says so, and what to set; with that, it can."""
    for name in ("bash", "sh"):
        (tiny_root / IMAGE / "bin" / name).unlink()
    shutil.copy2("/bin/dash", tiny_root / IMAGE / "bin/sh")
    site = make_site(root=tiny_root, bash_program="none")
    result = site.run(Job(["echo it runs"]))
    assert (result.state, result.failure_reason) == ("failed", "script_failure"), str(result)
    assert "Use an image with bash, or install the package bash-static on the host" in result.log, result.log
    with site.started() as build:
        call = build.start_script("exit 127", raw=True)
        assert call.wait() and call.returncode == 1 and "bash-static" not in call.output, call.output
    result = site.run(Job(["exit 9"], variables=[("FF_POSIXLY_CORRECT_ESCAPES", "true")]))
    assert (result.exit_code, "cannot read the script" in result.log) == (9, False), str(result)


def test_no_permission(make_site, tiny_root: Path) -> None:
    """Called by an ordinary user: every stage says that it needs root."""
    site = make_site(root=tiny_root)
    for arguments in (["prepare", IMAGE, "--id", "7"], ["cleanup", "--id", "7"], ["gc"], ["chroot-login", IMAGE]):
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *site.argv(*arguments)],
                              capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"]})
        assert done.returncode != 0 and ("root" in done.stderr or "ermi" in done.stderr), (arguments, done)


@pytest.mark.host_matters
def test_nspawn_missing(make_site, tiny_root: Path, tmp_path: Path) -> None:
    """Without systemd-nspawn: a system failure that names the program and what to install."""
    for name in ("upper", "work"):
        (tmp_path / name).mkdir()
    site = make_site(root=tiny_root)
    hide = f"""mount -t overlay o -o lowerdir=/usr/bin,upperdir={tmp_path}/upper,workdir={tmp_path}/work /usr/bin
rm -f /usr/bin/systemd-nspawn; exec "$@\""""
    result = site.run(Job(), prepare_exec=["unshare", "--mount", "sh", "-ec", hide, "sh", *site.argv("prepare", IMAGE)])
    if host.has_systemd():
        # The manager is outside of our mount namespace and starts what it finds: only the check can complain.
        assert result.state == "success" or "systemd-nspawn" in result.log
    else:
        assert_system_failure(result, "systemd-nspawn", "systemd-container")


@pytest.mark.host_matters
def test_agent_missing(make_site, lab: Lab, tiny_root: Path, tmp_path: Path) -> None:
    """An installation without the agent's binary is named as such."""
    alone = tmp_path / "nspawn-runner"
    shutil.copy2(lab.driver, alone)
    site = make_site(root=tiny_root)
    result = site.run(Job(), prepare_exec=[str(alone), "--config", str(site.config), "prepare", IMAGE])
    if result.state == "failed":  # where one is installed in libexec, that is used
        assert_system_failure(result, "nspawn-runner-agent")


@pytest.mark.parametrize("seccomp", (True, False))
def test_kernel_without_a_feature(make_site, tiny_root: Path, seccomp: bool) -> None:
    """No mount_setattr(2) (kernels before 5.12): said in so many words; without user namespace jobs still run."""
    # LeakSanitizer, if the driver was built with it, would want to trace the process itself.
    without = ["strace", "-f", "-D", "-qq", "-o", "/dev/null", "-e", "trace=mount_setattr",
               "-e", "inject=mount_setattr:error=ENOSYS", "-E", "LSAN_OPTIONS=detect_leaks=0"]
    site = make_site(root=tiny_root, seccomp=seccomp)
    result = site.run(Job(), prepare_exec=[*without, *site.argv("prepare", IMAGE)])
    assert result.state == "failed", str(result)
    assert "idmap" in result.log or "id-map" in result.log or "mount_setattr" in result.log, str(result)


def test_usage(site: Site) -> None:
    """Wrong command lines: exit 2 and a hint; help and version on standard output."""
    for arguments, word in ((["prepaer"], "prepare"), (["--no-such-option"], "no-such-option"), (["run"], "run"),
                            (["prepare", "--no-such"], "no-such"), (["run", "a", "b", "c"], "run"),
                            (["prepare", "--id"], "id"), (["chroot-create"], "chroot-create"), (["statsu"], "status"),
                            (["gc", "extra"], "gc")):
        done = site.call(*arguments)
        assert done.returncode == 2 and word in done.stderr and done.stdout == "", (arguments, done)
    for arguments in ([], ["--help"], ["-h"], ["prepare", "--help"], ["run", "-h"]):
        done = subprocess.run([site.lab.driver, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stderr == "" and "nspawn-runner" in done.stdout, (arguments, done)
    version = subprocess.run([site.lab.driver, "--version"], capture_output=True, text=True, check=False)
    assert version.returncode == 0 and "nspawn-runner" in version.stdout


def test_help_lists_every_command(site: Site) -> None:
    """One table: each command has its line in the help, and its own help."""
    text = site.call("--help").stdout
    for command in ("gitlab-config", "prepare", "run", "cleanup", "chroot-create", "chroot-list", "chroot-login",
                    "toml", "doctor", "gc", "status"):
        assert f"  {command} " in text or f"{command}\n" in text, command
        assert command in site.call(command, "--help").stdout
    assert "supervise" not in text


def test_closed_output(site: Site) -> None:
    """Standard output or error that nobody reads, or that is full, or closed, is no reason to crash or hang."""
    for redirection in (">&-", "2>&-", ">&- 2>&- <&-", "> /dev/full", "2> /dev/full"):
        done = subprocess.run(["sh", "-c", f'"$@" {redirection}', "sh", *site.argv("chroot-list")],
                              capture_output=True, check=False)
        assert 0 <= done.returncode < 128, (redirection, done)


@pytest.mark.host_matters
def test_cleanup_without_prepare(site: Site) -> None:
    """cleanup of a job that never was: exit 0 and quiet."""
    done = site.call("cleanup", "--id", "never-was")
    assert (done.returncode, done.stdout) == (0, ""), str(done)
