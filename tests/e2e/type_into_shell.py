#!/usr/bin/env python3
"""Types a line into an interactive shell on a terminal of its own, completes it, and prints the line as it stands then.
    type_into_shell.py bash|zsh SCRIPT one|all LINE
SCRIPT holds the completions. "one" presses the key for a completion once, "all" puts every possible one into the line."""
import os
import pty
import select
import sys
import time

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
# A key that shows the line between marks, and one that puts all completions into it.
SETUP = {
    "bash": r"""PS1='ready> '
bind 'set bell-style none'
bind 'set completion-query-items 0'
bind 'set page-completions off'
bind -x '"\C-xp": printf "\n<<%s>>\n" "$READLINE_LINE"'
bind '"\C-xa": insert-completions'
[ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
. SCRIPT
echo begin-typing""",
    "zsh": r"""PS1='ready> '; unsetopt beep
autoload -Uz compinit; compinit -u -D
. SCRIPT
show() { print -r -- "
<<$BUFFER>>" }; zle -N show; bindkey '^Xp' show
every() { _main_complete; compstate[insert]=all }
zle -C every complete-word every; bindkey '^Xa' every
echo begin-typing""",
}
PATIENCE_SECONDS = 20


def read_until(terminal, mark, text=""):
    end = time.monotonic() + PATIENCE_SECONDS
    while mark not in text:
        if time.monotonic() > end or not select.select([terminal], [], [], 1)[0]:
            if time.monotonic() > end:
                sys.exit(f"{mark!r} did not come: {text!r}")
            continue
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


def main():
    shell, script, how, line = sys.argv[1:]
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", COLUMNS="2000", LINES="24", HISTFILE="/dev/null")
        os.execvp(SHELLS[shell][0], SHELLS[shell])
    for setup in SETUP[shell].replace("SCRIPT", script).split("\n"):
        os.write(terminal, setup.encode() + b"\n")
    # The first one is the echo of the command itself.
    read_until(terminal, "\r\nbegin-typing")
    os.write(terminal, line.encode() + (b"\t" if how == "one" else b"\x18a"))
    os.write(terminal, b"\x18p")
    shown = read_until(terminal, ">>", read_until(terminal, "<<"))
    os.write(terminal, b"\x03\x04")
    os.close(terminal)
    print(shown.split("<<", 1)[1].split(">>", 1)[0].replace("\r", "").replace("\n", ""))


main()
