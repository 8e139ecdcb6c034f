# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job cannot do and cannot see, held against what systemd-nspawn itself allows."""

import re
import json
import os
import socket
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest

import host
from lab import IMAGE, Lab, Site
from simulation.build import Build
from simulation.jobspec import Job, Variable

pytestmark = pytest.mark.supervisor_matters

# System calls with arguments that are wrong in every respect but the right to call them: x86_64, then i386 numbers.
CALLS = {
    "kexec_load": (246, 283), "kexec_file_load": (320, None), "bpf": (321, 357), "keyctl": (250, 288),
    "add_key": (248, 286), "request_key": (249, 287), "perf_event_open": (298, 336), "open_by_handle_at": (304, 342),
    "swapon": (167, 87), "swapoff": (168, 115), "iopl": (172, 110), "ioperm": (173, 101), "init_module": (175, 128),
    "finit_module": (313, 350), "delete_module": (176, 129), "acct": (163, 51), "quotactl": (179, 131),
    "lookup_dcookie": (212, 253), "syslog": (103, 103), "settimeofday": (164, 79), "clock_settime": (227, 264),
    "process_vm_readv": (310, 347), "userfaultfd": (323, 374), "modify_ldt": (154, 123), "uselib": (134, 86),
    "fanotify_init": (300, 338), "move_pages": (279, 317), "migrate_pages": (256, 294), "io_uring_setup": (425, 425),
    "nfsservctl": (180, 169), "vhangup": (153, 111), "pivot_root": (155, 217), "mount": (165, 21), "umount2": (166, 52),
    "open_tree": (428, 428), "mount_setattr": (442, 442), "fsopen": (430, 430), "setns": (308, 346),
    "name_to_handle_at": (303, 341), "ptrace": (101, 26), "personality": (135, 136), "kcmp": (312, 349),
    "chroot": (161, 61), "sethostname": (170, 74), "memfd_secret": (447, 447), "openat2": (437, 437),
    "landlock_create_ruleset": (444, 444), "unknown_to_all": (1023, 1023), "socketcall": (1024, 102),
}
# Address families with the type of a socket that any process may make, where the kernel has them.
FAMILIES = {"UNIX": (1, 1), "INET": (2, 1), "INET6": (10, 1), "NETLINK": (16, 3), "X25": (9, 5), "CAN": (29, 3),
            "TIPC": (30, 5), "BLUETOOTH": (31, 3), "ALG": (38, 5), "NFC": (39, 3), "VSOCK": (40, 1), "KCM": (41, 2),
            "QIPCRTR": (42, 2), "SMC": (43, 1), "XDP": (44, 3)}
FAMILIES_ALLOWED = ("UNIX", "INET", "INET6", "NETLINK")
# What systemd-nspawn allows and we do not.
TIGHTER = {"io_uring_setup", "userfaultfd", "socketcall"}
REFUSED = ("kexec_load", "kexec_file_load", "bpf", "keyctl", "add_key", "request_key", "perf_event_open", "swapon",
           "swapoff", "finit_module", "init_module", "acct", "open_by_handle_at")

PROBE = """\
import ctypes, json, mmap, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
calls, families = json.loads(sys.argv[1])
def by_number(number):
    ctypes.set_errno(0)
    return 0 if libc.syscall(number, *[ctypes.c_long(-1)] * 6) >= 0 else ctypes.get_errno()
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
                 flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
def by_int80(number):
    # push rbx; mov eax, number; ebx = ecx = edx = esi = edi = -1; int 0x80; pop rbx; ret
    page.seek(0)
    minus_one = b"\\xff\\xff\\xff\\xff"
    arguments = b"".join(bytes([opcode]) + minus_one for opcode in b"\\xbb\\xb9\\xba\\xbe\\xbf")
    page.write(b"\\x53\\xb8" + struct.pack("<I", number) + arguments + b"\\xcd\\x80\\x5b\\xc3")
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    return -result if result < 0 else 0
def isolated(call, number):
    # In a child: a filter may also kill, and a successful call may change the caller.
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, str(call(number)).encode())
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 20).decode()
    os.close(reader)
    status = os.waitpid(pid, 0)[1]
    return int(answer) if answer else "signal %d" % (status & 127)
results = {}
for name, (wide, narrow) in calls.items():
    results[name] = isolated(by_number, wide)
    if narrow is not None:
        results["i386 " + name] = isolated(by_int80, narrow)
def audit(_):
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
        return 0
    except OSError as error:
        return error.errno
results["audit socket"] = isolated(audit, 0)
def family_of(arguments):
    try:
        socket.socket(*arguments)
        return 0
    except OSError as error:
        return error.errno
for name, arguments in families.items():
    results["socket " + name] = isolated(family_of, arguments)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
for name in ("CapBnd", "CapEff", "CapInh", "CapPrm", "CapAmb", "Seccomp", "NoNewPrivs"):
    results[name] = status[name].strip()
print(json.dumps(results))
"""
EPERM = 1
EAFNOSUPPORT = 97
CAP_MKNOD = 1 << 27


def probe_command(calls: dict) -> list[str]:
    """The command line that tries all calls and prints what became of each."""
    return ["/usr/bin/python3", "-c", PROBE, json.dumps([calls, FAMILIES])]


def in_job(build: Build, calls: dict | None = None) -> dict:
    """What the calls give inside a job."""
    from simulation.shellscript import escape
    command = " ".join(escape(word) for word in probe_command(calls or CALLS))
    return json.loads(build.run_script(command).stdout)


@pytest.fixture(scope="module", name="bare")
def bare_nspawn(lab: Lab) -> dict[bool, dict]:
    """What systemd-nspawn itself allows, with and without a user namespace."""
    results = {}
    for private_users in (True, False):
        users = ["--private-users=1879048192:65536", "--private-users-ownership=map"] if private_users else \
            ["--private-users=no"]
        done = subprocess.run(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay",
                               "--console=pipe", *users, "-D", lab.image(), "--", *probe_command(CALLS)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if private_users and done.returncode:  # an overlay on an idmapped tree needs a newer nspawn
            continue
        assert done.returncode == 0, done.stderr
        results[private_users] = json.loads(done.stdout)
    return results


def test_system_calls(any_site: Site) -> None:
    """Refused in every combination, in 64-bit and in 32-bit programs."""
    with any_site.started() as build:
        results = in_job(build)
    assert results["Seccomp"] == "2"
    for name in (*REFUSED, *TIGHTER):
        for key in (name, "i386 " + name):
            if key != "socketcall":  # 64-bit programs have none
                assert results.get(key, EPERM) in (EPERM, "signal 31"), (key, results[key])
    for name in FAMILIES:
        assert results[f"socket {name}"] == (0 if name in FAMILIES_ALLOWED else EAFNOSUPPORT), (name, results)


def test_as_systemd_nspawn(make_site, bare: dict[bool, dict]) -> None:
    """Neither more nor less than nspawn's own filter and capabilities, where the two can be compared, but for what
    docs/security.md says. And nothing is inheritable."""
    assert bare
    for private_users, expected in bare.items():
        with make_site(private_users=private_users).started() as build:
            results = in_job(build)
        if not private_users:
            # Without a user namespace device nodes would be real ones: we take that capability away.
            for name in ("CapBnd", "CapEff", "CapInh", "CapPrm"):
                expected[name] = f"{int(expected[name], 16) & ~CAP_MKNOD:016x}"
        expected["CapInh"] = f"{0:016x}"
        differing = {key: (results[key], expected[key]) for key in expected if results[key] != expected[key] and
                     key.removeprefix("i386 ") not in TIGHTER and not key.startswith("socket ")}
        assert differing == {}, f"ours, nspawn's ({private_users=})"


def test_seccomp_off_and_extended(make_site) -> None:
    """seccomp: no leaves the calls to the kernel; system_call_filter allows single ones or groups more."""
    with make_site(seccomp=False).started() as build:
        # A host that runs in a container itself has a filter already: then no more than that.
        ours = re.search(r"^Seccomp:\s*(\d)", Path("/proc/self/status").read_text(), re.M)
        assert ours and in_job(build)["Seccomp"] == ours[1]
    with make_site(system_call_filter=["@keyring", "bpf", "@aio", "userfaultfd", "socket",
                                       "socketcall"]).started() as build:
        results = in_job(build)
    assert results["keyctl"] != EPERM and results["i386 add_key"] != EPERM and results["kexec_load"] == EPERM
    assert results["io_uring_setup"] != EPERM and results["i386 socketcall"] != EPERM
    # Whether this kernel has them, and lets a job have them, is another matter.
    for name, arguments in FAMILIES.items():
        try:
            socket.socket(*arguments).close()
            ours = 0
        except OSError as error:
            ours = error.errno
        assert (results[f"socket {name}"] == EAFNOSUPPORT) == (ours == EAFNOSUPPORT), name


def test_images_of_32_bit_x86(make_site, lab: Lab) -> None:
    """Their programs make sockets with a call that is refused elsewhere. Those of the administrator's images may."""
    code = bytes.fromhex("6a00 6a01 6a01 89e1"  # push 0, SOCK_STREAM, AF_UNIX; ecx = esp
                         "bb01000000 b866000000 cd80"  # socketcall(SYS_SOCKET, ecx)
                         "89c3 c1eb1f b801000000 cd80")  # exit(eax < 0)
    header = struct.pack("<4s5B7xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 0, 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0,
                         0, 0) + struct.pack("<8I", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 4096)
    site = make_site(boot="no")
    tree = site.root / "of-32-bit-x86"
    subprocess.run(["cp", "-a", lab.tiny_image(), tree], check=True)
    try:
        (tree / "usr/bin/try-socket").write_bytes(header + code)
        (tree / "usr/bin/try-socket").chmod(0o755)
        for shell, status in (("bash", "1"), ("try-socket", "0")):
            (tree / "usr/bin/sh").unlink(missing_ok=True)
            (tree / "usr/bin/sh").symlink_to(shell)
            with site.started(Job(image=tree.name)) as build:
                out = build.run_script("#!/bin/bash\ntry-socket; echo $?\n", raw=True).stdout.decode()
                assert out == f"{status}\n", shell
    finally:
        host.remove_tree(tree)


def test_unknown_system_call_name(make_site) -> None:
    """A misspelt name is an error that names it, not a filter without it."""
    site = make_site(system_call_filter=["@no-such-group"])
    result = site.run(Job())
    assert result.failure_reason == "runner_system_failure" and "@no-such-group" in result.log, str(result)


def test_filter_is_kept(any_boot_site: Site) -> None:
    """The filter is compiled once: the second job finds it."""
    any_boot_site.forget_filters()
    with any_boot_site.started():
        pass
    before = {path: path.stat().st_mtime_ns for path in any_boot_site.runtime_dir.rglob("*") if path.is_file()}
    filters = [path for path in before if "seccomp" in str(path)]
    assert filters, before
    with any_boot_site.started():
        pass
    assert [path for path in filters if path.stat().st_mtime_ns != before[path]] == []


def test_filter_that_was_tampered_with(site: Site) -> None:
    """A damaged kept filter (full disk, crash) is made again or refused; it never means no filter."""
    with site.started():
        pass
    for content in (b"", b"\x00", b"\x06\x00\x00\x00\x00\x00\xff\x7f"):
        for path in [p for p in site.runtime_dir.rglob("*") if p.is_file() and "seccomp" in str(p)]:
            path.write_bytes(content[:len(content) if len(content) != 8 else 4])
        build = Build(site.runner(), Job())
        build.start_attempt()
        build.config()
        build.start_build()
        call = build.start("prepare", build.runner.prepare_exec)
        assert call.wait()
        if call.returncode == 0:
            assert in_job(build)["keyctl"] == EPERM
        build.cleanup()
    site.forget_filters()


def test_uid_range(any_site: Site) -> None:
    """With a user namespace: 196608 UIDs and GIDs of the job's own, none of them the host's. Each block of 65536 is
    locked as systemd-nspawn does it. Files can have any of these owners, among them the subordinate ids that Debian
    gives to users."""
    with any_site.started() as build:
        maps = build.run_script("cat /proc/self/uid_map /proc/self/gid_map").stdout.decode().splitlines()
        for inside, outside, size in (map(int, line.split()) for line in maps):
            if any_site.settings["private_users"]:
                assert inside == 0 and outside >= 65536 and outside % 65536 == 0 and size == 196608
                blocks = {str(outside + block) for block in (0, 65536, 131072)}
                assert host.held_uid_locks(blocks) == blocks
            else:
                assert (inside, outside) == (0, 0)
        if any_site.settings["private_users"]:
            for pid in any_site.container_pids():
                assert os.stat(f"/proc/{pid}").st_uid >= 65536
            out = build.run_script("touch f; chown 100000:165535 f; cd /usr; setpriv --reuid 165535 --regid 100000 "
                                   "--clear-groups id -u; stat -c %u:%g ~/f; chown 196607 ~/f && stat -c %u ~/f").stdout
            assert out.decode().split() == ["165535", "100000:165535", "196607"]
            call = build.start_script("touch g; chown 196608 g")
            assert call.wait() and call.returncode != 0 and b"Invalid argument" in call.stderr


@pytest.mark.parametrize("boot", ("no", "yes"))
def test_uid_range_setting(make_site, boot: str) -> None:
    """Another width, of one block and of many, with a lock for each block."""
    for width in (65536, 64 * 65536):
        with make_site(uid_range=width, boot=boot).started() as build:
            inside, base, size = map(int, build.run_script("cat /proc/self/uid_map").stdout.split())
            blocks = {str(base + block) for block in range(0, width, 65536)}
            assert (inside, size) == (0, width) and host.held_uid_locks(blocks) == blocks


@pytest.mark.parametrize("storage", ("overlay", "btrfs"))
def test_owners_above_the_range(make_site, lab: Lab, storage: str) -> None:
    """What an image has of users that jobs do not have belongs to nobody: root may read it as others may, and change or
    remove none of it. A wider range makes it root's to change."""
    site = make_site(storage=storage)
    tree = site.root / "with-owners"
    subprocess.run(["cp", "-a", lab.tiny_image(), tree], check=True)
    try:
        for name, mode in (("open", 0o644), ("secret", 0o600)):
            (tree / name).write_text(name)
            os.chown(tree / name, 200000, 200001)
            (tree / name).chmod(mode)
        script = "set +e; stat -c %u:%g /open; cat /open /secret; echo x >/open; chown 0 /open; rm -f /open /secret; ls /open"
        with site.started(Job(image=tree.name)) as build:
            call = build.start_script(script)
            assert call.wait() and call.stdout == b"65534:65534\nopen/open\n", call
        site.settings["uid_range"] = 4 * 65536
        site.write_config()
        with site.started(Job(image=tree.name)) as build:
            call = build.start_script(script)
            assert call.wait() and call.stdout == b"200000:200001\nopensecret", call
    finally:
        host.remove_tree(tree)


def test_namespaces(any_site: Site) -> None:
    """Each job has namespaces of its own; the network is the host's by default."""
    with any_site.started() as build:
        build.run_script("sleep 1000 >/dev/null 2>&1 &")
        for pid in any_site.container_pids():
            for kind in ("mnt", "pid", "uts", "ipc"):
                assert host.namespace(pid, kind) != host.namespace("self", kind), kind
            differs = host.namespace(pid, "user") != host.namespace("self", "user")
            assert differs == any_site.settings["private_users"]
            if differs:  # what the kernel counts for its owner is not counted for the host's root
                assert host.namespace_owner(pid) == int(host.read(f"/proc/{pid}/uid_map").split()[1])
            assert host.namespace(pid, "net") == host.namespace("self", "net")


INOTIFY = """
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
n = 0
while n < 10000 and libc.inotify_init1(0) >= 0:
    n += 1
print(n, os.strerror(ctypes.get_errno()), flush=True)
time.sleep(1000 if os.environ.get("HOLD") else 0)
"""


def test_inotify_of_one_job(site: Site) -> None:
    """A job that uses up its inotify instances takes none from others."""
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    count = min(limit, 10000)
    greedy, other = (Build(site.runner(), Job()) for _ in range(2))
    script = f"ulimit -n 16384; cat > i.py <<'END'\n{INOTIFY}\nEND\n"
    for build in (greedy, other):
        build.begin()
    greedy.run_script(script + "mkfifo f; HOLD=1 python3 i.py > f 2>&1 & read -r n why < f; "
                      f"test $n = {count}; python3 i.py | grep -q '^0 ' || test $n = 10000")
    assert other.run_script(script + "python3 i.py").stdout.split()[0] == str(count).encode()
    for build in (greedy, other):
        build.cleanup()


def test_environment_is_exact(any_site: Site) -> None:
    """The script's environment: a few variables and nothing of the host's or the job's. The host name is the container's, also
    for what runs in no shell."""
    with any_site.started(own_environ={**os.environ, "SECRET_OF_THE_RUNNER": "1", "LD_PRELOAD": ""}) as build:
        raw = build.run_script("#!/bin/bash\ncat /proc/$$/environ\n", raw=True).stdout
        name = build.run_script("hostname").stdout.decode().strip()
    assert dict(entry.split("=", 1) for entry in raw.decode().rstrip("\0").split("\0")) == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root",
        "LOGNAME": "root", "HOSTNAME": name, "SHELL": "/bin/bash", "CI_DISPOSABLE_ENVIRONMENT": "true",
        "LANG": "C.UTF-8", "container": "systemd-nspawn"}


def test_variables_of_the_shell(site: Site) -> None:
    """BASH_ENV of a job has an effect on the shell of its own steps, as with Docker, also as a variable of type file; not on the
    shell of GitLab Runner's own."""
    for variable in (Variable("BASH_ENV", "/tmp/start"), Variable("BASH_ENV", "content", file=True)):
        job = Job(image=IMAGE, variables=[variable, Variable("MINE", "not before the script sets it")])
        with site.started(job) as build:
            path = "/tmp/start" if not variable.file else f"{build.environment()['CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR']}/BASH_ENV"
            build.run_script(f"mkdir -p $(dirname {path}); echo STARTED=yes >{path}", "get_sources", raw=True)
            show = 'echo "$STARTED $MINE"'
            assert build.run_script(show, raw=True).stdout == b"yes \n"
            assert build.run_script(show, "get_sources", raw=True).stdout == b" \n"


def test_host_is_not_visible(any_site: Site) -> None:
    """No file, process, mount or socket of the host's; the driver's own are read-only or unreachable."""
    marker = any_site.directory / "on-the-host"
    marker.write_text("contents-of-the-host")
    with any_site.started(own_environ={**os.environ, "SECRET_OF_THE_RUNNER": "1"}) as build:
        script = f"""test ! -e {marker} -a ! -e {any_site.directory} -a ! -e {build.tempdir}
test ! -e {any_site.lab.driver}; ls /proc | grep -c '^[0-9]' ; grep -c nspawn-runner-tests /proc/self/mountinfo || :"""
        processes, _ = map(int, build.run_script(script).stdout.split())
        assert processes < len(host.processes())
        assert "SECRET_OF_THE_RUNNER" not in build.run_script("cat /proc/[0-9]*/environ").stdout.decode()
        call = build.start_script("for f in $(ls /proc/1/fd); do readlink /proc/1/fd/$f || :; done")
        assert call.wait()
        assert str(any_site.directory) not in call.output and str(any_site.root) not in call.output


def test_agent_cannot_be_changed(any_site: Site) -> None:
    """The agent's binary inside cannot be written, replaced or removed."""
    with any_site.started() as build:
        script = """for f in $(grep -o '/run/nspawn-runner[^ ]*agent' /proc/self/mountinfo | sort -u); do
  echo "found $f"; for try in "rm -f $f" "mv $f $f.old" "cp /bin/true $f" "truncate -s 0 $f" "chmod 777 $f"; do
    if $try 2>/dev/null; then echo "worked: $try"; fi; done; done"""
        output = build.run_script(script).stdout.decode()
        assert "worked" not in output, output
        assert build.run_script("echo still").stdout == b"still\n"
    assert host.read(any_site.lab.driver.parent / "nspawn-runner-agent")[:4] in ("\x7fELF", "")


@pytest.mark.parametrize("command", ("mknod /root/sda b 8 0",
                                     "mount -t proc proc /mnt -o hidepid=0 && cat /mnt/1/environ | grep -q HOST",
                                     "echo 1 > /proc/sysrq-trigger", "echo x > /proc/sys/kernel/core_pattern",
                                     "echo 1 > /sys/kernel/uevent_seqnum", "dmesg --clear", "modprobe dummy",
                                     "date -s 2001-01-01", "echo 0 > /proc/sys/kernel/randomize_va_space",
                                     "test -w /sys/fs/cgroup/cgroup.procs && test -e /dev/kmsg && echo x > /dev/kmsg"))
def test_what_root_may_not_do(site: Site, command: str) -> None:
    """Root of the container has no power over the host."""
    with site.started() as build:
        call = build.start_script(f"if {command} 2>/dev/null; then echo worked; fi")
        assert call.wait() and b"worked" not in call.stdout, command


def test_devices(any_site: Site) -> None:
    """/dev holds the usual nodes only."""
    with any_site.started() as build:
        nodes = set(build.run_script("find /dev -type b -o -type c").stdout.decode().split())
    allowed = {f"/dev/{n}" for n in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx", "console",
                                     "net/tun", "fuse")}
    assert not {node for node in nodes - allowed if not node.startswith("/dev/pts/")}, nodes


@pytest.mark.parametrize("storage", ("overlay", "btrfs", "tmpfs"))
def test_devices_of_an_image(make_site, lab: Lab, storage: str) -> None:
    """A node of a device that an image brings along opens nothing, whatever its mode says."""
    site = make_site(storage=storage)
    tree = site.root / "with-device"
    subprocess.run(["cp", "-a", lab.tiny_image(), tree], check=True)
    try:
        os.mknod(tree / "node", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (tree / "node").chmod(0o666)
        with site.started(Job(image=tree.name)) as build:
            out = build.run_script("test -w /node; test -c /node; if echo x >/node; then echo opened; fi; "
                                   "echo x >/dev/null; echo end").stdout
            assert out == b"end\n"
    finally:
        host.remove_tree(tree)


def test_machine_ids(any_boot_site: Site) -> None:
    """Two jobs of one image do not share a machine-id, which would make them one to dbus, journal and DHCP."""
    seen = []
    for _ in range(2):
        with any_boot_site.started() as build:
            seen.append(build.run_script("cat /etc/machine-id || :").stdout.strip())
    assert not seen[0] or seen[0] != seen[1]


class Listener:
    """A server on the host's loopback."""

    def __enter__(self) -> int:
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()
        return self.server.getsockname()[1]

    def serve(self) -> None:
        """Greets each caller."""
        try:
            while True:
                connection, _ = self.server.accept()
                connection.sendall(b"host\n")
                connection.close()
        except OSError:
            pass

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.mark.parametrize("network, boot", (("host", "no"), ("host", "yes"), ("none", "no"), ("none", "yes")))
def test_network(make_site, network: str, boot: str) -> None:
    """host: the host's loopback answers and names resolve as there. none: only a loopback of the job's own."""
    with Listener() as port, make_site(network=network, boot=boot).started() as build:
        call = build.start_script(f"exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3")
        assert call.wait()
        links = build.run_script("ls /sys/class/net; sed 1,2d /proc/net/dev | cut -d: -f1").stdout.decode().split()
        if network == "host":
            assert call.stdout == b"host\n", call.output
            ours = Path("/etc/resolv.conf").read_text() if Path("/etc/resolv.conf").exists() else None
            if ours is not None:
                assert build.run_script("cat /etc/resolv.conf").stdout.decode() == ours
        else:
            assert call.returncode == 1 and b"host" not in call.stdout
            assert "lo" in links and not set(links) & {"eth0", "ens3", "host0"}
            server = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); " \
                     "socket.create_connection(s.getsockname()); print(\"lo works\")'"
            assert build.run_script(server).stdout == b"lo works\n"


def test_socket_is_not_for_others(site: Site) -> None:
    """Only root of the host reaches the agent's socket and the job's state."""
    with site.started():
        for path in [site.runtime_dir / "jobs", *(site.runtime_dir / "jobs").rglob("*")]:
            if path.is_socket() or path.name in ("machine.json", "console.log"):
                reachable = all(parent.stat().st_mode & 0o001 for parent in path.parents
                                if parent.is_relative_to(site.runtime_dir))
                assert not (reachable and path.stat().st_mode & 0o007), path
