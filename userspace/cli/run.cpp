// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/handlers.h"
#include "cli/parser.h"
#include "cli/text.h"
#include "dataplane/kernel_maps.h"

namespace topolb::cli {
namespace {

std::string verbs_of(std::string_view noun) {
  std::vector<std::string> verbs;
  for (const auto& command : command_table()) {
    if (command.noun == noun) verbs.emplace_back(command.verb);
  }
  return joined(verbs);
}

std::string no_command(const std::string& noun, const std::optional<std::string>& extra) {
  if (extra && extra->starts_with('-')) {
    return fmt::format("unknown option {}; see topolb {}{}--help", *extra, noun,
                       noun.empty() ? "" : " ");
  }
  if (noun.empty()) {
    return extra ? fmt::format("unknown command '{}'; see topolb --help", *extra)
                 : "a command is missing; see topolb --help";
  }
  return extra ? fmt::format("unknown command '{} {}': {} goes with {}", noun, *extra, noun,
                             verbs_of(noun))
               : fmt::format("'{}' needs a second word: {}", noun, verbs_of(noun));
}

/// Whether `value` is one of "a|b|c".
bool is_one_of(std::string_view choices, const std::string& value) {
  while (!choices.empty()) {
    const auto end = choices.find('|');
    if (choices.substr(0, end) == value) return true;
    choices.remove_prefix(end == std::string_view::npos ? choices.size() : end + 1);
  }
  return false;
}

/// "" if an option's value is one that the command can have.
std::string judge(const OptionSpec& option, const Command& command, const Options& options) {
  if (option.flag != nullptr) return {};
  const std::string& value = options.*option.target;
  if (value.starts_with("--")) {
    return fmt::format("{} needs a value, but {} follows", option.name(), value);
  }
  const bool is_choice = option.value.find('|') != std::string_view::npos;
  if ((command.options & option.bit) == 0 || !is_choice) return {};
  if (is_one_of(option.value, value)) return {};
  return fmt::format("{} is {}, not '{}'", option.name(), option.value, value);
}

/// "" if exactly one of the options of these bits is given.
std::string judge_one_of(unsigned bits, const Command& command, const Options& options) {
  std::vector<std::string> possible;
  std::vector<std::string_view> given;
  for (const auto& option : option_table()) {
    if ((bits & option.bit) == 0) continue;
    possible.push_back(option.text());
    if (option.is_given(options)) given.push_back(option.name());
  }
  if (given.empty()) {
    return fmt::format("'{}' needs {}", command.words(), fmt::join(possible, " or "));
  }
  if (given.size() == 1) return {};
  return fmt::format("{} exclude each other", fmt::join(given, " and "));
}

/// "" if the positional arguments are there.
std::string judge_arguments(const Command& command, const Options& options) {
  if (!command.argument.empty() && (options.*command.argument_target).empty()) {
    return fmt::format("'{}' needs {}", command.words(), command.argument);
  }
  const bool needs_rest = !command.rest.empty() && !command.rest.starts_with('[');
  if (needs_rest && (options.*command.rest_target).empty()) {
    return fmt::format("'{}' needs {}", command.words(), command.rest);
  }
  return {};
}

/// "" if the command has what it needs and its values are words that we know.
std::string judge(const Command& command, const Options& options,
                  const std::optional<std::string>& extra) {
  if (extra) {
    return fmt::format("{} {}", extra->starts_with('-') ? "unknown option" : "unexpected argument",
                       *extra);
  }
  if (auto wrong = judge_arguments(command, options); !wrong.empty()) return wrong;
  for (const auto& option : option_table()) {
    if (auto wrong = judge(option, command, options); !wrong.empty()) return wrong;
  }
  for (const unsigned bits : command.one_of) {
    if (bits == 0) continue;
    if (auto wrong = judge_one_of(bits, command, options); !wrong.empty()) return wrong;
  }
  const bool may_be_files = (command.options & kTakesManifests) != 0;
  if (may_be_files && !options.context.empty() && options.kubeconfig.empty()) {
    return "--context needs --kubeconfig";
  }
  return {};
}

/// What the user typed: kubectl runs `kubectl topolb` as kubectl-topolb.
std::string_view program_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1) == "kubectl-topolb" ? "kubectl topolb" : "topolb";
}

/// What programs ask for, not people: completions and the manual page. None: something else.
std::optional<int> run_hidden(int argc, const char* const* argv, std::ostream& out) {
  const std::string_view path = argc > 0 ? argv[0] : "";
  const std::string_view first = argc > 1 ? argv[1] : "";
  const bool for_kubectl = path.substr(path.rfind('/') + 1) == kKubectlCompletion;
  if (for_kubectl || first == kCompleteCommand) {
    print_completion(out, complete({argv + (for_kubectl ? 1 : 2), argv + argc}));
    return kExitOk;
  }
  if (first != "__man") return std::nullopt;
  print_man_page(out);
  return kExitOk;
}

void print_help_of(const Invocation& call, const Command* command, const std::string& noun) {
  if (command != nullptr) {
    print_help(call, *command);
  } else if (!noun.empty()) {
    print_help(call, noun);
  } else {
    print_help(call);
  }
}

}  // namespace

int Invocation::fail(int exit_code, std::string_view line) const {
  err << "topolb: " << printable(as_typed(line, program)) << '\n';
  return exit_code;
}

void Invocation::warn(std::string_view line) const {
  err << "topolb: warning: " << printable(line) << '\n';
}

int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  Options options;
  options.pin_path = dataplane::kDefaultPinPath;
  const Invocation call{options, out, err, program_name(argc > 0 ? argv[0] : "")};
  if (const auto exit_code = run_hidden(argc, argv, out)) return *exit_code;
  Parser parser(options);
  if (std::string error; !parser.parse(argc, argv, error)) return call.fail(kExitUsage, error);
  const Command* command = parser.command();
  int exit_code = kExitOk;
  if (options.help) {
    print_help_of(call, command, parser.noun());
  } else if (command != nullptr) {
    const std::string wrong = judge(*command, options, parser.extra());
    if (!wrong.empty()) {
      return call.fail(kExitUsage,
                       fmt::format("{}; see topolb {} --help", wrong, command->words()));
    }
    exit_code = command->handler(call);
  } else if (parser.version() && parser.noun().empty() && !parser.extra()) {
    run_version(call);
  } else {
    return call.fail(kExitUsage, no_command(parser.noun(), parser.extra()));
  }
  out.flush();
  if (!out) return call.fail(kExitFailed, "cannot write the output");
  return exit_code;
}

}  // namespace topolb::cli
