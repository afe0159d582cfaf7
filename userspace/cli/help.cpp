// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cli/command.h"
#include "cli/handlers.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

/// "--node NAME", "(--manifests DIR | --kubeconfig FILE)"
std::string one_of_text(unsigned bits) {
  std::vector<std::string> texts;
  for (const auto& option : option_table()) {
    if ((bits & option.bit) != 0) texts.push_back(option.text());
  }
  const auto all = fmt::format("{}", fmt::join(texts, " | "));
  return texts.size() > 1 ? fmt::format("({})", all) : all;
}

void print_indented(std::ostream& out, std::string_view text) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    out << "  " << text.substr(0, end) << '\n';
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

void print_paragraphs(std::ostream& out, std::string_view text) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    out << '\n';
    for (const auto& line : wrap(text.substr(0, end), kTextWidth)) out << line << '\n';
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

/// Whether a command begins here: "plan --node", but not "shows what".
bool begins_command(std::string_view text) {
  const auto word = text.substr(0, text.find_first_of(" \n`"));
  return word == "COMMAND" || word.starts_with("--") ||
         std::ranges::any_of(command_table(), [&](const Command& c) { return c.noun == word; });
}

}  // namespace

std::string Command::words() const {
  return verb.empty() ? std::string(noun) : fmt::format("{} {}", noun, verb);
}

std::string Command::usage() const {
  std::string text = fmt::format("topolb {}", words());
  for (const auto words : {argument, rest}) {
    if (!words.empty()) text += fmt::format(" {}", words);
  }
  for (const unsigned bits : one_of) {
    if (bits != 0) text += fmt::format(" {}", one_of_text(bits));
  }
  return options != 0 ? text + " [OPTIONS]" : text;
}

std::string as_typed(std::string_view text, std::string_view program) {
  static constexpr std::string_view kName = "topolb ";
  std::string result;
  while (!text.empty()) {
    const auto name = text.find(kName);
    if (name == std::string_view::npos) break;
    result += text.substr(0, name);
    text.remove_prefix(name + kName.size());
    result += begins_command(text) ? fmt::format("{} ", program) : std::string(kName);
  }
  return result.append(text);
}

void print_help(const Invocation& call) {
  call.out << as_typed(
      "topolb shows where the traffic of Kubernetes Services goes and why, and sets it.\n"
      "\n"
      "Usage: topolb COMMAND [OPTIONS]\n",
      call.program);
  for (const auto& [section, title] : section_table()) {
    call.out << '\n' << title << ":\n";
    print_commands(call.out,
                   [section = section](const Command& c) { return c.section == section; });
  }
  std::string codes;
  for (const auto& [code, meaning] : exit_code_table()) {
    codes += fmt::format("{}{}, {}", codes.empty() ? "" : "; ", code, meaning);
  }
  call.out << as_typed("\n`topolb COMMAND --help` shows the options and examples of a command.\n",
                       call.program);
  const auto rest = fmt::format("Everything that prints takes -o json. Exit codes: {}.", codes);
  for (const auto& line : wrap(rest, kTextWidth)) call.out << line << '\n';
}

void print_help(const Invocation& call, std::string_view noun) {
  call.out << fmt::format("Usage: {} {} COMMAND [OPTIONS]\n\n", call.program, noun);
  print_commands(call.out, [noun](const Command& command) { return command.noun == noun; });
  call.out << fmt::format("\n`{} {} COMMAND --help` shows the options and examples of a command.\n",
                          call.program, noun);
}

void print_help(const Invocation& call, const Command& command) {
  std::ostream& out = call.out;
  out << fmt::format("{} {}: {}\n\n", call.program, command.words(), command.summary);
  std::string_view label = "Usage: ";
  const auto usage = as_typed(command.usage(), call.program);
  for (const auto& line : wrap(usage, kTextWidth - label.size())) {
    out << std::exchange(label, "       ") << line << '\n';
  }
  if (!command.details.empty()) {
    print_paragraphs(out, as_typed(command.details, call.program));
  }
  out << "\nOptions:\n";
  Table table({{""}, {""}}, 2);
  for (const auto& option : option_table()) {
    if ((command.options & option.bit) != 0) {
      table.row({option.full_text(), std::string(option.help)});
    }
  }
  table.row({std::string("-h, --help"), std::string("this text")});
  table.print(out);
  out << "\nExamples:\n";
  print_indented(out, as_typed(command.examples, call.program));
}

int run_help(const Invocation& call) {
  const auto& words = call.options.words;
  const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
  if (words.empty()) {
    print_help(call);
  } else if (const auto* command = find_command(word(0), word(1))) {
    print_help(call, *command);
  } else if (words.size() == 1 && begins_command(words[0])) {
    print_help(call, words[0]);
  } else {
    return call.fail(kExitUsage,
                     fmt::format("unknown command '{}'; see topolb --help", fmt::join(words, " ")));
  }
  return kExitOk;
}

}  // namespace topolb::cli
