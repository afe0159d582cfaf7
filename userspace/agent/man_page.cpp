// SPDX-License-Identifier: Apache-2.0
#include "agent/man_page.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "dataplane/kernel_maps.h"
#include "util/man_page.h"
#include "util/version.h"

namespace topolb::agent {
namespace {

std::string without_line_breaks(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

void add_flags_of(const CLI::App& app, const std::string& group, ManPage& page) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() != group) continue;
    std::string term = option->get_name(false, true);
    if (const auto comma = term.find(','); comma != std::string::npos) term.insert(comma + 1, " ");
    const std::string type = option->get_type_name();
    if (option->get_items_expected() != 0 && !type.empty()) term += " " + type;
    page.item(term, without_line_breaks(option->get_description()));
  }
}

}  // namespace

std::string man_page(const CLI::App& app) {
  std::ostringstream out;
  ManPage page(out, "topolbd", "8", kReleaseDate, fmt::format("topolb {}", kVersion));
  page.section("NAME");
  page.paragraphs("topolbd - node agent of a topology-aware Service load balancer");
  page.section("SYNOPSIS");
  page.paragraphs(
      "topolbd --node NAME [OPTIONS]\n"
      "topolbd --node NAME --kubeconfig FILE [OPTIONS]\n"
      "topolbd --node NAME --manifests DIR [OPTIONS]");
  page.section("DESCRIPTION");
  // Its paragraphs are separated by empty lines.
  std::string description = app.get_description();
  for (std::size_t begin = 0; begin < description.size();) {
    const auto end = std::min(description.find("\n\n", begin), description.size());
    page.paragraphs(without_line_breaks(description.substr(begin, end - begin)));
    begin = end + 2;
  }
  page.section("OPTIONS");
  for (const auto& group : app.get_groups()) {
    if (group.empty()) continue;
    page.subsection(group);
    add_flags_of(app, group, page);
  }
  page.section("EXIT STATUS");
  page.item("0", "ended by SIGTERM or SIGINT; the kernel goes on with the last state");
  page.item("1", "it failed");
  page.item("2", "wrong flags, or what it needs is not there");
  page.section("FILES");
  page.item(dataplane::kDefaultPinPath, "where maps and programs are pinned");
  page.section("SEE ALSO");
  page.paragraphs("topolb(1), bpftool(8)");
  return out.str();
}

}  // namespace topolb::agent
