# An API gateway, Weir, caches and services (conf/tandem). A service that has died is started again after REVIVE_AFTER seconds.

PATH=$PATH:/usr/sbin
declare -A at
next=9110
take_port() {
  next=$(free_port "$next")
  at[$1]=$next
  next=$((next + 1))
}
at[gateway]=$(free_port 8088)
for name in web catalog inventory payment cache-1 cache-2 cache-3; do take_port "$name"; done
for service in catalog inventory payment; do
  for number in 1 2 3; do
    take_port "$service-$number"
    server_port[$service-$number]=${at[$service-$number]}
  done
done

# fill TEMPLATE NAME=VALUE...
fill() {
  local change=(-e "s|@FOLDER@|$folder|g")
  for pair in "${@:2}"; do change+=(-e "s|@${pair%%=*}@|${pair#*=}|g"); done
  sed "${change[@]}" "conf/tandem/$1"
}

start_nginx() {
  start "$1" nginx -p "$folder" -e "$folder/$1.log" -c "$folder/$1.conf"
  until_listening "$1" "${at[$1]}"
}

for name in "${!server_port[@]}"; do serve "$name"; done
for name in "${!server_port[@]}"; do until_listening "$name" "${server_port[$name]}"; done
for number in 1 2 3; do
  name=cache-$number
  fill cache.conf "NAME=$name" "PORT=${at[$name]}" "SERVER=${at[catalog-$number]}" >"$folder/$name.conf"
  start_nginx "$name"
  others+=("$started")
done

export TANDEM_SOCKET=$WEIR_SOCKET TANDEM_ACCESS_LOG=$folder/weir.access.log
for name in "${!at[@]}"; do
  variable=${name//-/_}
  export "TANDEM_${variable^^}=127.0.0.1:${at[$name]}"
done
sed '/^#:schema/d' conf/tandem/weir.toml >"$folder/weir.toml"
start_weir

cp conf/tandem/shop.html "$folder"
fill gateway.conf "GATEWAY=${at[gateway]}" "CATALOG=${at[catalog]}" "INVENTORY=${at[inventory]}" "PAYMENT=${at[payment]}" \
  >"$folder/gateway.conf"
start_nginx gateway
gateway=$started
others+=("$gateway")

cat <<TXT

  you ── gateway (nginx) ── Weir ┬─ catalog:   three caches (nginx), each with a server
         127.0.0.1:${at[gateway]}          ├─ inventory: three servers
                                 └─ payment:   three servers, a session stays at one

In another terminal:

  export WEIR_SOCKET=$WEIR_SOCKET PATH=$build:\$PATH
  shop="curl -si -H X-API-Key:shop-key http://127.0.0.1:${at[gateway]}"
  \$shop/shop                                 # one page of three services; without the key: 401
  \$shop/inventory/shoes                      # again and again: the servers take turns
  \$shop/payment/pay -b session=42            # a session stays at its server
  kill -9 \$(cat $folder/payment-2.pid)    # nobody notices, and weir status says so
  kill -9 \$(cat $folder/catalog-?.pid)    # X-Cache: STALE; they come again after ${REVIVE_AFTER:=30} s
  weir drain inventory/inventory-1 --wait    # out without a failed request
  weir top                                   # all of it, live; in a browser: http://127.0.0.1:${at[web]}/

The key demo-key has 20 requests a second. All files are in $folder. Ctrl-C stops it.

TXT

while [ "$asked" -eq 0 ] && weir_serves; do
  revive_after "$REVIVE_AFTER"
  pause
done
[ "$asked" -gt 0 ] || echo "Weir has ended."
# It finishes what it has accepted; then Weir has no sessions but those of others.
kill -QUIT "$gateway" 2>/dev/null || true
for ((tries = 0; tries < 100; ++tries)); do
  kill -0 "$gateway" 2>/dev/null || break
  pause 0.1
done
stop_weir
