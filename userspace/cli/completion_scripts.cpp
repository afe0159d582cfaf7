// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/completion.h"
#include "cli/handlers.h"

namespace topolb::cli {
namespace {

constexpr std::string_view kBash = R"(# bash completion for topolb: . <(topolb completion bash)
_topolb() {
  local -a lines
  local line value current=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  mapfile -t lines < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  ((${#lines[@]} > 0)) || return 0
  local directive=${lines[-1]#:}
  unset 'lines[-1]'
  if ((directive & 16)); then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
  elif ((!(directive & 4))); then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    for line in "${lines[@]}"; do
      printf -v value %q "${line%%$'\t'*}"
      COMPREPLY+=("$value")
    done
  fi
}
complete -F _topolb topolb
)";

constexpr std::string_view kZsh = R"(#compdef topolb
# zsh completion for topolb: . <(topolb completion zsh), or as _topolb in a directory of $fpath
_topolb() {
  local -a lines items
  local line directive
  lines=("${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  directive=${lines[-1]#:}
  lines[-1]=()
  if ((directive & 16)); then
    _path_files -/
  elif ((!(directive & 4))); then
    _files
  else
    for line in "${lines[@]}"; do
      items+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe topolb items
  fi
}
if [[ ${funcstack[1]} == _topolb ]]; then
  _topolb "$@"
else
  compdef _topolb topolb
fi
)";

constexpr std::string_view kFish = R"(# fish completion for topolb: topolb completion fish | source
function __topolb_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete $words[2..] "$current" 2>/dev/null)
    set -l directive (string sub -s 2 -- $lines[-1])
    switch "$directive"
        case 16
            __fish_complete_directories "$current"
        case 0
            __fish_complete_path "$current"
        case '*'
            set -e lines[-1]
            printf '%s\n' $lines
    end
end
complete -c topolb -f -a '(__topolb_complete)'
)";

}  // namespace

std::string_view completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  return shell == "fish" ? kFish : "";
}

int run_completion(const Invocation& call) {
  const auto script = completion_script(call.options.shell);
  if (script.empty()) {
    return call.fail(kExitUsage, fmt::format("no completion for '{}', but for bash, zsh and fish",
                                             call.options.shell));
  }
  call.out << script;
  return kExitOk;
}

}  // namespace topolb::cli
