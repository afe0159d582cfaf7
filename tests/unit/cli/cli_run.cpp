// SPDX-License-Identifier: Apache-2.0
#include "cli_run.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/run.h"
#include "cli/text.h"

namespace topolb::cli {

Outcome topolb(const std::vector<std::string>& arguments, const char* program) {
  std::vector<const char*> argv{program};
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code = run(static_cast<int>(argv.size()), argv.data(), out, err);
  return {exit_code, out.str(), err.str()};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::size_t widest_line(const std::string& text) {
  std::size_t widest = 0;
  for (const auto& line : lines_of(text)) widest = std::max(widest, display_width(line));
  return widest;
}

TemporaryDirectory::TemporaryDirectory() {
  path_ = std::filesystem::temp_directory_path() / "topolb-cli-test-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no temporary directory " << path_;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TemporaryDirectory::write(const std::string& name, const std::string& text) const {
  std::ofstream file(path_ + "/" + name);
  file << text;
  ASSERT_TRUE(file.flush()) << "cannot write " << name;
}

}  // namespace topolb::cli
