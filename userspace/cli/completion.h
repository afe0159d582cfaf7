// SPDX-License-Identifier: Apache-2.0
// Shell completion. The shells' scripts are short: at each TAB they ask the hidden command
// `topolb __complete WORD...`, which answers from the tables of commands and options, the
// kubeconfig, the objects and the kernel. The answer has the form of cobra's: a candidate and a
// description a line, then ":N" with bits of what the shell shall do. So kubectl understands it
// too, which runs kubectl_complete-topolb for `kubectl topolb`.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace topolb::cli {

/// What kubectl calls for the words after `kubectl topolb`.
inline constexpr std::string_view kKubectlCompletion = "kubectl_complete-topolb";
inline constexpr std::string_view kCompleteCommand = "__complete";

/// Bits of the last line. Source: cobra's ShellCompDirective.
inline constexpr unsigned kNoFiles = 4;
inline constexpr unsigned kDirectoriesOnly = 16;

struct Candidate {
  std::string value;
  std::string description;  // may be ""
  auto operator<=>(const Candidate&) const = default;
};

struct Completion {
  std::vector<Candidate> candidates;  // sorted
  unsigned directive = kNoFiles;
};

/// `words` are those after the program's name; the last one, which may be "", is to be completed.
Completion complete(std::vector<std::string> words);
void print_completion(std::ostream& out, const Completion& completion);

/// The script for "bash", "zsh" or "fish"; "": another shell.
std::string_view completion_script(std::string_view shell);

}  // namespace topolb::cli
