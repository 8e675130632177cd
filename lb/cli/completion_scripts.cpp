// What the shells load. They know nothing of the command line: at each key they ask "weir complete WORDS...",
// which answers with all that can stand in the place of the last word.
#include "lb/cli/completion_scripts.h"

namespace weir {
namespace {

constexpr std::string_view kBash = R"sh(# bash completion for weir
_weir() {
  local rest=${COMP_LINE:0:COMP_POINT} words=() lines=() piece line value cur breaks= cut= quoted= i
  # Bash splits a word at ":" and "=", of which names have some: what no blank parts is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    piece=${COMP_WORDS[i]}
    if [[ $i -eq 0 || $rest == [[:blank:]]* ]]; then
      rest=${rest#"${rest%%[![:blank:]]*}"}
      words+=("")
    fi
    [[ $i -lt $COMP_CWORD ]] || piece=$rest
    words[${#words[@]} - 1]+=$piece
    rest=${rest#"$piece"}
  done
  cur=${words[${#words[@]} - 1]}
  [[ $cur == [\"\']* ]] && quoted=yes
  words=("${words[@]//[\"\'\\]/}")
  cur=${words[${#words[@]} - 1]}
  # Of the word only what is behind the last of those is replaced.
  [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
  [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
  [[ -n $breaks && -z $quoted ]] && cut=${cur%"${cur##*[$breaks]}"}
  mapfile -t lines < <("${words[0]/#\~\//$HOME/}" complete "${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [[ ${lines[0]} == files ]]; then
    compopt -o filenames 2>/dev/null
    [[ $cur == --*=* ]] && cur=${cur#*=}
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
  fi
  for line in "${lines[@]:1}"; do
    value=${line%%$'\t'*}
    [[ $value == "$cur"* ]] && COMPREPLY+=("${value#"$cut"}")
  done
}
complete -F _weir weir
)sh";

constexpr std::string_view kZsh = R"sh(#compdef weir
_weir() {
  local -a before lines values
  local line value about program=${${(Q)words[1]}/#\~\//$HOME/}
  (( CURRENT > 2 )) && before=("${(@Q)words[2,CURRENT-1]}")
  lines=("${(@f)$("$program" complete "${before[@]}" "${(Q)PREFIX}" 2>/dev/null)}")
  [[ $PREFIX == --*=* ]] && compset -P '*='
  if [[ $lines[1] == files ]]; then
    _files
    return
  fi
  for line in "${(@)lines[2,-1]}"; do
    value=${line%%$'\t'*}
    [[ $IPREFIX == --*= ]] && value=${value#*=}
    about=${line#*$'\t'}
    [[ -n $value ]] && values+=("${value//:/\\:}${about:+:$about}")
  done
  (( $#values )) && _describe -t values value values
}
if [[ $funcstack[1] == _weir ]]; then
  _weir "$@"
else
  compdef _weir weir
fi
)sh";

constexpr std::string_view kFish = R"sh(# fish completion for weir
function __weir_offers
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l lines ($words[1] complete $words[2..] "$typed" 2>/dev/null)
    if test "$lines[1]" = files
        set -l option (string match -r -- '^--[^=]*=' $typed)
        for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $typed))
            echo "$option"$path
        end
    else if set -q lines[2]
        printf '%s\n' $lines[2..]
    end
end
complete -c weir -e
complete -c weir -f -a '(__weir_offers)'
)sh";

}  // namespace

std::string_view completion_script(std::string_view shell) {
  if (shell == "zsh") return kZsh;
  return shell == "fish" ? kFish : kBash;
}

}  // namespace weir
