// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "cli/command.h"
#include "cli/kernel_tables.h"
#include "cli_run.h"

namespace topolb::cli {
namespace {

std::vector<std::string> words_and(const Command& command, const std::string& argument) {
  std::vector<std::string> words{std::string(command.noun)};
  if (!command.verb.empty()) words.emplace_back(command.verb);
  words.push_back(argument);
  return words;
}

class CommandHelp : public testing::TestWithParam<Command> {};

TEST_P(CommandHelp, ShowsOptionsAndExamplesInEightyColumns) {
  const Command& command = GetParam();
  const Outcome help = topolb(words_and(command, "--help"));
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  EXPECT_LE(widest_line(help.out), 80U) << help.out;
  EXPECT_NE(help.out.find("\nUsage: topolb " + command.words()), std::string::npos) << help.out;
  EXPECT_NE(help.out.find("\nExamples:\n"), std::string::npos);
  EXPECT_NE(command.examples.find("topolb " + command.words()), std::string_view::npos);
  for (const auto& option : option_table()) {
    const bool taken = (command.options & option.bit) != 0;
    EXPECT_EQ(help.out.find(option.text() + " ") != std::string::npos, taken)
        << option.text() << " in\n"
        << help.out;
  }
  EXPECT_EQ(topolb(words_and(command, "-h")).out, help.out);
}

INSTANTIATE_TEST_SUITE_P(Commands, CommandHelp, testing::ValuesIn(command_table()),
                         [](const auto& info) {
                           return std::string(info.param.noun) + std::string(info.param.verb);
                         });

TEST(Help, NamesEveryCommandInEightyColumns) {
  const Outcome help = topolb({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_LE(widest_line(help.out), 80U) << help.out;
  for (const auto& command : command_table()) {
    EXPECT_NE(help.out.find("\n  " + command.words() + " "), std::string::npos) << command.words();
  }
}

TEST(Help, OfANounNamesItsVerbs) {
  EXPECT_EQ(topolb({"service", "--help"}).out,
            "Usage: topolb service COMMAND [OPTIONS]\n"
            "\n"
            "  service list  the Services in the kernel, and where their traffic goes\n"
            "  service show  everything about one Service in the kernel\n"
            "\n"
            "`topolb service COMMAND --help` shows the options and examples of a command.\n");
}

TEST(Help, IsACommandToo) {
  EXPECT_EQ(topolb({"help"}).out, topolb({"--help"}).out);
  EXPECT_EQ(topolb({"help", "plan"}).out, topolb({"plan", "--help"}).out);
  EXPECT_EQ(topolb({"help", "service"}).out, topolb({"service", "--help"}).out);
  EXPECT_EQ(topolb({"help", "service", "show"}).out, topolb({"service", "show", "--help"}).out);
  const Outcome unknown = topolb({"help", "service", "foo"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_EQ(unknown.err, "topolb: unknown command 'service foo'; see topolb --help\n");
}

// kubectl runs the plugin under this name.
TEST(Help, SaysKubectlTopolbToWhoTypedIt) {
  const auto plugin = [](const std::vector<std::string>& arguments) {
    return topolb(arguments, "/usr/bin/kubectl-topolb");
  };
  EXPECT_NE(plugin({"--help"}).out.find("\nUsage: kubectl topolb COMMAND"), std::string::npos);
  EXPECT_NE(plugin({"service", "--help"}).out.find("Usage: kubectl topolb service COMMAND"),
            std::string::npos);
  EXPECT_EQ(plugin({"map", "dump"}).err,
            "topolb: 'map dump' needs NAME; see kubectl topolb map dump --help\n");
  EXPECT_EQ(plugin({"foo"}).err, "topolb: unknown command 'foo'; see kubectl topolb --help\n");
  for (const auto& command : command_table()) {
    const Outcome help = plugin(words_and(command, "--help"));
    EXPECT_EQ(lines_of(help.out)[0],
              "kubectl topolb " + command.words() + ": " + std::string(command.summary));
    EXPECT_NE(help.out.find("\nUsage: kubectl topolb " + command.words()), std::string::npos);
    EXPECT_NE(help.out.find("kubectl topolb " + command.words(), help.out.find("\nExamples:")),
              std::string::npos);
  }
}

TEST(Help, GoesBeforeWhatElseIsWrong) {
  EXPECT_EQ(topolb({"plan", "--help", "--foo"}).exit_code, 0);
  EXPECT_EQ(topolb({"foo", "--help"}).exit_code, 0);
}

// design.md 4.
TEST(Commands, AreThoseOfTheContract) {
  std::set<std::string> words;
  for (const auto& command : command_table()) words.insert(command.words());
  EXPECT_EQ(words,
            (std::set<std::string>{"plan", "check", "explain", "status", "service list",
                                   "service show", "backend list", "flow list", "map list",
                                   "map dump", "topology get", "topology set", "topology unset",
                                   "cleanup", "completion", "help", "version"}));
}

TEST(Commands, MapDumpKnowsEveryPinnedMap) {
  EXPECT_EQ(decodable_maps(), dataplane::pinned_map_names());
}

}  // namespace
}  // namespace topolb::cli
