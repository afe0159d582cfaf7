// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <utility>

#include "cli/command.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

/// "-o,--output" and "table|json" -> "-o, --output table|json"
std::string option_text(const OptionSpec& option) {
  const auto comma = option.flags.find(',');
  if (comma == std::string_view::npos) return fmt::format("{} {}", option.flags, option.value);
  return fmt::format("{}, {} {}", option.flags.substr(0, comma), option.flags.substr(comma + 1),
                     option.value);
}

std::string usage_of(const Command& command) {
  std::string usage = command.words();
  if (!command.argument.empty()) usage += fmt::format(" {}", command.argument);
  if ((command.required & kTakesObjects) != 0) usage += " (--manifests DIR | --kubeconfig FILE)";
  for (const auto& option : option_table()) {
    if ((command.required & ~kTakesObjects & option.bit) != 0) {
      usage += fmt::format(" {} {}", option.flags, option.value);
    }
  }
  return usage + " [OPTIONS]";
}

void print_indented(std::ostream& out, std::string_view text) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    out << "  " << text.substr(0, end) << '\n';
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

template <typename Includes>
void print_commands(std::ostream& out, const Includes& includes) {
  Table table({{""}, {""}}, 2);
  for (const auto& command : command_table()) {
    if (includes(command)) table.row({command.words(), std::string(command.summary)});
  }
  table.print(out);
}

}  // namespace

std::string Command::words() const {
  return verb.empty() ? std::string(noun) : fmt::format("{} {}", noun, verb);
}

void print_help(std::ostream& out) {
  out << "topolb shows what topology-aware load balancing programs on a node, and why.\n"
         "\n"
         "Usage: topolb COMMAND [OPTIONS]\n"
         "\n"
         "From Kubernetes objects (no root, no agent):\n";
  print_commands(out, [](const Command& c) { return (c.options & kTakesManifests) != 0; });
  out << "\nFrom this machine's kernel (root; works while the agent is down):\n";
  print_commands(out, [](const Command& c) {
    return (c.options & kTakesPinPath) != 0 && (c.options & kTakesObjects) == 0;
  });
  out << "\nOther:\n";
  print_commands(out, [](const Command& c) { return c.noun == "version"; });
  out << "\n"
         "`topolb COMMAND --help` shows the options and examples of a command.\n"
         "Everything that prints takes -o json. Exit codes: 0 good; 1 problems were found,\n"
         "or it failed; 2 wrong flags, unreadable input, or no right.\n";
}

void print_help(std::ostream& out, std::string_view noun) {
  out << fmt::format("Usage: topolb {} COMMAND [OPTIONS]\n\n", noun);
  print_commands(out, [noun](const Command& command) { return command.noun == noun; });
  out << fmt::format("\n`topolb {} COMMAND --help` shows the options and examples of a command.\n",
                     noun);
}

void print_help(std::ostream& out, const Command& command) {
  out << fmt::format("topolb {}: {}\n\n", command.words(), command.summary);
  std::string_view label = "Usage: ";
  for (const auto& line : wrap("topolb " + usage_of(command), kTextWidth - label.size())) {
    out << std::exchange(label, "       ") << line << '\n';
  }
  if (!command.details.empty()) {
    out << '\n';
    for (const auto& line : wrap(command.details, kTextWidth)) out << line << '\n';
  }
  out << "\nOptions:\n";
  Table table({{""}, {""}}, 2);
  for (const auto& option : option_table()) {
    if ((command.options & option.bit) != 0) {
      table.row({option_text(option), std::string(option.help)});
    }
  }
  table.row({std::string("-h, --help"), std::string("this text")});
  table.print(out);
  out << "\nExamples:\n";
  print_indented(out, command.examples);
}

}  // namespace topolb::cli
