// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include "cli/command.h"
#include "cli/completion_values.h"
#include "cli/kernel_tables.h"
#include "cli/parser.h"
#include "dataplane/kernel_maps.h"

namespace topolb::cli {
namespace {

void add(Completion& completion, const std::vector<std::string>& values) {
  for (const auto& value : values) completion.candidates.push_back({value, ""});
}

std::vector<std::string> choices_of(std::string_view choices) {
  std::vector<std::string> words;
  while (!choices.empty()) {
    const auto end = std::min(choices.find('|'), choices.size());
    words.emplace_back(choices.substr(0, end));
    choices.remove_prefix(std::min(end + 1, choices.size()));
  }
  return words;
}

/// The option that `word` names, if it takes a value.
const OptionSpec* option_with_value(std::string_view word) {
  for (const auto& option : option_table()) {
    const bool is_short = option.flags.starts_with("-o,") && word == "-o";
    if (!option.value.empty() && (word == option.name() || is_short)) return &option;
  }
  return nullptr;
}

Completion values_of(const OptionSpec& option, const Options& options) {
  Completion completion;
  if (option.value == "DIR") {
    completion.directive = kDirectoriesOnly;
  } else if (option.value == "FILE") {
    completion.directive = 0;
  } else if (option.value.find('|') != std::string_view::npos) {
    add(completion, choices_of(option.value));
  } else if (option.bit == kTakesContext) {
    add(completion, kube_contexts(options));
  } else if (option.bit == kTakesNode) {
    add(completion, node_names(options));
  }
  return completion;
}

/// Nouns, or the verbs of one.
Completion commands(const std::string& noun) {
  Completion completion;
  std::set<std::string_view> seen;
  for (const auto& command : command_table()) {
    if (!noun.empty() && command.noun != noun) continue;
    const auto word = noun.empty() ? command.noun : command.verb;
    if (word.empty() || !seen.insert(word).second) continue;
    const bool has_verbs = noun.empty() && !command.verb.empty();
    completion.candidates.push_back(
        {std::string(word), has_verbs ? std::string() : std::string(command.summary)});
  }
  return completion;
}

Completion general_options() {
  return {{{"--help", "the commands"}, {"--version", "the version of this program"}}};
}

Completion options_of(const Command& command, const Options& options) {
  Completion completion;
  for (const auto& option : option_table()) {
    const bool repeated = option.bit != kTakesOutput && option.bit != kTakesScope &&
                          option.bit != kTakesPinPath && option.is_given(options);
    if ((command.options & option.bit) == 0 || repeated) continue;
    completion.candidates.push_back({std::string(option.name()), std::string(option.help)});
  }
  completion.candidates.push_back({"--help", "what the command does, its options and examples"});
  return completion;
}

Completion arguments_of(const Command& command, const Options& options, const std::string& word) {
  Completion completion;
  const bool is_first = !command.argument.empty() && (options.*command.argument_target).empty();
  if (is_first && command.argument_target == &Options::object) {
    add(completion, service_names(command, options, word));
  } else if (is_first && command.argument_target == &Options::map) {
    add(completion, decodable_maps());
  } else if (is_first) {
    add(completion, choices_of(command.argument));
  } else if (command.rest_target == &Options::keys) {
    add(completion, label_keys(options));
  } else if (command.rest_target == &Options::words) {
    return options.words.size() > 1 ? completion
                                    : commands(options.words.empty() ? "" : options.words[0]);
  }
  return completion;
}

/// "--output=j" becomes two words, as bash cuts it (into three) by itself. Returns what the shell
/// still takes for a part of the last one: "--output=".
std::string split_option(std::vector<std::string>& words) {
  if (words.back() == "=") words.emplace_back();
  std::erase(words, "=");
  const std::string last = words.back();
  const auto equals = last.find('=');
  if (equals == std::string::npos || !last.starts_with("--")) return {};
  words.back() = last.substr(0, equals);
  words.push_back(last.substr(equals + 1));
  return last.substr(0, equals + 1);
}

/// Shells hand "~/.kube/config" over as it is typed.
void expand_home(std::string& path) {
  const char* home = std::getenv("HOME");
  if (home != nullptr && path.starts_with("~/")) path.replace(0, 1, home);
}

Completion complete_word(std::vector<std::string> before, const std::string& word) {
  const OptionSpec* option = before.empty() ? nullptr : option_with_value(before.back());
  if (option != nullptr) before.pop_back();
  Options options;
  options.pin_path = dataplane::kDefaultPinPath;
  std::vector<const char*> argv{"topolb"};
  for (const auto& text : before) argv.push_back(text.c_str());
  Parser parser(options);
  std::string ignored;
  if (!parser.parse(static_cast<int>(argv.size()), argv.data(), ignored)) return {};
  expand_home(options.manifests);
  expand_home(options.kubeconfig);
  const Command* command = parser.command();
  if (parser.extra()) return {};
  if (option != nullptr) return values_of(*option, options);
  if (command == nullptr) {
    return word.starts_with('-') ? general_options() : commands(parser.noun());
  }
  if (word.starts_with('-')) return options_of(*command, options);
  return arguments_of(*command, options, word);
}

}  // namespace

Completion complete(std::vector<std::string> words) {
  if (words.empty()) words.emplace_back();
  const std::string prefix = split_option(words);
  const std::string word = words.back();
  words.pop_back();
  Completion completion = complete_word(std::move(words), word);
  std::erase_if(completion.candidates,
                [&](const Candidate& candidate) { return !candidate.value.starts_with(word); });
  for (auto& candidate : completion.candidates) candidate.value.insert(0, prefix);
  std::ranges::sort(completion.candidates);
  return completion;
}

void print_completion(std::ostream& out, const Completion& completion) {
  for (const auto& [value, description] : completion.candidates) {
    out << value;
    if (!description.empty()) out << '\t' << description;
    out << '\n';
  }
  out << ':' << completion.directive << '\n';
}

}  // namespace topolb::cli
