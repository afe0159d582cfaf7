// SPDX-License-Identifier: Apache-2.0
#include "util/man_page.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

namespace topolb {
namespace {

/// Text that no character of is read as a request or an escape.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  if (result.starts_with('.') || result.starts_with('\'')) result.insert(0, "\\&");
  return result;
}

/// Filled text, in lines that an editor shows whole.
void write_filled(std::ostream& out, std::string_view text) {
  constexpr std::size_t kLineWidth = 72;
  while (!text.empty()) {
    auto end = text.size();
    if (end > kLineWidth) {
      end = text.rfind(' ', kLineWidth);
      if (end == std::string_view::npos) end = std::min(text.find(' '), text.size());
    }
    out << escaped(text.substr(0, end)) << '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// An argument of a macro.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : escaped(text)) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

template <typename Visit>
void for_each_line(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

ManPage::ManPage(std::ostream& out, std::string_view title, std::string_view section,
                 std::string_view date, std::string_view source)
    : out_(out) {
  std::string upper(title);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  out_ << ".TH " << quoted(upper) << ' ' << section << ' ' << date << ' ' << quoted(source) << '\n';
  out_ << ".nh\n";  // names of flags and labels stay whole
}

void ManPage::section(std::string_view heading) {
  out_ << ".SH " << quoted(heading) << '\n';
  after_heading_ = true;
}

void ManPage::subsection(std::string_view heading) {
  out_ << ".SS " << quoted(heading) << '\n';
  after_heading_ = true;
}

void ManPage::begin_paragraph() {
  if (!after_heading_) out_ << ".PP\n";
  after_heading_ = false;
}

void ManPage::paragraphs(std::string_view text) {
  for_each_line(text, [&](std::string_view line) {
    begin_paragraph();
    write_filled(out_, line);
  });
}

void ManPage::item(std::string_view term, std::string_view text) {
  out_ << ".TP\n.B " << quoted(term) << '\n';
  bool is_first = true;
  for_each_line(text, [&](std::string_view line) {
    if (!std::exchange(is_first, false)) out_ << ".IP\n";
    write_filled(out_, line);
  });
  after_heading_ = false;
}

void ManPage::verbatim(std::string_view text) {
  begin_paragraph();
  out_ << ".nf\n";
  for_each_line(text, [&](std::string_view line) { out_ << escaped(line) << '\n'; });
  out_ << ".fi\n";
}

}  // namespace topolb
