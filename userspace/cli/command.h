// SPDX-License-Identifier: Apache-2.0
// A command is a row of a table: its words, what it takes, its help, its handler.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>

namespace topolb::cli {

// Exit codes (design.md 4).
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // `check` found problems, `status` something missing, ...
inline constexpr int kExitUsage = 2;   // wrong flags, input that cannot be read, no right

/// What was said on the command line, checked: `output` and `scope` are words that we know.
struct Options {
  bool help = false;
  std::string output = "table";
  std::string manifests;   // the objects come from here,
  std::string kubeconfig;  // or from the cluster of this one
  std::string context;
  std::string node;
  std::string scope = "all";
  std::string service_proxy_name;
  std::string pin_path;  // the default is that of the option table
  std::string object;    // the positional argument of `explain` and `service show`
  std::string map;       // of `map dump`
};

/// One call of a command.
struct Invocation {
  const Options& options;
  std::ostream& out;
  std::ostream& err;

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
inline constexpr unsigned kTakesScope = 1U << 4U;
inline constexpr unsigned kTakesProxyName = 1U << 5U;
inline constexpr unsigned kTakesPinPath = 1U << 6U;
inline constexpr unsigned kTakesOutput = 1U << 7U;
/// Of these two a command takes one.
inline constexpr unsigned kTakesObjects = kTakesManifests | kTakesKubeconfig;

struct OptionSpec {
  unsigned bit;
  std::string_view flags;  // "-o,--output"
  std::string_view value;  // "table|json"
  std::string_view help;
  std::string Options::*target;
};
std::span<const OptionSpec> option_table();

struct Command {
  std::string_view noun;  // "plan", "service"
  std::string_view verb;  // "": the noun is the command
  std::string_view summary;
  std::string_view details;  // for its help; "": none
  std::string_view examples;
  unsigned options = 0;       // bits
  unsigned required = 0;      // bits; kTakesObjects: one of the two
  std::string_view argument;  // name of the positional argument; "": none
  std::string Options::*argument_target = nullptr;
  int (*handler)(const Invocation&) = nullptr;

  [[nodiscard]] std::string words() const;  // "service list"
};
std::span<const Command> command_table();

/// Help of everything, of a noun ("service"), of one command.
void print_help(std::ostream& out);
void print_help(std::ostream& out, std::string_view noun);
void print_help(std::ostream& out, const Command& command);

}  // namespace topolb::cli
