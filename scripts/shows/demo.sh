# Three servers, Weir, and a load that counts what fails.

port=9001
for name in b1 b2 b3; do
  port=$(free_port "$port")
  server_port[$name]=$port
  port=$((port + 1))
done
listen=$(free_port 8080)
for name in b1 b2 b3; do serve "$name"; done
for name in b1 b2 b3; do until_listening "$name" "${server_port[$name]}"; done

sed '/^#:schema/d' conf/demo.toml >"$folder/weir.toml"
export DEMO_SOCKET=$WEIR_SOCKET DEMO_LISTEN=127.0.0.1:$listen DEMO_ACCESS_LOG=off
for name in b1 b2 b3; do export "DEMO_${name^^}=127.0.0.1:${server_port[$name]}"; done
start_weir

cat <<TXT

Weir serves 127.0.0.1:$listen with three test servers behind it, under a load of
200 new sessions a second. In another terminal:

  export WEIR_SOCKET=$WEIR_SOCKET PATH=$build:\$PATH
  curl http://127.0.0.1:$listen/     # the servers take turns
  weir top                       # who serves what, live; q ends it
  weir drain demo/b1             # no new sessions; weir enable demo/b1: again
  kill -9 \$(cat $folder/b2.pid)     # it comes back after 5 s
  weir upgrade                   # a new process takes over
  weir reload                    # after a change in $folder/weir.toml

Ctrl-C once stops it and lets sessions finish. "Asked again" is what a server
had taken already when it was killed: asked once more, as browsers do.

TXT
# Not in the background of this shell alone: Ctrl-C would end it before its sessions.
setsid "$build/bench/load/weir-bench" get --target "127.0.0.1:$listen" --rate 200 --timeout 30s --ask-again --line </dev/null &
load=$!
others+=("$load")

while [ "$asked" -eq 0 ] && kill -0 "$load" 2>/dev/null && weir_serves; do
  revive_after 5
  pause
done
[ "$asked" -gt 0 ] || weir_serves || echo "Weir has ended."
kill "$load" 2>/dev/null || true
# wait() ends at a signal, too.
status=200
while [ "$status" -gt 128 ]; do wait "$load" && status=0 || status=$?; done
stop_weir
exit "$status"
