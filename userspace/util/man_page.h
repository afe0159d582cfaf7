// SPDX-License-Identifier: Apache-2.0
// A manual page in the language of man(7), made while a program is built from what its --help says.
#pragma once

#include <ostream>
#include <string_view>

namespace topolb {

class ManPage {
 public:
  /// `title`: "topolb", `section`: "1", `date`: "2026-11-01", `source`: "topolb 0.1.0".
  ManPage(std::ostream& out, std::string_view title, std::string_view section,
          std::string_view date, std::string_view source);

  /// Upper case by convention: "DESCRIPTION".
  void section(std::string_view heading);
  void subsection(std::string_view heading);
  /// One for each line of `text`.
  void paragraphs(std::string_view text);
  /// A term in bold, and below it, indented, what it is, a paragraph a line.
  void item(std::string_view term, std::string_view text);
  /// As it is, line by line.
  void verbatim(std::string_view text);

 private:
  void begin_paragraph();

  std::ostream& out_;
  bool after_heading_ = false;
};

}  // namespace topolb
