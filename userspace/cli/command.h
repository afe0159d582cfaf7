// SPDX-License-Identifier: Apache-2.0
// A command is a row of a table: its words, what it takes, its help, its handler.
#pragma once

#include <array>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topolb::cli {

// Exit codes (design.md 4).
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // `check` found problems, `status` something missing, ...
inline constexpr int kExitUsage = 2;   // wrong flags, input that cannot be read, no right

/// What was said on the command line, checked: `output` and `scope` are words that we know.
struct Options {
  bool help = false;
  bool all_nodes = false;
  bool spec = false;
  bool dry_run = false;
  std::string output = "table";
  std::string manifests;   // the objects come from here,
  std::string kubeconfig;  // or from the cluster of this one
  std::string context;
  std::string node;
  std::string scope = "all";
  std::string service_proxy_name;
  std::string pin_path;            // the default is that of the option table
  std::string object;              // the positional argument of `explain` and `service show`
  std::string map;                 // of `map dump`
  std::string shell;               // of `completion`
  std::vector<std::string> words;  // the arguments of `help`
  std::vector<std::string> keys;   // of `topology set`
};

/// One call of a command.
struct Invocation {
  const Options& options;
  std::ostream& out;
  std::ostream& err;
  std::string_view program = "topolb";  // what the user typed: or "kubectl topolb"

  [[nodiscard]] bool json() const { return options.output == "json"; }
  /// One line on stderr. Returns `exit_code`.
  int fail(int exit_code, std::string_view line) const;
  void warn(std::string_view line) const;
};

/// Bits: which options a command takes.
inline constexpr unsigned kTakesManifests = 1U << 0U;
inline constexpr unsigned kTakesKubeconfig = 1U << 1U;
inline constexpr unsigned kTakesContext = 1U << 2U;
inline constexpr unsigned kTakesNode = 1U << 3U;
inline constexpr unsigned kTakesAllNodes = 1U << 4U;
inline constexpr unsigned kTakesScope = 1U << 5U;
inline constexpr unsigned kTakesProxyName = 1U << 6U;
inline constexpr unsigned kTakesPinPath = 1U << 7U;
inline constexpr unsigned kTakesOutput = 1U << 8U;
inline constexpr unsigned kTakesSpec = 1U << 9U;
inline constexpr unsigned kTakesDryRun = 1U << 10U;
inline constexpr unsigned kTakesObjects = kTakesManifests | kTakesKubeconfig;

/// Has a value (`target`), or is a flag.
struct OptionSpec {
  unsigned bit;
  std::string_view flags;  // "-o,--output"
  std::string_view value;  // "table|json"; "" of a flag
  std::string_view help;
  std::string Options::*target = nullptr;
  bool Options::*flag = nullptr;

  [[nodiscard]] std::string_view name() const { return flags.substr(flags.find("--")); }
  /// "--node NAME", "--all-nodes"
  [[nodiscard]] std::string text() const;
  /// "-o, --output table|json"
  [[nodiscard]] std::string full_text() const;
  [[nodiscard]] bool is_given(const Options& options) const;
};
std::span<const OptionSpec> option_table();

/// Where a command stands in the help.
enum class Section : std::uint8_t { Objects, Topology, Kernel, Other };
struct SectionTitle {
  Section section;
  std::string_view title;
};
std::span<const SectionTitle> section_table();

struct ExitCode {
  int code;
  std::string_view meaning;
};
std::span<const ExitCode> exit_code_table();

struct Command {
  Section section = Section::Other;
  std::string_view noun;  // "plan", "service"
  std::string_view verb;  // "": the noun is the command
  std::string_view summary;
  std::string_view details;  // for its help, a paragraph a line; "": none
  std::string_view examples;
  unsigned options = 0;                     // bits
  std::array<unsigned, 2> one_of = {0, 0};  // of the bits of each, one must be given; 0: none
  std::string_view argument;                // name of the positional argument; "": none
  std::string Options::*argument_target = nullptr;
  std::string_view rest;  // name of what may follow it, any number; "": none
  std::vector<std::string> Options::*rest_target = nullptr;
  int (*handler)(const Invocation&) = nullptr;

  [[nodiscard]] std::string words() const;  // "service list"
  [[nodiscard]] std::string usage() const;  // "topolb plan ... [OPTIONS]"
};
std::span<const Command> command_table();
/// The command of these words, with or without verb; null: there is none.
const Command* find_command(std::string_view noun, std::string_view verb);

/// The texts of the tables say "topolb"; `program` is what the user typed instead.
std::string as_typed(std::string_view text, std::string_view program);

/// Help of everything, of a noun ("service"), of one command.
void print_help(const Invocation& call);
void print_help(const Invocation& call, std::string_view noun);
void print_help(const Invocation& call, const Command& command);
/// topolb(1) in the language of man(7).
void print_man_page(std::ostream& out);

}  // namespace topolb::cli
