// SPDX-License-Identifier: Apache-2.0
// The command line cut up by the tables of commands and options. CLI11 does the cutting; what is
// missing or too much is said by run(), so that every error is one line, in the same words with
// every version of CLI11.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cli/command.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own
class App;
}

namespace topolb::cli {

class Parser {
 public:
  /// parse() writes into `options`.
  explicit Parser(Options& options);
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser();

  /// False: the line that says what is wrong is in `ret_error`.
  bool parse(int argc, const char* const* argv, std::string& ret_error);

  [[nodiscard]] bool version() const { return version_; }
  /// null: no command was said, or a noun without its verb.
  [[nodiscard]] const Command* command() const;
  /// The noun said, with or without a verb after it.
  [[nodiscard]] std::string noun() const;
  /// The first argument that nothing took; none: all were taken.
  [[nodiscard]] std::optional<std::string> extra() const;

 private:
  /// `words` name it from the root on; a noun comes once for all its verbs.
  CLI::App* subcommand(CLI::App& parent, const std::string& words, std::string_view word);
  void add_options(CLI::App& app, unsigned bits);
  void add(const Command& command);

  Options& options_;
  std::unique_ptr<CLI::App> app_;
  bool version_ = false;
  std::map<std::string, CLI::App*> apps_;
  std::map<const CLI::App*, const Command*> leaves_;
};

}  // namespace topolb::cli
