#!/usr/bin/env python3
"""A language tool of the TOML world goes by Weir's schema: it accepts what Weir accepts and refuses the mistakes that a
schema can know. Exit status 77, which ctest counts as skipped, when the tool cannot be had.
    schema_in_taplo.py WEIR SOURCE_DIR BUILD_DIR"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

PACKAGE = "@taplo/cli@0.7.0"
SKIPPED = 77

BASE = """[[listener]]
name = "web"
bind = ["0.0.0.0:8080", "[::]:8080"]
pool = "web"
[[pool]]
name = "web"
[pool.health]
probe = "tcp"
[[pool.backend]]
name = "web1"
address = "10.0.0.11:80"
weight = 1
"""

# What is wrong -> what stands in the place of what.
MISTAKES = {
    "TOML syntax": ("[[pool]]", "[[pool]"),
    "an unknown key": ("weight", "wieght"),
    "an unknown table": ("[[listener]]", "[frontend]\n[[listener]]"),
    "a string for a number": ("weight = 1", 'weight = "1"'),
    "a number for a string": ('name = "web1"', "name = 1"),
    "a table for a list of tables": ("[[listener]]", "[listener]"),
    "port 0": ("0.0.0.0:8080", "0.0.0.0:0"),
    "port 65536": ("0.0.0.0:8080", "0.0.0.0:65536"),
    "a backend's port 0": ("10.0.0.11:80", "10.0.0.11:0"),
    "a backend's port 65536": ("10.0.0.11:80", "10.0.0.11:65536"),
    "a probe's port 0": ('probe = "tcp"', "port = 0"),
    "weight -1": ("weight = 1", "weight = -1"),
    "weight 0": ("weight = 1", "weight = 0"),
    "weight 257": ("weight = 1", "weight = 257"),
    "no listener": ('[[listener]]\nname = "web"\nbind = ["0.0.0.0:8080", "[::]:8080"]\npool = "web"\n', ""),
    "an empty pool": ('[[pool.backend]]\nname = "web1"\naddress = "10.0.0.11:80"\nweight = 1\n', ""),
    "a list of no backends": ('[[pool.backend]]\nname = "web1"\naddress = "10.0.0.11:80"\nweight = 1\n', ""),
    "a pool without a name": ('[[pool]]\nname = "web"', "[[pool]]"),
    "a backend without an address": ('address = "10.0.0.11:80"', ""),
    "an unknown balancer": ("[pool.health]", 'balance = "leastconn"\n[pool.health]'),
    "an unknown probe": ('probe = "tcp"', 'probe = "icmp"'),
    "a negative duration": ('probe = "tcp"', 'interval = "-1s"'),
    "a duration without a unit": ('probe = "tcp"', 'interval = "5"'),
    "a bare number for a duration": ('probe = "tcp"', "interval = 5"),
    "an overflowing duration": ('probe = "tcp"', 'interval = "10001h"'),
    "another overflowing duration": ('probe = "tcp"', 'interval = "99999999999999999999ms"'),
    "a timeout of zero": ('probe = "tcp"', 'timeout = "0.0s"'),
    "fall 0": ('probe = "tcp"', "fall = 0"),
    "IPv6 without brackets": ("[::]:8080", "::1:8080"),
    "a backend's IPv6 without brackets": ("10.0.0.11:80", "::1:80"),
    "an admin path over 107 bytes": ("[[listener]]", '[admin]\nsocket = "/tmp/' + "x" * 103 + '"\n[[listener]]'),
    "a mode that is none": ("[[listener]]", '[admin]\nmode = "rw-rw----"\n[[listener]]'),
    "a key of another probe": ('probe = "tcp"', 'probe = "tcp"\npath = "/"'),
    "a key of another probe than the default": ('probe = "tcp"', 'body = "x"'),
    "an expect probe without what it expects": ('probe = "tcp"', 'probe = "expect"'),
    "an exec probe without its command": ('probe = "tcp"', 'probe = "exec"'),
    "a relative command": ('probe = "tcp"', 'probe = "exec"\ncommand = ["check"]'),
    "a unix backend without a name": ('name = "web1"\naddress = "10.0.0.11:80"', 'address = "unix:/tmp/x"'),
    "a name with a blank": ('name = "web1"', 'name = "web 1"'),
    "max_connections 0": ("[[listener]]", "max_connections = 0\n[[listener]]"),
}

# What looks odd and is right.
RIGHT = {
    "the file itself": ("weight", "weight"),
    "a variable for a duration": ('probe = "tcp"', 'interval = "${INTERVAL:-5s}"'),
    "a variable for a word": ('probe = "tcp"', 'probe = "${PROBE:-tcp}"'),
    "a variable for an address": ("10.0.0.11:80", "${WEB:-10.0.0.11:80}"),
    "the longest durations": ('probe = "tcp"', 'interval = "10000h"\ntimeout = "600000m"'),
    "a fraction": ('probe = "tcp"', 'interval = "1.5s"'),
    "one address instead of a list": ('["0.0.0.0:8080", "[::]:8080"]', '"0.0.0.0:8080"'),
    "a unix backend with a name": ("10.0.0.11:80", "unix:/tmp/x"),
    "an exec probe": ('probe = "tcp"', 'probe = "exec"\ncommand = ["/bin/sh", "", "x y"]'),
    "inline tables": ('[[pool.backend]]\nname = "web1"\naddress = "10.0.0.11:80"\nweight = 1\n', ""),
}
INLINE = {"inline tables": 'name = "web"\nbackend = [{address = "h:1"}]\n[pool.health]',
          "a list of no backends": 'name = "web"\nbackend = []\n[pool.health]'}


def text_of(name, change):
    before, after = change
    assert before in BASE, name
    text = BASE.replace(before, after, 1)
    if name in INLINE:
        text = text.replace('name = "web"\n[pool.health]', INLINE[name])
    return text


def taplo_in(build):
    if not shutil.which("npm") or not shutil.which("node"):
        print("skipped: npm and node are not installed")
        sys.exit(SKIPPED)
    home = build / "taplo"
    tool = home / "node_modules/.bin/taplo"
    if not tool.exists():
        home.mkdir(exist_ok=True)
        got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000",
                              "--prefix", home, PACKAGE], capture_output=True, text=True)
        if got.returncode != 0:
            print(f"skipped: npm could not get {PACKAGE}:\n{got.stderr[-400:]}")
            sys.exit(SKIPPED)
    return tool


def refused_by(tool, arguments):
    """The files that the tool calls invalid, and all that it says."""
    done = subprocess.run([tool, "check", "--colors", "never", *arguments], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    lines = [line for line in said.splitlines() if "invalid file" in line]
    files = {pathlib.Path(line.split('path="')[1].split('"')[0]).name for line in lines}
    assert (done.returncode == 0) == (not files), said
    return files, said


def main():
    weir, source, build = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    tool = taplo_in(build)
    wrong = []
    schema = subprocess.run([weir, "schema"], capture_output=True, text=True, check=True).stdout
    conf = source / "conf"
    examples = sorted(conf.rglob("*.toml"))
    # By the schema that each of them names.
    refused, said = refused_by(tool, examples)
    if refused:
        wrong.append(f"refuses {sorted(refused)}:\n{said}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "schema.json").write_text(schema)
        # An example with a mistake is refused: the schema that it names is in force.
        broken = conf / "examples/redis.toml"
        copy = folder / "examples/redis.toml"
        copy.parent.mkdir()
        shutil.copy(conf / "weir.schema.json", folder)
        copy.write_text(broken.read_text().replace("idle_timeout", "idle_timeuot"))
        if not refused_by(tool, [copy])[0]:
            wrong.append("takes an example with a mistake: its line with the schema is without effect")
        cases = {**MISTAKES, **RIGHT}
        files = {}
        for number, (what, change) in enumerate(cases.items()):
            files[what] = folder / f"{number}.toml"
            files[what].write_text(text_of(what, change))
        refused, said = refused_by(tool, ["--schema", f"file://{folder}/schema.json", *files.values()])
        for what, file in files.items():
            by_weir = subprocess.run([weir, "check", "-c", file], capture_output=True).returncode != 0
            if (file.name in refused) != (what in MISTAKES):
                wrong.append(f"{'takes' if what in MISTAKES else 'refuses'} {what}")
            if by_weir != (what in MISTAKES):
                wrong.append(f"Weir itself {'takes' if what in MISTAKES else 'refuses'} {what}")
    print("\n".join(wrong) or f"{len(examples)} examples, {len(RIGHT)} right files, {len(MISTAKES)} mistakes")
    sys.exit(1 if wrong else 0)


main()
