# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: made with chroot-create, listed with chroot-list, entered with chroot-login."""

import fcntl
import json
import os
import re
import signal
import subprocess
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

import host
from lab import IMAGE, KEPT, Lab, Site
from pace import PATIENCE, wait_until
from simulation.build import Failure
from simulation.jobspec import Job
from terminal import Terminal

# Stands in for mmdebstrap where the making itself is not what is tested: makes a small tree, slowly if told to.
FAKE_MMDEBSTRAP = """\
#!/bin/sh
for argument in "$@"; do case $argument in /*) target=$argument;; esac; done
echo "$@" >> {log}
{behaviour}
mkdir -p "$target" && cp -a {tiny}/. "$target/"
"""


@pytest.fixture(autouse=True)
def no_terminal_is_left() -> Iterator[None]:
    """Ends what a failed test left on a terminal."""
    yield
    for terminal in list(Terminal.running):
        terminal.end()


@pytest.fixture(name="tools")
def tools_fixture(lab: Lab, tmp_path: Path):
    """Makes a PATH whose first directory has a stand-in for mmdebstrap with the given behaviour."""
    def make(behaviour: str = "") -> tuple[dict[str, str], Path]:
        directory, log = tmp_path / "bin", tmp_path / "arguments"
        directory.mkdir(exist_ok=True)
        text = FAKE_MMDEBSTRAP.format(log=log, behaviour=behaviour, tiny=lab.tiny_image())
        (directory / "mmdebstrap").write_text(text)
        (directory / "mmdebstrap").chmod(0o755)
        return {"PATH": f"{directory}:{os.environ['PATH']}"}, log
    return make


@pytest.fixture(name="empty_site")
def empty_site_fixture(make_site, tmp_path: Path) -> Site:
    """A site whose image root is there and empty."""
    root = tmp_path / "images"
    root.mkdir()
    return make_site(root=root)


@pytest.mark.supervisor_matters
def test_created_image_runs_a_job(lab: Lab, site: Site) -> None:
    """The image all tests use has what chroot-create promises."""
    with site.started() as build:
        build.run_script("git --version; python3 --version; test -e /etc/ssl/certs/ca-certificates.crt; "
                         "test -x /lib/systemd/systemd; test -x /usr/bin/dbus-daemon; test -e /etc/debian_version")
    assert (lab.image() / "etc/os-release").exists()


@pytest.mark.supervisor_matters
def test_create(empty_site: Site, tools) -> None:
    """One command makes an image; its packages and suite reach mmdebstrap; the list shows it."""
    env, log = tools()
    done = empty_site.call("chroot-create", "fresh", "--suite", "bookworm", env=env)
    assert done.returncode == 0, str(done)
    assert (empty_site.root / "fresh" / "bin").exists()
    arguments = log.read_text()
    for word in ("minbase", "git", "ca-certificates", "systemd", "dbus", "python3", "bookworm"):
        assert word in arguments, (word, arguments)
    assert os.stat(empty_site.root / "fresh").st_mode & 0o777 == 0o755
    assert [name for name in os.listdir(empty_site.root) if name not in {"fresh", *KEPT}] == []
    with empty_site.started(Job(image="fresh")) as build:
        assert build.run_script("echo up").stdout == b"up\n"


def test_suite_defaults_to_the_hosts(empty_site: Site, tools) -> None:
    """Without --suite: the host's own."""
    env, log = tools()
    assert empty_site.call("chroot-create", "fresh", env=env).returncode == 0
    codename = next(line.split("=")[1].strip('"') for line in host.read("/etc/os-release").splitlines()
                    if line.startswith("VERSION_CODENAME="))
    assert codename in log.read_text()


def test_create_on_btrfs(make_site, lab: Lab, tools) -> None:
    """On btrfs an image is a subvolume."""
    env, _ = tools()
    site = make_site(root=lab.root("btrfs"), storage="btrfs")
    try:
        done = site.call("chroot-create", "fresh", env=env)
        assert done.returncode == 0, str(done)
        assert (site.root / "fresh").stat().st_ino == 256
        with site.started(Job(image="fresh")) as build:
            assert build.run_script("echo up").stdout == b"up\n"
    finally:
        subprocess.run(["btrfs", "-q", "subvolume", "delete", site.root / "fresh"], check=True)


def test_create_what_exists(make_site, tiny_root: Path, tools) -> None:
    """An image that is there is never touched."""
    env, log = tools()
    before = host.fingerprint(tiny_root / IMAGE)
    done = make_site(root=tiny_root).call("chroot-create", IMAGE, env=env)
    assert done.returncode == 1 and IMAGE in done.stderr and not log.exists(), str(done)
    assert host.changes(before, host.fingerprint(tiny_root / IMAGE)) == []


@pytest.mark.parametrize("name", ("../x", "/x", ".x", "-x", "a/b", "", "x\ny"))
def test_create_bad_name(empty_site: Site, tools, name: str) -> None:
    """Names that jobs could not use are refused before anything is made."""
    env, log = tools()
    done = empty_site.call("chroot-create", "--", name, env=env)
    assert done.returncode in (1, 2) and done.stderr and not log.exists(), str(done)
    assert os.listdir(empty_site.root) == []


def test_create_fails(empty_site: Site, tools) -> None:
    """mmdebstrap fails: its message is shown, and no image is left."""
    env, _ = tools("mkdir -p $target/etc; echo E: mirror is away >&2; exit 25")
    done = empty_site.call("chroot-create", "fresh", env=env)
    assert done.returncode == 1 and "mirror is away" in done.stderr + done.stdout, str(done)
    assert not (empty_site.root / "fresh").exists() and empty_site.traces() == []


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
def test_interrupted_creation(empty_site: Site, tools, number: int) -> None:
    """An interrupted creation leaves no image that a job could take; the next try starts clean and succeeds."""
    env, log = tools("mkdir -p $target/etc; touch $target/etc/half-made; sleep 1000")
    process = subprocess.Popen(empty_site.argv("chroot-create", "fresh"), env={**os.environ, **env},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
    wait_until(log.exists)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == (-number if number == signal.SIGKILL else 128 + number)
    assert not (empty_site.root / "fresh").exists()
    assert "fresh" not in empty_site.call("chroot-list", "--json").stdout

    def leftover() -> list[int]:
        return [pid for pid, command in host.processes().items() if str(empty_site.root) in command]

    # Killed itself, it can wait for nobody: what it started dies after it.
    if number == signal.SIGKILL:
        wait_until(lambda: not leftover())
    assert leftover() == []
    env, _ = tools()
    assert empty_site.call("chroot-create", "fresh", env=env).returncode == 0
    assert (empty_site.root / "fresh/usr/bin/bash").exists() and not (empty_site.root / "fresh/etc/half-made").exists()
    assert [name for name in os.listdir(empty_site.root) if name not in {"fresh", *KEPT}] == []


def test_gc_takes_half_made_images(empty_site: Site, tools) -> None:
    """gc finds the staging directory of a creation that was killed, but not that of one that still runs."""
    _, log = tools()
    env, _ = tools(f"mkdir -p $target/etc; touch {log}.begun; while ! test -e {log}.go; do sleep 0.02; done")
    process = subprocess.Popen(empty_site.argv("chroot-create", "fresh"), env={**os.environ, **env},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(Path(f"{log}.begun").exists)
    assert empty_site.call("gc").returncode == 0
    Path(f"{log}.go").touch()
    assert process.wait(PATIENCE) == 0 and (empty_site.root / "fresh/usr/bin/bash").exists()
    (empty_site.root / "fresh").rename(empty_site.root / "other")
    Path(f"{log}.begun").unlink()
    Path(f"{log}.go").unlink()
    process = subprocess.Popen(empty_site.argv("chroot-create", "fresh"), env={**os.environ, **env}, process_group=0,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(Path(f"{log}.begun").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    Path(f"{log}.go").touch()
    # What it started dies after it.
    ours = (str(empty_site.directory), str(empty_site.root))
    wait_until(lambda: not [command for command in host.processes().values() if any(path in command for path in ours)])
    listed = empty_site.call("gc", "--dry-run")
    assert "fresh" in listed.stdout + listed.stderr, str(listed)
    assert empty_site.call("gc").returncode == 0
    assert [name for name in os.listdir(empty_site.root) if name not in {"other", *KEPT}] == []


def test_no_tool(empty_site: Site, tmp_path: Path) -> None:
    """Neither mmdebstrap nor debootstrap: named, with what to install."""
    tools = tmp_path / "few"
    tools.mkdir()
    for name in ("sh", "uname", "tar"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    done = empty_site.call("chroot-create", "fresh", env={"PATH": str(tools)})
    assert done.returncode == 1 and "mmdebstrap" in done.stderr, str(done)
    assert os.listdir(empty_site.root) == []


def test_no_keyring(empty_site: Site) -> None:
    """A Debian host without Ubuntu's keys: which package has them, where that is, and what names them then; nothing is made."""
    empty_site.wrapper = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /usr/share/keyrings; exec "$@"', "sh"]
    done = empty_site.call("chroot-create", "fresh", "--suite", "noble")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, str(done)
    for words in ("ubuntu-archive-keyring.gpg", "the package ubuntu-keyring", "dpkg-deb -x", "/u/ubuntu-keyring/",
                  "nspawn_runner_keyring"):
        assert words in done.stderr, (words, str(done))
    assert os.listdir(empty_site.root) == []


def listed(site: Site) -> dict[str, dict]:
    """The rows of chroot-list --json by name."""
    done = site.call("chroot-list", "--json")
    assert done.returncode == 0, str(done)
    return {row["name"]: row for row in json.loads(done.stdout)["images"]}


def test_list(make_site, tiny_root: Path) -> None:
    """Every directory put there by hand is an image; hidden ones, files, links and layers are not."""
    (tiny_root / "by-hand/usr/bin").mkdir(parents=True)
    (tiny_root / "by-hand/bin").symlink_to("usr/bin")
    (tiny_root / "by-hand/etc").mkdir()
    (tiny_root / "file").touch()
    (tiny_root / "link").symlink_to(IMAGE)
    (tiny_root / ".hidden/etc").mkdir(parents=True)
    site = make_site(root=tiny_root)
    rows = listed(site)
    assert rows.keys() == {IMAGE, "by-hand"}
    row = rows[IMAGE]
    assert row["path"] == str(tiny_root / IMAGE) and {"storage", "size", "boot"} <= row.keys(), row
    assert row["boot"] == "no", row
    table = site.call("chroot-list").stdout
    assert IMAGE in table and "by-hand" in table and ".hidden" not in table and "NAME" in table.upper()


def test_list_empty(empty_site: Site) -> None:
    """No image: an empty JSON list, and a sentence or nothing for people; never an error."""
    assert listed(empty_site) == {}
    assert empty_site.call("chroot-list").returncode == 0


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("boot, expected", (("auto", "yes"), ("yes", "yes"), ("no", "no")))
def test_list_boot(make_site, boot: str, expected: str) -> None:
    """An image with systemd would be booted, unless the setting says otherwise."""
    assert listed(make_site(boot=boot))[IMAGE]["boot"] == expected


# chroot-login. These work on an image of their own, because it is changed.

def login(site: Site, *options: str, **size: int) -> Terminal:
    """An interactive shell in a copy of the image; returns when it answers."""
    terminal = Terminal(site.argv("chroot-login", IMAGE, *options), **size)
    terminal.type("echo rea''dy\n")
    terminal.expect("ready")
    return terminal


@pytest.mark.supervisor_matters
def test_login(make_site, tiny_root: Path) -> None:
    """A terminal inside; changes stay if they are to; the shell's exit status is ours; owners are the image's."""
    site = make_site(root=tiny_root)
    terminal = login(site)
    terminal.type("test -t 0 -a -t 2 && echo kept > /root/kept; chown 5:6 /root/kept; echo do''ne\n")
    terminal.expect("done")
    terminal.type("exit 7\n")
    terminal.expect("[y/N]")
    terminal.type("y\n")
    assert terminal.wait() == 7
    kept = tiny_root / IMAGE / "root/kept"
    assert kept.read_text() == "kept\n" and (kept.stat().st_uid, kept.stat().st_gid) == (5, 6)
    assert site.traces() == []
    with site.started() as build:
        assert build.run_script("cat /root/kept").stdout == b"kept\n"


def test_login_window_size(make_site, tiny_root: Path) -> None:
    """The size is the terminal's, and follows it."""
    site = make_site(root=tiny_root)
    terminal = login(site, "--discard", rows=33, columns=111)
    terminal.type("shopt -s checkwinsize; (:); echo si''ze $LINES $COLUMNS\n")
    terminal.expect("size 33 111")
    terminal.resize(44, 122)
    deadline = time.monotonic() + PATIENCE
    while b"size 44 122" not in terminal.seen:
        assert time.monotonic() < deadline, terminal.seen
        terminal.type("(:); echo si''ze $LINES $COLUMNS\n")
        time.sleep(0.1)
        terminal._read()  # pylint: disable=protected-access
    terminal.type("exit\n")
    assert terminal.wait() == 0


@pytest.mark.supervisor_matters
def test_login_signals(make_site, tiny_root: Path) -> None:
    """Ctrl-C reaches the program inside, not the login; Ctrl-D ends the shell."""
    terminal = login(make_site(root=tiny_root), "--discard")
    terminal.type("sleep 1000\n")
    time.sleep(0.3)
    terminal.type("\x03")
    terminal.expect("^C")  # the terminal throws away what is typed before that
    time.sleep(0.3)
    terminal.type("echo stat''us $?\n")
    terminal.expect("status 130")
    terminal.expect("# ")  # what stands for the end of a file before readline reads, is another character to it
    terminal.type("\x04")
    assert terminal.wait() in (0, 130)


@pytest.mark.supervisor_matters
def test_login_terminal(make_site, tiny_root: Path) -> None:
    """Programs read the terminal and not what is typed before or after; jobs are stopped and go on; the container is
    called like the image, /tmp is its own, and it has the filter of system calls that jobs have."""
    site = make_site(root=tiny_root)
    terminal = login(site, "--discard")
    steps = (("echo wai''ting; read -r line < /dev/tty; echo rea''d $line\n", "waiting"), ("some text\n", "read some text"),
             ("echo wai''ting; cat\n", "waiting"), ("once\n", "once\r\nonce"), ("\x1a", "Stopped"),
             ("jobs; echo sta''tus $?\n", "status 0"), ("fg\n", "cat\r\n"), ("twice\n", "twice\r\ntwice"),
             ("\x04", "# "), ("echo af''ter $?\n", "after 0"),
             ("sleep 1000 & echo pi''d $!\n", "pid "), ("kill %1; wait %1; echo en''d $?\n", "end 143"),
             ("echo na''me $HOSTNAME $(echo /dev/pts/[0-9])\n", f"name {IMAGE} /dev/pts/0"),
             ("while read -r k v; do case $k in Seccomp:) echo fil''ter $v;; esac; done < /proc/self/status\n", "filter 2"),
             ("while read -r a b c d; do [ $b != /tmp ] || echo wh''at $c; done < /proc/mounts\n", "what tmpfs"),
             ("exit 9\n", "as it was"))
    for typed, expected in steps:
        terminal.type(typed)
        terminal.expect(expected)
    assert terminal.wait() == 9
    assert site.traces() == []


@pytest.mark.supervisor_matters
def test_login_container_killed(make_site, tiny_root: Path) -> None:
    """Whatever becomes of the container, the terminal is as it was, and it is not the shell's status that is told."""
    site = make_site(root=tiny_root)
    terminal = Terminal(site.argv("chroot-login", IMAGE, "--publish"))
    before = termios.tcgetattr(terminal.fd)
    terminal.type("echo rea''dy\n")
    terminal.expect("ready\r\n")
    assert termios.tcgetattr(terminal.fd) != before
    os.kill(site.supervisor_pid(), signal.SIGKILL)
    terminal.expect("lost its container")
    wait_until(lambda: termios.tcgetattr(terminal.fd) == before)
    assert terminal.wait() == 1
    assert site.traces() == []


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("number", (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL))
def test_login_killed(make_site, tiny_root: Path, number: int) -> None:
    """When the terminal goes or the login is killed, the container goes too, and the image can be used again."""
    site = make_site(root=tiny_root)
    terminal = login(site)
    os.kill(terminal.pid, number)
    terminal.wait()
    wait_until(lambda: not [command for command in host.processes().values() if "pytest" not in command and
                            (str(tiny_root) in command or str(site.runtime_dir) in command)])
    assert site.run(Job()).state == "success"
    terminal = login(site, "--publish")
    terminal.type("exit\n")
    assert terminal.wait() == 0
    assert site.traces() == []


@pytest.mark.parametrize("status, answer, published", ((0, "\n", True), (0, "n\n", False), (0, "\x04", False),
                                                       (3, "\n", False), (3, "Yes\n", True), (0, None, False),
                                                       (0, "ok\ny\n", True), (3, "really\nno\n", False)))
def test_login_asks(make_site, tiny_root: Path, status: int, answer: str | None, published: bool) -> None:
    """On a terminal the next generation is asked for; a signal, here as the question stands, is a no. What is
    neither yes nor no throws nothing away."""
    site = make_site(root=tiny_root)
    terminal = login(site)
    terminal.type(f"echo changed > /changed; exit {status}\n")
    terminal.expect("next generation")
    assert not (tiny_root / IMAGE / "changed").exists()
    if answer is None:
        os.kill(terminal.pid, signal.SIGTERM)
    else:
        terminal.type(answer)
    assert terminal.wait() == (128 + signal.SIGTERM if answer is None else status)
    assert (tiny_root / IMAGE / "changed").exists() == published
    assert site.traces() == []


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("option, status, published", (("--publish", 0, True), ("--publish", 1, False),
                                                       ("--discard", 0, False), (None, 0, True), (None, 1, False)))
def test_login_script(make_site, tiny_root: Path, option: str | None, status: int, published: bool) -> None:
    """Without a terminal nobody is asked."""
    site = make_site(root=tiny_root)
    done = subprocess.run(site.argv("chroot-login", IMAGE, *([option] if option else [])), capture_output=True,
                          input=f"touch /changed; exit {status}\n", text=True, timeout=PATIENCE, check=False)
    assert done.returncode == status, done
    assert (tiny_root / IMAGE / "changed").exists() == published
    assert site.call("chroot-login", IMAGE, "--publish", "--discard").returncode == 2


def test_login_while_in_use(make_site, tiny_root: Path) -> None:
    """A job is not disturbed by what is done to the image meanwhile, and the next one has it."""
    site = make_site(root=tiny_root)
    with site.started() as build:
        terminal = login(site, "--publish")
        terminal.type("echo new > /new; rm /etc/os-release; exit\n")
        assert terminal.wait() == 0
        assert build.run_script("test ! -e /new && ls /etc/os-release").stdout == b"/etc/os-release\n"
    with site.started() as build:
        assert build.run_script("cat /new; test ! -e /etc/os-release").stdout.startswith(b"new\n")


def test_job_while_logged_in(make_site, tiny_root: Path) -> None:
    """The other way round, too; but one at a time changes an image, and the others say for whom they wait."""
    site = make_site(root=tiny_root)
    terminal = login(site, "--discard")
    assert site.run(Job()).state == "success"
    who = re.compile(rf"Image '{IMAGE}' is being changed by chroot-login \(PID {terminal.pid}, since \d\d:\d\d\): (.*)")
    commands = (["chroot-login", IMAGE], ["chroot-rollback", IMAGE], ["chroot-remove", "--yes", IMAGE])
    for command in commands:
        done = site.call(*command, "--no-wait")
        assert done.returncode == 1 and (said := who.search(done.stderr)) and "try again" in said[1], str(done)
    waiting = [subprocess.Popen(site.argv(*command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True) for command in commands]
    for process in waiting:
        assert (said := who.search(process.stderr.readline())) and said[1] == "waiting until that is done"
    waiting[2].kill()
    waiting[0].send_signal(signal.SIGTERM)
    assert waiting[0].wait(PATIENCE) == 128 + signal.SIGTERM
    terminal.type("exit\n")
    assert terminal.wait() == 0
    assert waiting[1].wait(PATIENCE) == 1 and "no earlier generation" in waiting[1].stderr.read()
    for process in waiting:
        process.stderr.close()
        process.wait()


@contextmanager
def open_locked(path: Path) -> Iterator[None]:
    """A directory is locked as long as the block lasts."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def test_tree_is_being_removed(make_site, tiny_root: Path) -> None:
    """A job and a command that find an image's tree locked, because somebody removes it, say who does, as those do that wait
    for their turn. The process that has the locks here is this one."""
    site = make_site(root=tiny_root)
    turn = tiny_root / ".staging" / IMAGE
    turn.mkdir(parents=True)
    start = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    (turn / "holder").write_text(f"{os.getpid()} {start} {time.time_ns() // 1000} chroot-remove\n")
    with open_locked(turn), open_locked(tiny_root / IMAGE):
        who = rf"Image '{IMAGE}' is being changed by chroot-remove \(PID {os.getpid()}, since \d\d:\d\d\): try again when"
        done = site.call("chroot-run", IMAGE, "true")
        assert done.returncode == 1 and re.search(who, done.stderr), str(done)
        with pytest.raises(Failure) as failure, site.started():
            pass
        assert re.search(who, str(failure.value.args)), failure.value.args
        (turn / "holder").unlink()
        done = site.call("chroot-run", IMAGE, "true")
        assert f"Image '{IMAGE}' is being changed by another process: try again" in done.stderr, str(done)


def test_login_without_terminal(make_site, tiny_root: Path) -> None:
    """From a script, commands on standard input are carried out, or it says that it needs a terminal."""
    site = make_site(root=tiny_root)
    done = subprocess.run(site.argv("chroot-login", IMAGE), input="echo from-a-pipe; exit 3\n", capture_output=True,
                          text=True, timeout=PATIENCE, check=False)
    assert (done.returncode == 3 and "from-a-pipe" in done.stdout) or \
        (done.returncode in (1, 2) and "terminal" in done.stderr), str(done)


def test_login_no_such_image(make_site, tiny_root: Path) -> None:
    """Names the image and lists those there are."""
    done = make_site(root=tiny_root).call("chroot-login", "no-such")
    assert done.returncode == 1 and "no-such" in done.stderr and IMAGE in done.stderr, str(done)
