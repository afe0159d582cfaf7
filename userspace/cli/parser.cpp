// SPDX-License-Identifier: Apache-2.0
#include "cli/parser.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/text.h"

namespace topolb::cli {

Parser::Parser(Options& options) : options_(options), app_(std::make_unique<CLI::App>()) {
  app_->set_help_flag();
  app_->add_flag("-h,--help", options.help);
  app_->add_flag("--version", version_);
  app_->allow_extras();
  app_->require_subcommand(0, 1);
  for (const Command& command : command_table()) add(command);
  add_options(*app_, kTakesOutput);
}

Parser::~Parser() = default;

bool Parser::parse(int argc, const char* const* argv, std::string& ret_error) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& mismatch) {
    const std::string what = mismatch.what();
    ret_error = fmt::format("{} needs a value", what.substr(0, what.find(':')));
    return false;
  } catch (const CLI::ConversionError& conversion) {
    // Texts take anything, so it is a flag: "Could not convert: --spec = foo".
    const std::string what = conversion.what();
    const auto name = what.find("--");
    ret_error = fmt::format("{} takes no value",
                            what.substr(std::min(name, what.size()), what.find(" =") - name));
    return false;
  } catch (const CLI::ParseError& parse_error) {
    ret_error = printable(parse_error.what());
    return false;
  }
  return true;
}

const Command* Parser::command() const {
  for (const auto& [app, command] : leaves_) {
    if (app->parsed()) return command;
  }
  return nullptr;
}

std::string Parser::noun() const {
  const auto said = app_->get_subcommands();
  return said.empty() ? "" : said.front()->get_name();
}

std::optional<std::string> Parser::extra() const {
  auto extras = app_->remaining(true);
  std::erase(extras, "--");  // where options end
  return extras.empty() ? std::nullopt : std::optional(extras.front());
}

CLI::App* Parser::subcommand(CLI::App& parent, const std::string& words, std::string_view word) {
  CLI::App*& app = apps_[words];
  if (app != nullptr) return app;
  app = parent.add_subcommand(std::string(word));
  app->set_help_flag();
  app->add_flag("-h,--help", options_.help);
  app->allow_extras();
  app->require_subcommand(0, 1);
  return app;
}

void Parser::add_options(CLI::App& app, unsigned bits) {
  for (const auto& option : option_table()) {
    if ((bits & option.bit) == 0) continue;
    if (option.flag != nullptr) {
      app.add_flag(std::string(option.flags), options_.*option.flag);
    } else {
      app.add_option(std::string(option.flags), options_.*option.target)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
}

void Parser::add(const Command& command) {
  CLI::App* app = subcommand(*app_, std::string(command.noun), command.noun);
  if (!command.verb.empty()) app = subcommand(*app, command.words(), command.verb);
  add_options(*app, command.options);
  if (!command.argument.empty()) {
    app->add_option(std::string("argument"), options_.*command.argument_target);
  }
  if (!command.rest.empty()) {
    app->add_option(std::string("rest"), options_.*command.rest_target);
  }
  leaves_.emplace(app, &command);
}

}  // namespace topolb::cli
