# What the shows of scripts/run share: their folder, ports, processes and end. To be sourced; `build` is set.

# Whoever starts them may be root, and nginx's workers are not: they need to get in.
folder=$(mktemp -d "${TMPDIR:-/tmp}/weir-$show.XXXXXX")
chmod 755 "$folder"
export WEIR_SOCKET=$folder/weir.sock
asked=0       # how often the end was asked for
weir_pid=
declare -A server_port server_pid server_died
others=()     # further processes, to be ended before the servers

# The first port from $1 on at which nobody listens on 127.0.0.1.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

# start NAME COMMAND...: in a session of its own, since Ctrl-C is for scripts/run alone, which ends all in their order.
start() {
  local name=$1
  shift
  setsid "$@" >>"$folder/$name.log" 2>&1 </dev/null &
  started=$!
  disown "$started"
  echo "$started" >"$folder/$name.pid"
}

serve() {
  start "$1" "$build/bench/load/weir-bench" serve --mode http --name "$1" --listen "127.0.0.1:${server_port[$1]}"
  server_pid[$1]=$started
  unset "server_died[$1]"
}

# A server that has died is started again after so many seconds.
revive_after() {
  local name
  for name in "${!server_port[@]}"; do
    if kill -0 "${server_pid[$name]}" 2>/dev/null; then continue; fi
    : "${server_died[$name]:=$SECONDS}"
    [ $((SECONDS - server_died[$name])) -lt "$1" ] || serve "$name"
  done
}

# The end of what a program has said, and the end of the show.
fail() {
  echo "scripts/run: $2" >&2
  tail -n 20 "$folder/$1.log" >&2 || true
  exit 1
}

until_listening() {
  local tries
  for ((tries = 0; tries < 600; ++tries)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then return; fi
    kill -0 "$(cat "$folder/$1.pid")" 2>/dev/null || fail "$1" "$1 has ended"
    sleep 0.1
  done
  fail "$1" "$1 does not listen on port $2"
}

start_weir() {
  start weir "$build/weir" run -c "$folder/weir.toml"
  weir_pid=$started
  local tries
  for ((tries = 0; tries < 600; ++tries)); do
    if "$build/weir" status --ready >/dev/null 2>&1; then return; fi
    kill -0 "$weir_pid" 2>/dev/null || fail weir "Weir has ended"
    sleep 0.1
  done
  fail weir "Weir does not get ready"
}

# Whether Weir serves: after an upgrade it is another process.
weir_serves() {
  kill -0 "$weir_pid" 2>/dev/null && return
  weir_pid=$("$build/weir" status -o json 2>/dev/null | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)
  [ -n "$weir_pid" ]
}

# A moment in which a signal is heard at once.
pause() {
  sleep "${1:-0.5}" &
  wait $! || true
}

# Sessions finish; asked for once more, they are cut.
stop_weir() {
  local stop open
  open=$("$build/weir" status -o json 2>/dev/null | sed -n 's/.*"sessions": *{"active": *\([0-9]*\).*/\1/p' | head -n 1)
  [ "${open:-0}" -eq 0 ] || echo "$open sessions are open: they may finish (30 s); Ctrl-C once more cuts them."
  setsid "$build/weir" stop >>"$folder/weir.log" 2>&1 </dev/null &
  stop=$!
  disown "$stop"
  while kill -0 "$stop" 2>/dev/null; do
    if [ "$asked" -gt 1 ]; then
      "$build/weir" stop --grace 0s >>"$folder/weir.log" 2>&1 || true
      break
    fi
    pause 0.1
  done
}

clean_up() {
  local pid
  [ -z "$weir_pid" ] || weir_serves || true
  for pid in "${others[@]}" "${server_pid[@]}" "$weir_pid"; do
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'asked=$((asked + 1))' INT TERM HUP
