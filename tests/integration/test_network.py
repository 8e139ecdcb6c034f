# SPDX-License-Identifier: GPL-3.0-or-later
"""The private network of a job: what it reaches, what it does not, what may be done in it, and that nothing of it is left.
The driver runs in a network namespace that stands for the host (world.py)."""

import ipaddress
import json
import os
import re
import select
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import world
from lab import IMAGE, Site
from pace import PATIENCE, wait_until
from simulation.build import Build
from simulation.jobspec import Job
from world import World

# Connects, or sends a datagram, and prints what the other end says or why it does not; a list of all.
CALLER = """\
import errno, json, socket, sys
def call(address, port, kind="tcp", patience=60):
    family = socket.AF_UNIX if address[:1] == "@" else socket.AF_INET6 if ":" in address else socket.AF_INET
    where = "\\0" + address[1:] if family == socket.AF_UNIX else (address, port)
    if "%" in address:
        where = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4]
    with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as s:
        s.settimeout(patience)
        try:
            s.connect(where)
            if kind == "udp":
                s.send(b"x")
            return s.recv(100).decode()
        except OSError as error:
            return errno.errorcode.get(error.errno, type(error).__name__)
print(json.dumps([call(*place) for place in json.loads(sys.argv[1])]))
"""
REFUSED = ("EHOSTUNREACH", "EACCES")


@pytest.fixture
def lonely() -> Iterator[World]:
    """A host without IPv6."""
    yield from made(False)


@pytest.fixture
def lan() -> Iterator[World]:
    """A host with both."""
    yield from made(True)


def made(ipv6: bool) -> Iterator[World]:
    """A world, and its end."""
    there = World(ipv6)
    try:
        yield there
    finally:
        there.close()


@pytest.fixture
def private(make_site: Callable[..., Site], lan: World) -> Callable[..., Site]:
    """Makes sites on that host."""
    def make(there: World = lan, **settings: Any) -> Site:
        made_site = make_site(**{"network": "private", **settings})
        made_site.wrapper = there.wrapper
        return made_site
    return make


def ask(build: Build, *places: tuple) -> list[str]:
    """What a job hears from those places."""
    script = f"python3 -c '{CALLER}' '{json.dumps(places)}'"
    return json.loads(build.run_script(script).stdout)


def serve(build: Build, port: int, text: str) -> None:
    """A server in a job that says that to everybody, on all its addresses."""
    build.run_script(f"""python3 -c '
import os, socket
server = socket.create_server(("::", {port}), family=socket.AF_INET6, dualstack_ipv6=True)
if os.fork():
    os._exit(0)
os.setsid()
for fd in (0, 1, 2):
    os.dup2(os.open("/dev/null", os.O_RDWR), fd)
while True:
    connection, _ = server.accept()
    connection.sendall(b"{text}")
    connection.close()
'""")


def address_of(build: Build, family: int = 4) -> str:
    """The address of a job."""
    lines = build.run_script("cat /etc/hosts").stdout.decode().splitlines()
    own = [line.split()[0] for line in lines if line.split()[1:] == [build.run_script("hostname").stdout.decode().strip()]]
    return own[0 if family == 4 else 1]


@pytest.mark.parametrize("boot", ("no", "yes"))
def test_ways(private: Callable[..., Site], lan: World, boot: str) -> None:
    """A job reaches the world and the host's addresses, with IPv4 and IPv6, under the host's address; it reaches neither
    loopback, abstract sockets and link-local addresses of the host, nor what the world has of these."""
    far, far6 = lan.greet(lan.far, world.FAR, 80, "far"), lan.greet(lan.far, world.FAR6, 80, "far6")
    lan.greet(lan.far, world.FAR, 80, "udp", socket.SOCK_DGRAM)
    lan.greet(lan.far, world.METADATA, 80, "metadata")
    for address in ("0.0.0.0", "::"):
        lan.greet(lan.host, address, 8080, "host")
    lan.greet(lan.host, "\0nspr-test", 0, "abstract")
    lan.host_ip("address", "add", "169.254.7.7/16", "dev", "uplink")
    local6 = next(word.split("/")[0] for word in lan.host_ip("-6", "-o", "address").split() if word.startswith("fe80"))
    site = private(boot=boot)
    with site.started() as build:
        assert ask(build, (world.FAR, 80), (world.FAR6, 80), (world.FAR, 80, "udp"), (world.HOST, 8080),
                   (world.HOST6, 8080)) == ["far", "far6", "udp", "host", "host"]
        assert far.callers == [world.HOST] and far6.callers == [world.HOST6]
        assert ask(build, ("127.0.0.1", 8080), ("::1", 8080), ("@nspr-test", 0)) == ["ECONNREFUSED"] * 3
        kept = ask(build, (world.METADATA, 80), ("169.254.7.7", 8080), (f"{local6}%eth0", 8080, "tcp", 1),
                   ("fe80::2%eth0", 8080, "tcp", 1))
        assert all(answer in REFUSED for answer in kept[:2]), kept
        assert "host" not in kept, kept
        (row,) = json.loads(site.call("status", "--json").stdout)["jobs"]
        assert row["address"] == address_of(build)
        # The host reaches the job, as it reaches any neighbour.
        serve(build, 80, "job")
        caller = world.inside(lan.host, lambda: socket.create_connection((address_of(build), 80)))
        assert caller.recv(100) == b"job"
        caller.close()
        assert len(lan.interfaces()) == 1
    lan.wait_until_gone()


def test_jobs_apart(private: Callable[..., Site], lan: World) -> None:
    """Two jobs may both listen on port 80, and do not reach each other, also when the host's firewall is loaded anew."""
    with private().started() as one, private().started() as two:
        for build, text in ((one, "one"), (two, "two")):
            serve(build, 80, text)
        places = [(address_of(two), 80), (address_of(two, 6), 80), ("127.0.0.1", 80), (address_of(one), 80)]
        for _ in range(2):
            answers = ask(one, *places)
            assert all(answer in REFUSED for answer in answers[:2]) and answers[2:] == ["one", "one"], answers
            lan.nft("flush ruleset")
        lan.greet(lan.far, world.FAR, 80, "far")
        with private().started() as three:  # brings the rules back, for all
            assert ask(three, (world.FAR, 80)) == ask(one, (world.FAR, 80)) == ["far"]
            assert all(answer in REFUSED for answer in ask(three, *places[:2]))


def test_what_root_may_do(private: Callable[..., Site]) -> None:
    """Root of a job may change its network; others may listen on all ports, and everybody may use ping."""
    script = """\
import ctypes, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def ping(kind):
    s = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
    s.settimeout(60)
    packet = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"hello"
    total = sum(struct.unpack("!7H", packet + bytes(1)))
    total = (total & 0xffff) + (total >> 16)
    packet = packet[:2] + struct.pack("!H", ~total & 0xffff) + packet[4:]
    s.sendto(packet, (os.environ["FAR"], 0))
    while b"hello" not in s.recv(200):
        pass
def link(name):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    name = name.encode() + bytes(1)
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + struct.pack("HH", 4 + len(name), 3) + name + bytes(-len(name) % 4)
    body += struct.pack("HHHH", 4 + 4 + 7 + 1, 18, 4 + 7, 1) + b"bridge" + bytes(2)
    s.send(struct.pack("IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
    return struct.unpack("i", s.recv(200)[16:20])[0]
ping(socket.SOCK_RAW)
print("link", link("mine"))
print("unshare", libc.unshare(0x40000000), os.listdir("/proc/self/net/dev_snmp6"))
"""
    other = script.partition("ping(socket.SOCK_RAW)")[0] + """
os.setgid(65534); os.setuid(65534)
ping(socket.SOCK_DGRAM)
socket.create_server(("", 80)).close()
print("fine")
"""
    with private().started() as build:
        build.run_script(f"cat >/tmp/root.py <<'END'\n{script}\nEND\ncat >/tmp/other.py <<'END'\n{other}\nEND")
        done = build.run_script(f"FAR={world.FAR} python3 /tmp/root.py; FAR={world.FAR} python3 /tmp/other.py")
        assert done.stdout.decode().splitlines() == ["link 0", "unshare 0 ['lo']", "fine"]


def test_forged_sources(private: Callable[..., Site], lan: World) -> None:
    """Packets with addresses that a job does not have, or that are for no single machine, stay in its segment; and so does
    what the hub answers to them."""
    far = lan.greet(lan.far, world.FAR, 53, "far", socket.SOCK_DGRAM)
    on_host = lan.greet(lan.host, "0.0.0.0", 53, "host", socket.SOCK_DGRAM)
    script = f"""\
import socket, struct
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
def send(source, target, protocol=17, data=struct.pack("!HHHH", 53, 53, 9, 0) + b"x"):
    raw.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, 0, 9, protocol, 0, socket.inet_aton(source),
                           socket.inet_aton(target)) + data, (target, 0))
hub = [line.split()[2] for line in open("/proc/net/route") if line.split()[1] == "00000000"][0]
hub = socket.inet_ntoa(bytes.fromhex(hub)[::-1])
for source in ("{world.FAR}", "{world.METADATA}", "{world.HOST}"):
    send(source, hub, 1, struct.pack("!BBHHH", 8, 0, 0xf7fd, 1, 1))
    send(source, hub, 6, struct.pack("!HHIIBBHHH", 9, 9, 1, 0, 0x50, 2, 9, 0, 0))
    send(source, hub)
    send(source, "{world.FAR}")
own = socket.gethostbyname(socket.gethostname())
for target in ("{world.FAR}", "{world.HOST}"):
    for source in ("10.99.0.1", "{world.HOST}", "127.0.0.1", own):
        send(source, target)
for target in ("255.255.255.255", "224.0.0.251", "127.0.0.1"):
    send(own, target)
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
plain.connect(("{world.FAR}", 53))
plain.send(b"last")
print(plain.recv(100).decode())
"""
    heard = [world.inside(there, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
             for there in (lan.far, lan.host)]
    with private().started() as build:
        own = address_of(build)
        assert build.run_script(f"python3 -c '{script}'").stdout == b"far\n"
    assert set(far.callers) == {world.HOST} and len(far.callers) == 2
    assert on_host.callers == [own]
    for end in heard:
        with end:
            while select.select([end], [], [], 0)[0]:
                packet = end.recv(200)
                assert packet[20:22] not in (b"\0\0", b"\3\x0d") and b"\0x" not in packet, packet  # echo, prohibited, ours


def test_addresses(private: Callable[..., Site], lan: World) -> None:
    """Blocks that the host reaches otherwise are left out. A pool that it uses as a whole is not used: another one is
    taken, or, when it was asked for, the job is told."""
    lan.host_ip("route", "add", "10.0.0.0/8", "via", world.ROUTER)
    with private().started() as build:
        assert address_of(build).startswith("172.30.")
    done = private(network_pool="10.20.0.0/16").call("chroot-run", IMAGE, "--", "true")
    assert done.returncode > 0 and "network_pool 10.20.0.0/16" in done.stderr, str(done)
    site = private(network_pool="192.168.200.0/25")
    lan.host_ip("route", "add", "192.168.200.64/28", "via", world.ROUTER)
    with site.started() as build:
        assert address_of(build) == "192.168.200.2"
        done = site.call("chroot-run", IMAGE, "--", "true")
        assert done.returncode > 0 and "all 2 blocks" in done.stderr, str(done)


def test_killed(private: Callable[..., Site], lan: World) -> None:
    """The interface goes with the supervisor, however that ends."""
    site = private()
    with site.started():
        assert len(lan.interfaces()) == 1
        os.kill(site.supervisor_pid(), signal.SIGKILL)
        lan.wait_until_gone()


def test_firewall(private: Callable[..., Site], lan: World) -> None:
    """A firewall of the host that drops what is forwarded is noticed, whichever way it does that, and its administrator is
    told what to allow."""
    site = private(network_backend="nat")
    drop = "add chain inet theirs forward { type filter hook forward priority 0; policy drop; }"
    for rule in (drop, drop.replace("drop", "accept"), "add rule inet theirs forward reject with icmpx admin-prohibited"):
        lan.nft("add table inet theirs", rule)
        done = site.call("chroot-run", IMAGE, "--", "true")
        if "policy accept" in rule:
            assert done.returncode == 0, str(done)
        else:
            assert done.returncode > 0 and "firewall" in done.stderr and "nspr-*" in done.stderr, str(done)
    lan.nft('insert rule inet theirs forward iifname "nspr-*" accept', 'insert rule inet theirs forward oifname "nspr-*" accept')
    lan.greet(lan.far, world.FAR, 80, "far")
    with site.started() as build:
        assert ask(build, (world.FAR, 80)) == ["far"]


def test_emptied_table(private: Callable[..., Site], lan: World) -> None:
    """Whoever takes all rules out of the driver's table, and leaves its chains there, is no firewall that drops packets."""
    site = private(network_backend="nat")
    lan.greet(lan.far, world.FAR, 80, "far")
    for _ in range(2):
        with site.started() as build:
            assert ask(build, (world.FAR, 80)) == ["far"]
        lan.nft("flush table inet nspawn-runner")


def test_changes_are_noted_once(private: Callable[..., Site], lan: World) -> None:
    """Which of the kernel's settings were changed is noted, and not again for each host or job that needs the same."""
    site, noted = private(), Path("/run/nspawn-runner/changed-sysctls")

    def counts() -> dict[str, int]:
        lines = noted.read_text().splitlines()
        return {line: lines.count(line) for line in lines}

    with site.started():
        before = counts()
    assert "net/ipv4/ip_forward was 0" in before and "net/ipv6/conf/all/forwarding was 0" in before
    again = World(True)
    try:
        with private(again).started():
            assert counts() == before
    finally:
        again.close()


# Opens connections by single packets of UDP, half of them from an address that the job's container does not have itself. Then
# tells how many it could open with a socket that hears of errors.
MANY = """\
import socket, struct, sys
far, first, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
own = socket.inet_aton(socket.gethostbyname(socket.gethostname()))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for i in range(first, first + n):
    udp = struct.pack("!HHHH", 1024 + i % 60000, 1024 + i // 60000, 9, 0) + b"x"
    source, target = own[:3] + bytes([own[3] + i % 2]), socket.inet_aton(far)
    raw.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 9, 17, 0, source, target) + udp, (far, 0))
"""


def hubs(site: Site) -> list[str]:
    """The network namespaces that the supervisor of a site's job holds."""
    supervisors = [pid for pid in site.job_pids() if " supervise " in host.processes().get(pid, "")]
    return [f"/proc/{pid}/fd/{number}" for pid in supervisors
            for number, what in host.open_files(pid).items() if what.startswith("net:")]


@pytest.mark.parametrize("backend", ("nat", "pasta"))
def test_many_connections(private: Callable[..., Site], lan: World, backend: str) -> None:
    """A job, with all its addresses, gets a share of the connections that the host can track. It is told when it wants more,
    and nobody else notices."""
    share = max(int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text()) // 32, 1024)
    lan.greet(lan.far, world.FAR, 80, "far")

    def tracked() -> int:
        return world.inside(lan.host, lambda: int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text()))
    site = private(network_backend=backend)
    with site.started() as build, private(network_backend=backend).started() as other:
        # No connection is forgotten while the test runs.
        for namespace in (lan.host, *hubs(site)):
            world.inside(namespace, lambda: Path("/proc/sys/net/netfilter/nf_conntrack_udp_timeout").write_text("9999"))
        build.run_script(f"cat >/tmp/many.py <<'END'\n{MANY}\nEND\npython3 /tmp/many.py {world.FAR} 0 {share - 500}")
        assert ask(build, (world.FAR, 80)) == ["far"]
        before = tracked()
        assert backend == "pasta" or share - 500 < before < share
        build.run_script(f"python3 /tmp/many.py {world.FAR} {share - 500} 2000")
        assert ask(build, (world.FAR, 80))[0] in REFUSED
        assert tracked() <= share + 50
        assert ask(other, (world.FAR, 80)) == ["far"]
    if backend == "nat":
        assert re.search(r'"nspr-[0-9a-f]{8}" limit rate', lan.nft("list set inet nspawn-runner opened"))


def connections(lan: World, network: str) -> int:
    """How many from there the host's kernel knows."""
    table = world.inside(lan.host, lambda: Path("/proc/thread-self/net/nf_conntrack").read_text())
    sources = [line.partition("src=")[2].split()[0] for line in table.splitlines()]
    return sum(ipaddress.ip_address(source) in ipaddress.ip_network(network) for source in sources)


def test_forgotten_connections(private: Callable[..., Site], lan: World) -> None:
    """As long as the kernel's table of connections is crowded, it forgets those of each job that ends, from whichever of its
    addresses; but never those of others."""
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    assert 32 << 10 <= most <= 1 << 20, "the test cannot fill this host's table, see sysctl net.netfilter.nf_conntrack_max"
    count, share = most // 4 + 100, max(most // 32, 1024) - 100
    lan.greet(lan.far, world.FAR, 80, "far")
    lan.greet(lan.far, world.FAR6, 80, "far")
    for name in ("udp_timeout", "tcp_timeout_time_wait"):  # none goes by itself while the test runs
        world.inside(lan.host, lambda name=name: Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text("9999"))
    with ExitStack() as crowd:
        builds = [crowd.enter_context(private().started()) for _ in range(-(-count // share))]
        for build in builds:
            assert ask(build, (world.FAR, 80), (world.FAR6, 80)) == ["far"] * 2
        ended = [str(ipaddress.ip_network(f"{address_of(builds[0], family)}/{prefix}", strict=False))
                 for family, prefix in ((4, 26), (6, 64))]
        others = [address_of(builds[1], family) for family in (4, 6)]

        builds[0].run_script(f"cat >/tmp/many.py <<'END'\n{MANY}\nEND\npython3 /tmp/many.py {world.FAR} 0 300")
        with private().started() as quiet:
            assert ask(quiet, (world.FAR, 80)) == ["far"]
            early = address_of(quiet)
        assert connections(lan, early) > 0, "the table is nearly empty: nobody looks through it"
        for number, build in enumerate(builds[1:], 1):  # each to another port: the host has only so many of its own for one
            build.run_script(f"cat >/tmp/many.py <<'END'\n{MANY}\nEND\npython3 /tmp/many.py {world.FAR} {number * 60000} {share}")
        builds[0].run_script(f"python3 /tmp/many.py {world.FAR} 300 {share - 300}")
        assert connections(lan, ended[0]) > share and connections(lan, ended[1]) > 0
        assert builds[0].cleanup().returncode == 0
        assert [connections(lan, block) for block in ended] == [0, 0]
        assert all(connections(lan, address) > 0 for address in others)


def test_without_ipv6(private: Callable[..., Site], lonely: World) -> None:
    """A job has IPv6 only where the host has a way out with it."""
    lonely.greet(lonely.far, world.FAR, 80, "far")
    with private(lonely).started() as build:
        assert ask(build, (world.FAR, 80), (world.FAR6, 80)) == ["far", "ENETUNREACH"]
        assert b"fd" not in build.run_script("cut -c1-2 /proc/net/if_inet6").stdout


NAME_SERVERS = {"plain": ("far", world.FAR, ""), "resolved": ("host", "127.0.0.53", ""), "dnsmasq": ("host", "127.0.0.1", ""),
                "ipv6": ("far", world.FAR6, ""), "dropped6": ("far", world.FAR6, ""), "loopback6": ("host", "::1", ""), "neighbour": ("far", "fe80::53", "%uplink"),
                "second": ("host", "127.0.0.2", "")}


@pytest.mark.parametrize("kind", NAME_SERVERS)
def test_names(private: Callable[..., Site], lan: World, tmp_path: Path, kind: str) -> None:
    """Names are looked up as the host does it, wherever its server is, over UDP and TCP, and with its search domains."""
    where, address, zone = NAME_SERVERS[kind]
    if zone:
        lan.ip("-n", lan.names[1], "address", "add", f"{address}/64", "dev", "uplink", "nodad")
    server = lan.name_server(getattr(lan, where), address + zone, "203.0.113.9")
    lan.resolver = tmp_path / "resolv.conf"
    first = "nameserver 127.0.0.9\n" if kind == "second" else ""  # where nobody is
    lan.resolver.write_text(f"search lan.example\n{first}nameserver {address}{zone}\noptions ndots:1\n")
    if kind == "dropped6":  # what only the host reaches
        lan.nft("table ip6 mine {", "chain forward { type filter hook forward priority 0; policy drop; }", "}")
    site = private()
    with site.started() as build:
        text = build.run_script("cat /etc/resolv.conf").stdout.decode()
        assert "search lan.example" in text and "options ndots:1" in text
        for name, asked in (("www.example.org", "www.example.org"), ("printer", "printer.lan.example"),
                            ("long.example.org", "long.example.org")):
            found = build.run_script(f"getent ahostsv4 {name} | cut -d' ' -f1 | sort -u").stdout
            assert found == b"203.0.113.9\n" and asked in server.names, (name, text, server.names)


def test_many_questions(private: Callable[..., Site], lan: World, tmp_path: Path) -> None:
    """More questions than can wait for an answer harm nobody: later ones are answered, also if nobody answers some. The host's
    server has few connections of the job, and its kernel few to track."""
    server = lan.name_server(lan.host, "127.0.0.53", "203.0.113.9")
    lan.resolver = tmp_path / "resolv.conf"
    lan.resolver.write_text("nameserver 127.0.0.53\n")
    flood = """
import socket
hub = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")][0]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(3000):
    udp.sendto(bytes(12) + bytes(5), (hub, 53))
open_ones = [socket.create_connection((hub, 53)) for _ in range(100)]
for connection in open_ones:
    connection.settimeout(60)
try:
    while open_ones[0].recv(100):
        pass
except OSError:
    pass
udp.sendto(bytes(60000), (hub, 53))
"""
    with private().started() as build:
        done = build.run_script(f"python3 -c '{flood}'; getent ahostsv4 www.example.org | cut -d' ' -f1 | sort -u")
        assert done.stdout == b"203.0.113.9\n"
        assert 1 <= server.most_at_once <= 8 and 1 <= len(server.ports) < 1000, (server.most_at_once, len(server.ports))


@pytest.mark.parametrize("backend", ("auto", "pasta"))
def test_pasta(private: Callable[..., Site], lan: World, tmp_path: Path, backend: str) -> None:
    """Where nobody may forward packets, or when it is asked for, pasta is the way out: what jobs reach and what they do not is
    the same, with IPv4. It ends with the supervisor, however that ends."""
    lan.nft("add table inet theirs", "add chain inet theirs forward { type filter hook forward priority 0; policy drop; }")
    lan.greet(lan.far, world.FAR, 80, "far")
    lan.greet(lan.far, world.METADATA, 80, "metadata")
    lan.greet(lan.host, "0.0.0.0", 8080, "host")
    lan.name_server(lan.host, "127.0.0.53", "203.0.113.9")
    lan.resolver = tmp_path / "resolv.conf"
    lan.resolver.write_text("nameserver 127.0.0.53\n")
    site = private(network_backend=backend)
    with site.started() as build, private(network_backend=backend).started() as other:
        serve(other, 80, "other")
        assert ask(build, (world.FAR, 80), (world.HOST, 8080)) == ["far", "host"]
        assert build.run_script("getent ahostsv4 www.example.org | cut -d' ' -f1 | sort -u").stdout == b"203.0.113.9\n"
        gateway = build.run_script("cut -f2,3 /proc/net/route | grep ^00000000 | cut -f2").stdout
        kept = ask(build, ("127.0.0.1", 8080), ("192.0.0.1", 8080, "tcp", 2), ("192.0.0.2", 8080), (world.METADATA, 80),
                   (socket.inet_ntoa(bytes.fromhex(gateway.decode())[::-1]), 8080), (address_of(other), 80))
        assert not {"host", "metadata", "other"} & set(kept), kept
        assert not lan.interfaces()
        # pasta is not mistaken for the container by those who look for that among its processes.
        build.run_script("echo job >/root/mine")
        done = site.call("job-copy", site.job_id(), "/root/mine", str(tmp_path / "mine"))
        assert done.returncode == 0 and (tmp_path / "mine").read_text() == "job\n", str(done)
        assert "/root/mine" in site.call("job-diff", site.job_id()).stdout
        started = [pid for pid in site.job_pids() if host.read(f"/proc/{pid}/comm").startswith("pas")]
        assert started
        os.kill(site.supervisor_pid(), signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def test_egress(private: Callable[..., Site], lan: World) -> None:
    """The first rule that matches decides; link-local addresses and those of clouds are refused behind them, and no rule opens
    them that does not name them. An image's definition has its own list. Fragments do not get around a rule about ports."""
    for address in (world.FAR, world.ROUTER, world.FAR6):
        for port in (80, 81):
            lan.greet(lan.far, address, port, str(port))
    lan.greet(lan.far, world.METADATA, 80, "metadata")
    udp = lan.greet(lan.far, world.FAR, 53, "udp", socket.SOCK_DGRAM)
    fragments = f"""
import socket, struct
own = socket.gethostbyname(socket.gethostname())
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack("!HHHH", 53, 53, 24, 0) + b"0123456789abcdef"
for offset, more in ((0, 0x2000), (1, 0x2000), (2, 0)):
    part = udp[8 * offset:8 * offset + 8]
    raw.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), 77, offset | more, 9, 17, 0, socket.inet_aton(own),
                           socket.inet_aton("{world.FAR}")) + part, ("{world.FAR}", 0))
"""
    site = private(egress=[f"allow {world.FAR} tcp 80", f"deny {world.FAR}", "deny any tcp 81", "deny 2001:db8:5::/48 icmp"])
    places = [(world.FAR, 80), (world.FAR, 81), (world.ROUTER, 80), (world.ROUTER, 81), (world.FAR6, 80), (world.FAR6, 81),
              (world.METADATA, 80), (world.FAR, 53, "udp")]
    with site.started() as build:
        answers = ask(build, *places)
        assert [a if a not in REFUSED else "refused" for a in answers] == [
            "80", "refused", "80", "refused", "80", "refused", "refused", "refused"], answers
        build.run_script(f"python3 -c '{fragments}'")
    site.define(IMAGE, f"egress: [allow {world.METADATA}, deny any udp 53]")
    with site.started() as build:
        assert ask(build, *places[:7]) == ["80", "81", "80", "81", "80", "81", "metadata"]
        build.run_script(f"python3 -c '{fragments}'")
    assert not udp.callers
    clouds = [(address, 80) for address in (world.METADATA, *world.CLOUDS)]
    for address, _ in clouds[1:]:
        lan.greet(lan.far, address, 80, "cloud")
    for rules in ("[allow any tcp 80, deny any]", "[allow any]", "[deny any udp 53]"):
        site.define(IMAGE, f"egress: {rules}")
        with site.started() as build:
            answers = ask(build, (world.FAR, 80), (world.FAR6, 80), *clouds)
            assert answers[:2] == ["80", "80"] and set(answers[2:]) <= set(REFUSED), answers
    allowed = ", ".join(f"'allow {address} tcp 80'" for address, _ in clouds)
    site.define(IMAGE, f"egress: [allow any tcp 81, {allowed}, deny any]")
    with site.started() as build:
        assert ask(build, *clouds) == ["metadata", "cloud", "cloud", "cloud"]
    site.define(IMAGE, "boot: no")
    site.settings["egress"] = []
    site.write_config()
    with site.started() as build:  # what is refused here gets through otherwise
        build.run_script(f"python3 -c '{fragments}'")
        assert ask(build, places[-1]) == ["udp"]
    assert len(udp.callers) == 2


def test_work_on_an_image(private: Callable[..., Site], tiny_root: Path) -> None:
    """It has the host's network, unless the image's definition says otherwise; the image keeps nothing of that."""
    site = private(root=tiny_root)
    resolver = tiny_root / IMAGE / "etc/resolv.conf"
    resolver.write_text("# of the image\n")

    def interfaces() -> list[str]:
        done = subprocess.run(site.argv("chroot-login", IMAGE), input="cat /proc/net/dev; touch /new\n",
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
        return sorted(line.partition(":")[0].strip() for line in done.stdout.splitlines() if ":" in line)

    assert interfaces() != ["eth0", "lo"]
    for network, expected in (("private", ["eth0", "lo"]), ("none", ["lo"])):
        site.define(IMAGE, f"maintenance_network: {network}")
        assert interfaces() == expected
    assert resolver.read_text() == "# of the image\n"


def test_services(private: Callable[..., Site], lan: World) -> None:
    """Services have IPv6, too, by their names and aliases, among themselves and with the job; and the way out of the job."""
    lan.greet(lan.far, world.FAR6, 80, "far6")
    script = """
import socket, sys, time
def connect(*address):
    while True:
        try:
            return socket.create_connection(address, 60)
        except OSError:
            time.sleep(0.05)
other, port = sys.argv[1:]
server = socket.create_server(("::", int(port)), family=socket.AF_INET6)
seen = [connect("%s", 80).recv(100)]
if other:
    name = socket.getaddrinfo(other, 7, socket.AF_INET6)[0][4][0]
    seen.append(connect(name, 7).recv(100))
while True:
    connection, caller = server.accept()
    connection.sendall(b" ".join(seen) + b" from " + caller[0].encode())
    connection.close()
""" % world.FAR6
    services = [{"name": IMAGE, "alias": alias, "entrypoint": None, "command": ["python3", "-c", script, other, "7"],
                 "variables": [{"key": "HEALTHCHECK_TCP_PORT", "value": "7", "public": True}]}
                for alias, other in (("back", ""), ("front", "back"))]
    with private().started(Job(image=IMAGE, services=services)) as build:
        front = build.run_script("getent ahostsv6 front").stdout.decode().split()[0]
        (answer,) = ask(build, (front, 7))
        assert re.fullmatch(r"far6 far6 from fd[0-9a-f:]+ from fd[0-9a-f:]+", answer), answer
        assert answer.endswith(" " + address_of(build, 6)), (answer, address_of(build, 6))
    lan.wait_until_gone()
