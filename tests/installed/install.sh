#!/usr/bin/env bash
# tests/installed/install.sh BUILD: installs what is built there into two prefixes and a DESTDIR, and looks at each path; edits the
# configuration, installs again, and uninstalls.
set -euo pipefail
build=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "install.sh: $*" >&2; exit 1; }
# lay WHAT…: cmake --install with these arguments.
lay() { cmake --install "$build" "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "cmake --install $*"; }; }
files() { (cd "$1" && find . ! -type d | sed 's|^\./||' | sort); }

{
  printf '%s\n' bin/weir etc/weir/weir.toml lib/systemd/system/weir.service lib/systemd/system/weir.socket \
    share/man/man8/weir.8 share/man/man5/weir.toml.5 share/man/man7/weir-metrics.7 \
    share/bash-completion/completions/weir share/zsh/site-functions/_weir share/fish/vendor_completions.d/weir.fish \
    share/weir/weir.schema.json share/weir/grafana/weir.json share/weir/prometheus/rules.yml
  (cd "$source/conf/doc" && find . -type f | sed 's|^\.|share/doc/weir|')
  (cd "$source/conf" && ls examples/*.toml | sed 's|^|share/doc/weir/|')
} | sort >"$work/expected"

# complete ROOT: just what is expected lies there.
complete() { diff "$work/expected" <(files "$1") || fail "$1 is not what was expected"; }

# names ROOT PREFIX: what names a path names those of PREFIX, which lies in ROOT.
names() {
  local unit=$1/lib/systemd/system/weir.service
  grep -qx "ExecStart=$2/bin/weir run -c $2/etc/weir/weir.toml" "$unit" || fail "the unit's ExecStart"
  grep -qx "ExecReload=$2/bin/weir reload" "$unit" || fail "the unit's ExecReload"
  for file in "$1/etc/weir/weir.toml" "$1"/share/doc/weir/examples/*.toml; do
    [ "$(head -n 1 "$file")" = "#:schema $2/share/weir/weir.schema.json" ] || fail "the schema of $file"
  done
  ! grep -rlF "$source" "$1/etc" "$1/lib" "$1/share" || fail "the source folder is named"
}

for prefix in "$work/one" "$work/two/deeper"; do
  lay --prefix "$prefix"
  complete "$prefix"
  names "$prefix" "$prefix"
  "$prefix/bin/weir" check -c "$prefix/etc/weir/weir.toml" >"$work/check" 2>&1 ||
    { cat "$work/check"; fail "the configuration"; }
  if command -v systemd-analyze >/dev/null; then
    units=("$prefix/lib/systemd/system/weir.service" "$prefix/lib/systemd/system/weir.socket")
    MANPATH=$prefix/share/man systemd-analyze verify "${units[@]}" >"$work/verify" 2>&1 ||
      { cat "$work/verify"; fail "systemd-analyze verify"; }
    ! grep -F weir "$work/verify" || fail "systemd-analyze verify complains"
  fi
done

configured=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
export DESTDIR=$work/stage
lay
root=$DESTDIR$configured
if [ "$configured" != /usr ]; then
  complete "$root"
  names "$root" "$configured"
fi
[ "$(files "$DESTDIR" | wc -l)" = "$(wc -l <"$work/expected")" ] || fail "something lies beside $root"
config=$(cd "$DESTDIR" && find . -name weir.toml | sed 's|^\.||')
"$root/bin/weir" run --help | grep -qF "(default: $config)" || fail "weir run does not look for $config"

echo '# mine' >>"$DESTDIR$config"
cp "$DESTDIR$config" "$work/mine"
lay
cmp "$work/mine" "$DESTDIR$config" || fail "the edited configuration is gone"
cmake -P "$source/conf/uninstall.cmake" "$build/install_manifest.txt" >"$work/log"
[ "$(files "$DESTDIR")" = "${config#/}" ] || { files "$DESTDIR"; fail "uninstall leaves more than the configuration"; }
cmp "$work/mine" "$DESTDIR$config" || fail "uninstall takes the edited configuration"
[ ! -e "$root/share/weir" ] && [ ! -e "$root/share/doc/weir" ] || fail "uninstall leaves folders of Weir's"
