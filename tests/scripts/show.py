"""What the tests of scripts/run share: a place of their own, the show itself, and patience."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SKIPPED = 77
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = int(os.environ.get("WEIR_TEST_PATIENCE", "150"))


def alone(*programs):
    """Runs this script again as an ordinary user in a network and a process tree of its own, where ports are free and
    whatever is left over ends with it. Returns there only."""
    if os.environ.get("WEIR_TEST_ALONE"):
        return
    wanted = ["unshare", "ip", *programs]
    missing = [name for name in wanted if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        skip("not installed: " + ", ".join(missing))
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    own = [sys.executable, *sys.argv]
    folder = tempfile.mkdtemp(prefix="weir-test-")
    # The first process there reaps what loses its parent.
    first = ["sh", "-c", 'ip link set lo up && { "$@"; exit $?; }', "sh"]
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        inside = ["unshare", "-nmpf", "--kill-child", "--mount-proc", *first]
        inside += ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    else:
        inside = ["unshare", "-Urnmpf", "--kill-child", "--mount-proc", *first]
        inside += ["unshare", "-U", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
    # A user may be kept from making namespaces, and nobody from reading this folder.
    can_read = ["test", "-r", str(SOURCE / "scripts/run")]
    if subprocess.run(inside + can_read, stderr=subprocess.DEVNULL).returncode != 0:
        os.rmdir(folder)
        skip("no namespace can be made here, or an ordinary user cannot read the sources")
    environment = dict(os.environ, WEIR_TEST_ALONE="yes", TMPDIR=folder, HOME=folder, PYTHONDONTWRITEBYTECODE="1")
    for name in ("WEIR_SOCKET", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        environment.pop(name, None)
    status = subprocess.run(inside + own, env=environment).returncode
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


def must(happens, what, seconds=PATIENCE_SECONDS):
    """Waits until `happens()` is true; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = happens()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("never seen: " + what)


class Show:
    """scripts/run, and what it has said."""

    def __init__(self, build, *arguments, **environment):
        self.build = pathlib.Path(build).resolve()
        self.text = ""
        self.process = subprocess.Popen(
            [str(SOURCE / "scripts/run"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(os.environ, WEIR_BUILD=str(self.build), **environment), start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.text += line

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.text)
        self.process.kill()

    def said(self, pattern):
        return re.search(pattern, self.text)

    def until_said(self, pattern):
        def look():
            if self.process.poll() is not None and not self.said(pattern):
                raise AssertionError(f"it ended before it said {pattern}")
            return self.said(pattern)
        return must(look, pattern)

    def socket_path(self):
        return self.said(r"WEIR_SOCKET=(\S+)")[1]

    def folder(self):
        return pathlib.Path(self.socket_path()).parent

    def weir(self, *arguments):
        done = subprocess.run([str(self.build / "weir"), *arguments], capture_output=True, text=True,
                              env=dict(os.environ, WEIR_SOCKET=self.socket_path()), timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def pid(self, name):
        return int((self.folder() / f"{name}.pid").read_text() or 0)  # being written

    def ctrl_c(self):
        os.killpg(self.process.pid, signal.SIGINT)

    def ends_with(self, status):
        ended = self.process.wait(PATIENCE_SECONDS)
        self.reader.join(PATIENCE_SECONDS)
        assert ended == status, f"exit status {ended}"


def listen(port):
    taken = socket.socket()
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken
