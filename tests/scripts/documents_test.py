#!/usr/bin/env -S python3 -B
"""Every command in a document that is marked as one that runs does run: as an ordinary user, in a folder of its own.

    ```sh run            these lines run
    <!-- sh run … -->    so do these, which the reader does not see: what a recipe takes for granted, and what it must lead to
    ```toml NAME         a file of that name

A heading begins anew; what comes before a document's first `##` comes before each of its parts.
    documents_test.py BUILD_DIR [DOCUMENT...]"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from show import SOURCE, alone

PATIENCE_SECONDS = 180
PIECE = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$|^<!-- sh run\n(.*?)^-->$", re.M | re.S)
READY = r"""ready() { until weir status --ready >/dev/null 2>&1; do sleep 0.1; done; }
# What stands before it in the document is there when it begins: no first probe comes too early.
weir() {
  if [ "${1-}" = run ]; then
    for _ in $(seq 100); do
      [ "$(pgrep -g 0 -cx weir-bench)" -gt "$(ss -Hltnp | grep -c '"weir-bench"')" ] || break
      sleep 0.1
    done
  fi
  [ "$BASHPID" = "$$" ] || exec weir "$@"
  command weir "$@"
}
"""
# A part has this to say when it goes wrong.
SETUP = "set -eEu\ntrap 'echo \"line $LINENO: $BASH_COMMAND\" >&2' ERR\n"


def script_of(text):
    """What `text` asks to be run, as one shell script; files are written where they stand."""
    script = ""
    for language, word, block, hidden in PIECE.findall(text):
        if hidden or (language, word) == ("sh", "run"):
            script += hidden or block
        elif language in ("toml", "text"):
            script += f"cat >{word} <<'END-OF-FILE'\n{block}END-OF-FILE\n"
    return script


def parts_of(document):
    """Name and script of each part that has something to run."""
    before, *parts = re.split(r"^##+ (?=.*\n)", document.read_text(), flags=re.M)
    opening = script_of(before)
    if not parts:
        parts = [document.stem + "\n"]
    for part in parts:
        own = script_of(part)
        if own or (len(parts) == 1 and opening):
            yield part.split("\n")[0], SETUP + READY + opening + own


def run(script, programs):
    """None, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("run", "state"):
            os.mkdir(f"{folder}/{name}", 0o700)
        environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", HOME=folder,
                           XDG_RUNTIME_DIR=f"{folder}/run", XDG_STATE_HOME=f"{folder}/state")
        work = pathlib.Path(folder, "work")
        work.mkdir()
        with open(f"{folder}/said", "w+") as said:
            process = subprocess.Popen(["bash", "-c", script], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                                       stdout=said, stderr=said, start_new_session=True)
            try:
                status = process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                status = "none: it does not end"
            # Nobody may be left but what it has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            said.seek(0)
            return None if status == 0 else f"exit status {status}\n{said.read()[-4000:]}"


def main():
    alone("curl")
    build = pathlib.Path(sys.argv[1]).resolve()
    documents = [pathlib.Path(name).resolve() for name in sys.argv[2:]] or [
        SOURCE / "README.md", *sorted((SOURCE / "conf/doc").glob("*.md"))]
    bad = done = 0
    with tempfile.TemporaryDirectory() as programs:
        for program in ("weir", "bench/load/weir-bench"):
            os.symlink(build / program, f"{programs}/{pathlib.Path(program).name}")
        os.symlink(SOURCE / "conf", f"{programs}/conf")
        for document in documents:
            for name, script in parts_of(document):
                wrong = run(script, programs)
                done += 1
                bad += wrong is not None
                print(f"{'FAILED' if wrong else 'ok'}: {document.name}: {name}", flush=True)
                if wrong:
                    print(wrong, flush=True)
    print(f"{done} parts, {bad} failed")
    assert done > 0 and shutil.which("curl")
    sys.exit(1 if bad else 0)


main()
