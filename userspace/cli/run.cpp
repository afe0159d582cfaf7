// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/handlers.h"
#include "cli/text.h"
#include "dataplane/kernel_maps.h"

namespace topolb::cli {
namespace {

/// CLI11 cuts the arguments up; what is missing or too much is said here, so that every error is
/// one line, in the same words with every version of CLI11.
class Parser {
 public:
  explicit Parser(Options& options) : options_(options) {
    app_.set_help_flag();
    app_.add_flag("-h,--help", options.help);
    app_.add_flag("--version", version_);
    app_.allow_extras();
    app_.require_subcommand(0, 1);
    for (const Command& command : command_table()) add(command);
    add_options(app_, kTakesOutput);
  }

  /// None: the line that says what is wrong is in `error`.
  bool parse(int argc, const char* const* argv, std::string& error) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ArgumentMismatch& mismatch) {
      const std::string what = mismatch.what();
      error = fmt::format("{} needs a value", what.substr(0, what.find(':')));
      return false;
    } catch (const CLI::ParseError& parse_error) {
      error = printable(parse_error.what());
      return false;
    }
    return true;
  }

  [[nodiscard]] bool version() const { return version_; }
  [[nodiscard]] const Command* command() const {
    for (const auto& [app, command] : leaves_) {
      if (app->parsed()) return command;
    }
    return nullptr;
  }
  /// The noun said, with or without a verb after it.
  [[nodiscard]] std::string noun() const {
    const auto said = app_.get_subcommands();
    return said.empty() ? "" : said.front()->get_name();
  }
  /// The first argument that nothing took; none: all were taken.
  [[nodiscard]] std::optional<std::string> extra() const {
    const auto extras = app_.remaining(true);
    return extras.empty() ? std::nullopt : std::optional(extras.front());
  }

 private:
  /// `words` name it from the root on; a noun comes once for all its verbs.
  CLI::App* subcommand(CLI::App& parent, const std::string& words, std::string_view word) {
    CLI::App*& app = apps_[words];
    if (app != nullptr) return app;
    app = parent.add_subcommand(std::string(word));
    app->set_help_flag();
    app->add_flag("-h,--help", options_.help);
    app->allow_extras();
    app->require_subcommand(0, 1);
    return app;
  }

  void add_options(CLI::App& app, unsigned bits) {
    for (const auto& option : option_table()) {
      if ((bits & option.bit) != 0) {
        app.add_option(std::string(option.flags), options_.*option.target)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      }
    }
  }

  void add(const Command& command) {
    CLI::App* app = subcommand(app_, std::string(command.noun), command.noun);
    if (!command.verb.empty()) app = subcommand(*app, command.words(), command.verb);
    add_options(*app, command.options);
    if (!command.argument.empty()) {
      app->add_option(std::string("argument"), options_.*command.argument_target);
    }
    leaves_.emplace(app, &command);
  }

  Options& options_;
  CLI::App app_;
  bool version_ = false;
  std::map<std::string, CLI::App*> apps_;
  std::map<const CLI::App*, const Command*> leaves_;
};

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
std::string judge(const OptionSpec& option, const Command& command, const std::string& value) {
  const auto name = option.flags.substr(option.flags.find("--"));
  if (value.starts_with("--")) return fmt::format("{} needs a value, but {} follows", name, value);
  const unsigned required = command.required & ~kTakesObjects;
  if ((required & option.bit) != 0 && value.empty()) {
    return fmt::format("'{}' needs {} {}", command.words(), name, option.value);
  }
  const bool is_choice = option.value.find('|') != std::string_view::npos;
  if ((command.options & option.bit) == 0 || !is_choice) return {};
  if (is_one_of(option.value, value)) return {};
  return fmt::format("{} is {}, not '{}'", name, option.value, value);
}

/// "" if the command has what it needs and its values are words that we know.
std::string judge(const Command& command, const Options& options,
                  const std::optional<std::string>& extra) {
  if (extra) {
    return fmt::format("{} {}", extra->starts_with('-') ? "unknown option" : "unexpected argument",
                       *extra);
  }
  if (!command.argument.empty() && (options.*command.argument_target).empty()) {
    return fmt::format("'{}' needs {}", command.words(), command.argument);
  }
  for (const auto& option : option_table()) {
    auto wrong = judge(option, command, options.*option.target);
    if (!wrong.empty()) return wrong;
  }
  if ((command.required & kTakesObjects) == 0) return {};
  if (options.manifests.empty() && options.kubeconfig.empty()) {
    return fmt::format("'{}' needs --manifests DIR or --kubeconfig FILE", command.words());
  }
  if (!options.manifests.empty() && !options.kubeconfig.empty()) {
    return "--manifests and --kubeconfig exclude each other";
  }
  if (!options.context.empty() && options.kubeconfig.empty()) return "--context needs --kubeconfig";
  return {};
}

}  // namespace

int Invocation::fail(int exit_code, std::string_view line) const {
  err << "topolb: " << printable(line) << '\n';
  return exit_code;
}

void Invocation::warn(std::string_view line) const {
  err << "topolb: warning: " << printable(line) << '\n';
}

int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  Options options;
  options.pin_path = dataplane::kDefaultPinPath;
  const Invocation call{options, out, err};
  Parser parser(options);
  if (std::string error; !parser.parse(argc, argv, error)) return call.fail(kExitUsage, error);
  const Command* command = parser.command();
  if (options.help) {
    if (command != nullptr) {
      print_help(out, *command);
    } else if (const std::string noun = parser.noun(); !noun.empty()) {
      print_help(out, noun);
    } else {
      print_help(out);
    }
    return kExitOk;
  }
  if (command == nullptr) {
    if (parser.version() && parser.noun().empty() && !parser.extra()) {
      return run_version(call);
    }
    return call.fail(kExitUsage, no_command(parser.noun(), parser.extra()));
  }
  const std::string wrong = judge(*command, options, parser.extra());
  if (!wrong.empty()) {
    return call.fail(kExitUsage, fmt::format("{}; see topolb {} --help", wrong, command->words()));
  }
  const int exit_code = command->handler(call);
  out.flush();
  if (!out) return call.fail(kExitFailed, "cannot write the output");
  return exit_code;
}

}  // namespace topolb::cli
