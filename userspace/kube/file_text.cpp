// SPDX-License-Identifier: Apache-2.0
#include "kube/file_text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "util/unique_fd.h"

namespace topolb::kube {

Result<std::string> read_text_file(const std::string& file, const std::string& name) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, fmt::format("read {} {}", name, file));
  std::string text;
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t count = read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno_error(errno, fmt::format("read {} {}", name, file));
    }
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace topolb::kube
