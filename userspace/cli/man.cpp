// SPDX-License-Identifier: Apache-2.0
// print_man_page(): topolb(1), from the tables that --help is made of.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "cli/command.h"
#include "dataplane/kernel_maps.h"
#include "util/man_page.h"
#include "util/version.h"

namespace topolb::cli {
namespace {

/// What follows a command's usage: what it is for, and which options it takes.
std::string description_of(const Command& command) {
  std::string text = fmt::format("{}.", command.summary);
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  if (!command.details.empty()) text += fmt::format("\n{}", command.details);
  std::vector<std::string> options;
  for (const auto& option : option_table()) {
    if ((command.options & option.bit) != 0) options.emplace_back(option.name());
  }
  if (!options.empty()) text += fmt::format("\nOptions: {}.", fmt::join(options, ", "));
  return text;
}

void add_commands(ManPage& page) {
  page.section("COMMANDS");
  for (const auto& [section, title] : section_table()) {
    page.subsection(title);
    for (const auto& command : command_table()) {
      if (command.section == section) page.item(command.usage(), description_of(command));
    }
  }
}

void add_options(ManPage& page) {
  page.section("OPTIONS");
  for (const auto& option : option_table()) {
    page.item(option.full_text(), option.help);
  }
  page.item("-h, --help", "what the program or a command does, its options and examples");
  page.item("--version", "the version of this program");
}

void add_examples(ManPage& page) {
  page.section("EXAMPLES");
  for (const auto& command : command_table()) page.verbatim(command.examples);
}

}  // namespace

void print_man_page(std::ostream& out) {
  ManPage page(out, "topolb", "1", kReleaseDate, fmt::format("topolb {}", kVersion));
  page.section("NAME");
  page.paragraphs("topolb - shows and sets where the traffic of Kubernetes Services goes");
  page.section("SYNOPSIS");
  page.paragraphs("topolb COMMAND [OPTIONS]\nkubectl topolb COMMAND [OPTIONS]");
  page.section("DESCRIPTION");
  page.paragraphs(
      "topolb shows what topology-aware load balancing would program on a node, what is in the "
      "kernel now, and why, and sets the topology keys of a Service. It has no daemon of its own: "
      "it reads Kubernetes objects from files or from the API, or the maps that topolbd(8) pinned, "
      "whether that runs or not.\n"
      "Tables are for people: at most 80 columns, long lists shortened. With -o json everything is "
      "there, the same text for the same state, for scripts.");
  add_commands(page);
  add_options(page);
  page.section("EXIT STATUS");
  for (const auto& [code, meaning] : exit_code_table()) page.item(fmt::format("{}", code), meaning);
  page.section("ENVIRONMENT");
  page.item("KUBECONFIG", "kubeconfig files, separated by colons, for `topology`");
  page.item("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "the proxy to the API server, and where not");
  page.section("FILES");
  page.item("~/.kube/config", "the kubeconfig for `topology` without $KUBECONFIG");
  page.item(dataplane::kDefaultPinPath, "where topolbd pins its maps and programs");
  add_examples(page);
  page.section("SEE ALSO");
  page.paragraphs("topolbd(8), kubectl(1), bpftool(8)");
}

}  // namespace topolb::cli
