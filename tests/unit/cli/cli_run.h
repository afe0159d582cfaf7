// SPDX-License-Identifier: Apache-2.0
// The command line as a test sees it, and a directory for its input.
#pragma once

#include <string>
#include <vector>

namespace topolb::cli {

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

/// `topolb`, called by this name, with these arguments.
Outcome topolb(const std::vector<std::string>& arguments, const char* program = "topolb");

std::vector<std::string> lines_of(const std::string& text);
/// Characters of the longest line.
std::size_t widest_line(const std::string& text);

/// Made empty, removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  [[nodiscard]] const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

}  // namespace topolb::cli
