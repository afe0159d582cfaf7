// SPDX-License-Identifier: Apache-2.0
// Wrong command lines. Source: design.md 4: exit 2 and one line.
#include <gtest/gtest.h>

#include <ostream>

#include "cli_run.h"

namespace topolb::cli {
namespace {

struct WrongCase {
  std::vector<std::string> arguments;
  std::string line;
};

std::ostream& operator<<(std::ostream& out, const WrongCase& wrong) {
  for (const auto& argument : wrong.arguments) out << argument << ' ';
  return out;
}

class WrongArguments : public testing::TestWithParam<WrongCase> {};

TEST_P(WrongArguments, AreOneLineAndExitTwo) {
  const Outcome outcome = topolb(GetParam().arguments);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "topolb: " + GetParam().line + "\n");
}

INSTANTIATE_TEST_SUITE_P(
    Commands, WrongArguments,
    testing::Values(
        WrongCase{{}, "a command is missing; see topolb --help"},
        WrongCase{{""}, "unknown command ''; see topolb --help"},
        WrongCase{{"foo"}, "unknown command 'foo'; see topolb --help"},
        WrongCase{{"services"}, "unknown command 'services'; see topolb --help"},
        WrongCase{{"--foo"}, "unknown option --foo; see topolb --help"},
        WrongCase{{"--version", "plan"},
                  "'plan' needs --manifests DIR or --kubeconfig FILE; see topolb plan --help"},
        WrongCase{{"service"}, "'service' needs a second word: list, show"},
        WrongCase{{"map"}, "'map' needs a second word: list, dump"},
        WrongCase{{"service", "foo"},
                  "unknown command 'service foo': service goes with list, show"},
        WrongCase{{"service", "--foo"}, "unknown option --foo; see topolb service --help"}));

INSTANTIATE_TEST_SUITE_P(
    Options, WrongArguments,
    testing::Values(
        WrongCase{{"plan", "--node", "n1"},
                  "'plan' needs --manifests DIR or --kubeconfig FILE; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d"},
                  "'plan' needs --node NAME or --all-nodes; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", ""},
                  "'plan' needs --node NAME or --all-nodes; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "", "--node", "n1"},
                  "'plan' needs --manifests DIR or --kubeconfig FILE; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "--all-nodes"},
                  "--node and --all-nodes exclude each other; see topolb plan --help"},
        WrongCase{{"check", "--manifests", "d", "--all-nodes"},
                  "unknown option --all-nodes; see topolb check --help"},
        WrongCase{{"check", "--manifests", "d", "--kubeconfig", "f"},
                  "--manifests and --kubeconfig exclude each other; see topolb check --help"},
        WrongCase{{"check", "--manifests", "d", "--context", "c"},
                  "--context needs --kubeconfig; see topolb check --help"},
        WrongCase{{"plan", "--node"}, "--node needs a value"},
        WrongCase{{"plan", "--manifests", "--node", "n1"},
                  "unexpected argument n1; see topolb plan --help"},
        WrongCase{{"plan", "--node", "--manifests"},
                  "--node needs a value, but --manifests follows; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "--foo"},
                  "unknown option --foo; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "--foo=bar"},
                  "unknown option --foo=bar; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "extra"},
                  "unexpected argument extra; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "-o", "yaml"},
                  "--output is table|json, not 'yaml'; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "-o", "table|json"},
                  "--output is table|json, not 'table|json'; see topolb plan --help"},
        WrongCase{{"plan", "--manifests", "d", "--node", "n1", "--scope", "some"},
                  "--scope is all|opted-in, not 'some'; see topolb plan --help"},
        WrongCase{{"status", "--manifests", "d"},
                  "unknown option --manifests; see topolb status --help"},
        WrongCase{{"version", "--pin-path", "d"},
                  "unknown option --pin-path; see topolb version --help"}));

INSTANTIATE_TEST_SUITE_P(
    Names, WrongArguments,
    testing::Values(
        WrongCase{{"explain", "--manifests", "d", "--node", "n1"},
                  "'explain' needs NAMESPACE/NAME[:PORT]; see topolb explain --help"},
        WrongCase{{"explain", "web", "--manifests", "d", "--node", "n1"},
                  "'web' is not NAMESPACE/NAME[:PORT], such as default/web"},
        WrongCase{{"topology", "set", "default/web"},
                  "'topology set' needs KEY...; see topolb topology set --help"},
        WrongCase{{"topology", "set"},
                  "'topology set' needs NAMESPACE/NAME; see topolb topology set --help"},
        WrongCase{{"topology", "get", "default/web:80"},
                  "'default/web:80' is not NAMESPACE/NAME, such as default/web"},
        WrongCase{{"topology", "get", "default/.."},
                  "'default/..' is not NAMESPACE/NAME, such as default/web"},
        WrongCase{{"topology", "get", "Default/Web"},
                  "'Default/Web' is not NAMESPACE/NAME, such as default/web"},
        WrongCase{{"topology", "set", "default/web", "zone", "--spec=foo"},
                  "--spec takes no value"},
        WrongCase{{"topology", "set", "default/web", "--", "zone", "--foo"},
                  "topology key \"--foo\" is no label key: write the key of a Node label, such as "
                  "topology.kubernetes.io/zone, or \"*\""},
        WrongCase{{"topology", "unset", "default/web", "zone"},
                  "unexpected argument zone; see topolb topology unset --help"},
        WrongCase{{"topology", "set", "default/web", "--node", "n1"},
                  "unknown option --node; see topolb topology set --help"},
        WrongCase{{"service", "show"},
                  "'service show' needs NAMESPACE/NAME[:PORT]; see topolb service show --help"},
        WrongCase{{"service", "show", "list"},
                  "'list' is not NAMESPACE/NAME[:PORT], such as default/web"},
        WrongCase{{"service", "show", "a/b", "c/d"},
                  "unexpected argument c/d; see topolb service show --help"},
        WrongCase{{"map", "dump"}, "'map dump' needs NAME; see topolb map dump --help"},
        WrongCase{{"map", "dump", "x\x1b[2J"},
                  "no map 'x?[2J', but affinities, backends, counters, frontends, node_addresses, "
                  "peers, service_names, sets, settings, slots, source_ranges, topology_keys"}));

INSTANTIATE_TEST_SUITE_P(
    Inputs, WrongArguments,
    testing::Values(
        WrongCase{{"explain", "default/web", "--manifests", "d", "--pin-path", "/nonexistent"},
                  "'explain' needs --node NAME: no agent's node can be read here"},
        WrongCase{{"plan", "--manifests", "/nonexistent", "--node", "n1"},
                  "read directory /nonexistent: No such file or directory"},
        WrongCase{{"check", "--manifests", "/dev/null"},
                  "read directory /dev/null: Not a directory"},
        WrongCase{{"status", "--pin-path", "/nonexistent"},
                  "nothing of topolb is pinned at /nonexistent: no agent has run there"},
        WrongCase{{"map", "dump", "sets", "--pin-path", "/nonexistent"},
                  "nothing of topolb is pinned at /nonexistent: no agent has run there"}));

TEST(Arguments, OutputMayStandBeforeOrAfterTheCommandAndTheLastOneCounts) {
  const Outcome after = topolb({"version", "-o", "json"});
  EXPECT_EQ(after.exit_code, 0);
  EXPECT_EQ(after.out.front(), '{');
  EXPECT_EQ(topolb({"-o", "json", "version"}).out, after.out);
  EXPECT_EQ(topolb({"version", "--output=json"}).out, after.out);
  EXPECT_EQ(topolb({"version", "-ojson"}).out, after.out);
  EXPECT_EQ(topolb({"version", "-o", "table", "-o", "json"}).out, after.out);
}

TEST(Arguments, VersionIsACommandAndAFlag) {
  const Outcome version = topolb({"version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.out.starts_with("topolb ")) << version.out;
  EXPECT_EQ(topolb({"--version"}).out, version.out);
}

TEST(Arguments, CleanupOfNothingIsNoError) {
  const Outcome outcome = topolb({"cleanup", "--pin-path", "/nonexistent"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "Nothing of topolb at /nonexistent.\n");
  EXPECT_EQ(topolb({"cleanup", "--pin-path", "/nonexistent", "-o", "json"}).out,
            "{\"removed\": []}\n");
}

}  // namespace
}  // namespace topolb::cli
