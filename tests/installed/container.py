#!/usr/bin/env python3
"""tests/installed/container.py BINARY: what conf/container/collect makes of it runs as a container would run it: as process
1 of an ordinary user, in a root that is read-only. SIGTERM lets a session finish. Exit status 77: not possible here."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from traffic import EchoServer, Session, eventually  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
INSIDE = """set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run/weir"
mount -t tmpfs tmpfs "$1/var/lib/weir"
mount -o remount,bind,ro "$1"
exec chroot "$1" /usr/bin/weir run
"""
CONFIG = """shutdown_grace = "10m"
[[listener]]
name = "web"
bind = "127.0.0.1:{listener}"
pool = "web"
[[pool]]
name = "web"
[[pool.backend]]
name = "echo"
address = "127.0.0.1:{backend}"
"""


def namespaces():
    """What starts a command as an ordinary user, who is root of a user namespace."""
    as_user = ["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups"] if os.getuid() == 0 else []
    command = [*as_user, "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
    tried = subprocess.run([*command, "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True, text=True)
    if tried.returncode != 0:
        print("skipped: no namespaces for ordinary users here:", tried.stderr.strip())
        sys.exit(77)
    return command


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test(work, binary):
    command = namespaces()
    root = work / "root"
    subprocess.run([SOURCE / "conf/container/collect", binary, root], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (root / "etc/weir/weir.toml").write_text(CONFIG.format(listener=port, backend=EchoServer().port))
    # Its own default is that of the prefix it was configured for.
    inside = INSIDE.replace(" run\n", " run -c /etc/weir/weir.toml\n")
    log = open(work / "log", "w+b")
    container = subprocess.Popen([*command, "sh", "-c", inside, "sh", str(root)], stdout=log, stderr=log)
    try:
        first = eventually(lambda: children(container.pid), "the first process")[0]
        eventually(lambda: not refused(port) or container.poll() is not None, "the listener")
        assert container.poll() is None, "it has ended"
        session = Session(port)
        assert session.echoes(b"before")

        status = pathlib.Path(f"/proc/{first}/status").read_text()
        assert [line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:")] == ["1"], status
        assert os.readlink(f"/proc/{first}/exe").endswith("/usr/bin/weir")
        mounts = [line.split() for line in pathlib.Path(f"/proc/{first}/mountinfo").read_text().splitlines()]
        assert ["ro" in of[5].split(",") for of in mounts if of[4] == "/"] == [True], mounts

        os.kill(first, signal.SIGTERM)
        eventually(lambda: refused(port), "no new sessions")
        assert session.echoes(b"a session that is open goes on")
        assert container.poll() is None
        session.close()
        assert container.wait(60) == 0, "its exit status"
    except BaseException:
        log.seek(0)
        print(log.read().decode(errors="replace"))
        raise
    finally:
        container.kill()
        container.wait()


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def main():
    missing = [name for name in ("unshare", "setpriv", "chroot", "ldd") if not shutil.which(name)]
    if missing:
        print("skipped: no", ", ".join(missing))
        return 77
    work = pathlib.Path(tempfile.mkdtemp())
    work.chmod(0o755)
    try:
        test(work, sys.argv[1])
    finally:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
