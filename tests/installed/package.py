#!/usr/bin/env python3
"""tests/installed/package.py BUILD: the Debian package, made by scripts/package with the options of that build (and so from
its objects, where there is ccache): twice, in two folders, to the same bytes. Then, in a root made by mmdebstrap, under load:
installed, upgraded and back, followed by packages that do not start, repaired, removed and purged. No connection is refused
or reset. Exit status 77: not possible here."""
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from traffic import EchoServer, Load, Session, eventually  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CONFIG = """[[listener]]
name = "web"
bind = "127.0.0.1:{listener}"
pool = "web"
[[pool]]
name = "web"
[[pool.backend]]
name = "echo"
address = "127.0.0.1:{backend}"
"""
DOES_NOT_RUN = "#!/bin/sh\nexit 127\n"
DOES_NOT_SERVE = "#!/bin/sh\n[ \"$1\" != run ] || { echo 'out of luck' >&2; exit 1; }\nexec /usr/lib/weir/weir \"$@\"\n"


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout


def make_package(build, out):
    """The package as scripts/package makes it, with objects like those of `build`."""
    cache = (build / "CMakeCache.txt").read_text()
    options = [f"-D{name}={re.search(f'^{name}:[A-Z]+=(.*)$', cache, re.M)[1]}"
               for name in ("CMAKE_BUILD_TYPE", "WEIR_SANITIZE", "WEIR_WERROR")]
    out.mkdir(parents=True)
    run(SOURCE / "scripts/package", *options, env={**os.environ, "OUT": str(out)})
    (package,) = out.glob("weir_*.deb")
    return package


def variant(package, version, program=None):
    """The same with another version; its /usr/bin/weir is the script `program`, and what was there is elsewhere."""
    with tempfile.TemporaryDirectory() as tree:
        run("dpkg-deb", "-R", package, tree)
        tree = pathlib.Path(tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub("^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
        if program:
            (tree / "usr/lib/weir").mkdir(parents=True)
            (tree / "usr/bin/weir").rename(tree / "usr/lib/weir/weir")
            (tree / "usr/bin/weir").write_text(program)
            (tree / "usr/bin/weir").chmod(0o755)
        made = package.with_name(f"variant_{version}.deb")
        run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, made)
    return made


def make_root(package, work, cache):
    """A Debian with what the package depends on, and what its own test needs; once made it is kept as a tar."""
    depends = run("dpkg-deb", "-f", package, "Depends")
    names = sorted({part.split("|")[0].split()[0] for part in depends.split(",")} | {"curl", "python3"})
    tar = cache / f"root-{hashlib.sha1(' '.join(names).encode()).hexdigest()[:12]}.tar"
    if not tar.exists():
        sources = [path for path in map(pathlib.Path, ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"))
                   if path.exists() and "debian" in path.read_text()]
        suite = re.search("^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
        checks = [option for option in run("apt-config", "dump").splitlines() if option.startswith("Acquire::Check-")]
        made = subprocess.run(["mmdebstrap", "--variant=minbase", "--include=" + ",".join(names),
                               *("--aptopt=" + option for option in checks), suite, f"{tar}.new.tar", *sources[:1]],
                              capture_output=True, text=True)
        if made.returncode != 0:
            skip("mmdebstrap makes no root here:\n" + made.stderr[-2000:])
        pathlib.Path(f"{tar}.new.tar").rename(tar)
    root = work / "root"
    root.mkdir()
    run("tar", "-C", root, "-xf", tar, "--exclude=./dev/*")
    return root


class Host:
    """Commands in the root, in a namespace of processes of its own, which ends with it."""

    def __init__(self, root):
        self.root = root
        script = f'mount -t proc proc "{root}/proc" && mount --rbind /dev "{root}/dev" && echo ready && exec sleep infinity'
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork",
                                        "--kill-child", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            skip("no namespaces here")
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text()
        self.enter = ["nsenter", "-t", children.split()[0], "-m", "-p", "chroot", str(root), "env", "-i",
                      "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]

    def start(self, *command, log):
        return subprocess.Popen([*self.enter, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def run(self, *command):
        return run(*self.enter, *command)

    def fails(self, *command):
        done = subprocess.run([*self.enter, *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode != 0, f"{command} should have failed\n{done.stdout}"
        return done.stdout

    def install(self, package, run=None):
        shutil.copy(package, self.root / "tmp")
        return (run or self.run)("apt-get", "install", "-y", "--allow-downgrades", f"/tmp/{package.name}")

    def version(self):
        return self.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "weir")

    def serving(self):
        """The pid of the Weir that answers."""
        return int(re.search(r'"pid": ?(\d+)', self.run("weir", "status", "-o", "json"))[1])

    def close(self):
        self.holder.kill()
        self.holder.wait()


def look_at_installed(host, package):
    version = run("dpkg-deb", "-f", package, "Version").strip()
    assert host.run("weir", "--version").startswith(f"weir {version}")
    assert host.run("dpkg-query", "-W", "-f", "${Conffiles}", "weir").split()[0] == "/etc/weir/weir.toml"
    assert host.run("id", "-nu", "weir").strip() == "weir"
    host.run("weir", "check", "-c", "/etc/weir/weir.toml")
    unit = (host.root / "lib/systemd/system/weir.service").read_text()
    assert "ExecStart=/usr/bin/weir run -c /etc/weir/weir.toml" in unit
    shutil.copy(SOURCE / "conf/debian/tests/serves", host.root / "tmp/serves")
    host.run("/tmp/serves")


def upgrades(host, package, log):
    """The package under load, from one version to the next and back, and two that do not start."""
    version = run("dpkg-deb", "-f", package, "Version").strip()
    following = variant(package, f"{version}+next")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = CONFIG.format(listener=port, backend=EchoServer().port)
    (host.root / "etc/weir/weir.toml").write_text(config)
    # Without -c: it finds the file where the package has put it.
    daemon = host.start("/usr/bin/weir", "run", log=log)
    eventually(lambda: subprocess.run([*host.enter, "weir", "status", "--ready"], capture_output=True).returncode == 0,
               "the daemon serves")
    sessions = []
    with Load(port) as load:
        for one, wanted in ((following, f"{version}+next"), (package, version)):
            before = host.serving()
            sessions.append(Session(port))
            assert sessions[-1].echoes(b"before")
            load.goes_on()
            host.install(one)
            assert host.version() == f"{wanted} installed"
            assert host.serving() != before, "nobody has taken over"
            load.goes_on()
            assert all(session.echoes(b"still here") for session in sessions)

        for name, program in (("does-not-run", DOES_NOT_RUN), ("does-not-serve", DOES_NOT_SERVE)):
            before = host.serving()
            said = host.install(variant(package, f"{version}+{name}", program), run=host.fails)
            assert "serves on" in said, said
            assert host.version() == f"{version}+{name} half-configured"
            load.goes_on()
            assert all(session.echoes(b"still here") for session in sessions)
            host.install(package)
            assert host.version() == f"{version} installed"
            assert host.serving() != before
            load.goes_on()
    print(load.done, "sessions,", len(load.failures), "failed")
    assert not load.failures, load.failures[:10]
    assert (host.root / "etc/weir/weir.toml").read_text() == config, "the configuration was not kept"
    for session in sessions:
        session.close()
    host.run("weir", "weight", "web/echo", "2")
    host.run("weir", "stop")
    daemon.wait(60)


def goes_away(host, package):
    """Nothing runs: an upgrade is one of files alone. What is removed leaves the configuration; what is purged, nothing."""
    host.install(variant(package, "9"))
    host.run("apt-get", "remove", "-y", "weir")
    assert not (host.root / "usr/bin/weir").exists()
    assert (host.root / "etc/weir/weir.toml").exists()
    assert (host.root / "var/lib/weir/state.json").exists()
    host.run("apt-get", "purge", "-y", "weir")
    left = [path for path in ("etc/weir", "var/lib/weir", "usr/share/weir", "usr/share/doc/weir")
            if (host.root / path).exists()]
    assert not left, left


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    if os.getuid() != 0:
        skip("needs root")
    for program in ("mmdebstrap", "dh", "lintian", "setpriv", "unshare", "nsenter"):
        if not shutil.which(program):
            skip(f"no {program}")
    cache = build / "package-test"
    cache.mkdir(exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(dir=cache))
    host = None
    try:
        package, again = (make_package(build, work / name) for name in ("one", "two/deeper"))
        for one, other in ((package, again), (package.with_suffix(".spdx.json"), again.with_suffix(".spdx.json"))):
            assert one.read_bytes() == other.read_bytes(), f"{one.name} is another one in another folder"
        host = Host(make_root(package, work, cache))
        with open(work / "weir.log", "w+b") as log:
            try:
                host.install(package)
                look_at_installed(host, package)
                upgrades(host, package, log)
                goes_away(host, package)
            except BaseException:
                log.seek(0)
                print(log.read()[-20000:].decode(errors="replace"))
                raise
    finally:
        if host:
            host.close()
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
