// SPDX-License-Identifier: Apache-2.0
// topolb-demo-peer: both ends of the demo's connections. Prints lines for a script to read.
// Exit codes: 0 done, 1 it went wrong, 2 wrong usage.
#include <arpa/inet.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "peer_client.h"
#include "peer_server.h"

namespace topolb::demo {
namespace {

constexpr const char* kUsage =
    "usage: topolb-demo-peer serve NAME PORT\n"
    "       topolb-demo-peer ask ADDRESS PORT tcp|udp COUNT\n"
    "       topolb-demo-peer storm ADDRESS PORT\n"
    "       topolb-demo-peer change ADDRESS PORT OLD,... NEW,... [FROM TO]\n"
    "serve    answers TCP and UDP with NAME\n"
    "ask      prints who answered, and how often: NAME COUNT\n"
    "storm    the same, by TCP, until SIGTERM\n"
    "change   renames FROM to TO while it connects, and prints: milliseconds until NEW answers,\n"
    "         connections made, answers of neither set, of OLD after NEW, or failed\n";

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc{} && end == text.data() + text.size();
}

bool read_address(const std::string& address, std::string_view port, sockaddr_in& socket_address) {
  std::uint16_t number = 0;
  if (!read_number(port, number)) return false;
  socket_address.sin_family = AF_INET;
  socket_address.sin_port = htons(number);
  return ::inet_pton(AF_INET, address.c_str(), &socket_address.sin_addr) == 1;
}

std::set<Answer> split(std::string_view text) {
  std::set<Answer> names;
  while (!text.empty()) {
    const auto comma = text.find(',');
    names.emplace(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return names;
}

int fail(const Error& error) {
  std::fprintf(stderr, "topolb-demo-peer: %s\n", error.message().c_str());
  return 1;
}

int print(const Counts& counts) {
  for (const auto& [answer, count] : counts) std::printf("%s %u\n", answer.c_str(), count);
  return 0;
}

int print(const Result<ChangeSeen>& seen) {
  if (!seen) return fail(seen.error());
  unsigned strays = 0;
  for (const auto& [answer, count] : seen->stray) {
    std::fprintf(stderr, "topolb-demo-peer: %u unexpected: %s\n", count, answer.c_str());
    strays += count;
  }
  std::printf("%.1f %u %u\n", seen->milliseconds, seen->connections, strays);
  return 0;
}

int run(const std::vector<std::string>& words) {
  const auto is = [&](std::string_view command, std::size_t size) {
    return words.size() == size && words[0] == command;
  };
  std::uint16_t port = 0;
  if (is("serve", 3) && read_number(words[2], port)) return fail(serve(words[1], port));
  sockaddr_in service{};
  if (words.size() < 3 || !read_address(words[1], words[2], service)) return -1;
  unsigned count = 0;
  if (is("ask", 5) && (words[3] == "tcp" || words[3] == "udp") && read_number(words[4], count)) {
    return print(ask_often(service, words[3] == "tcp" ? Protocol::Tcp : Protocol::Udp, count));
  }
  if (is("storm", 3)) return print(ask_until_terminated(service));
  if (is("change", 5)) {
    return print(see_change(service, {split(words[3]), split(words[4]), std::nullopt}));
  }
  if (is("change", 7)) {
    return print(
        see_change(service, {split(words[3]), split(words[4]), Rename{words[5], words[6]}}));
  }
  return -1;
}

}  // namespace
}  // namespace topolb::demo

int main(int argc, char** argv) {
  const int status = topolb::demo::run({argv + 1, argv + argc});
  if (status >= 0) return status;
  std::fputs(topolb::demo::kUsage, stderr);
  return 2;
}
