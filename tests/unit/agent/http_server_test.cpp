// SPDX-License-Identifier: Apache-2.0
// The server of the agent's endpoints, on loopback.
#include "agent/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <vector>

#include "util/unique_fd.h"

namespace topolb::agent {
namespace {

/// A port that nobody listened on a moment ago.
SocketAddress free_address(const char* host) {
  const UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{.sin6_family = AF_INET6};
  socklen_t length = sizeof(any);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), length), 0);
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&any), &length), 0);
  return {*IpAddress::parse(host), ntohs(any.sin6_port)};
}

UniqueFd make_socket(int patience_s = 30) {
  UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = patience_s, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return socket;
}

/// IPv4 as v4-mapped: one kind of socket for both.
bool connect_to(const SocketAddress& address, const UniqueFd& socket) {
  sockaddr_in6 name{.sin6_family = AF_INET6, .sin6_port = htons(address.port)};
  std::memcpy(&name.sin6_addr, address.address.bytes().data(), 16);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0;
}

UniqueFd connect_to(const SocketAddress& address) {
  auto socket = make_socket();
  return connect_to(address, socket) ? std::move(socket) : UniqueFd();
}

void send_to(const UniqueFd& socket, const std::string& text) {
  ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

std::string read_all(const UniqueFd& socket) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const auto count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::string ask(const SocketAddress& address, const std::string& request) {
  const auto socket = connect_to(address);
  if (!socket) return "nobody listens";
  send_to(socket, request);
  return read_all(socket);
}

HttpReply echo(std::string_view path) {
  if (path == "/throw") throw std::runtime_error("no luck");
  if (path == "/large") return {200, "text/plain", std::string(8 << 20, 'x')};
  return {path == "/missing" ? 404 : 200, "text/plain", std::string(path)};
}

Result<HttpServer> serve(const SocketAddress& address) {
  auto server = HttpServer::start();
  if (!server) return server;
  if (auto listening = server->listen(address, echo); !listening) return listening.error();
  return server;
}

TEST(HttpServer, AnswersOnBothFamilies) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    const auto address = free_address(host);
    const auto server = serve(address);
    ASSERT_TRUE(server) << server.error().message();
    EXPECT_EQ(ask(address, "GET /path?query=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
              "Connection: close\r\n\r\n/path");
  }
}

TEST(HttpServer, StatusOfEachKindOfRequest) {
  const auto address = free_address("127.0.0.1");
  const auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  struct Case {
    const char* request;
    const char* status;
  };
  for (const auto& [request, status] :
       {Case{"GET /missing HTTP/1.0\r\n\r\n", "404 Not Found"},
        Case{"POST / HTTP/1.1\r\n\r\n", "200 OK"}, Case{"OPTIONS / HTTP/1.0\r\n\r\n", "200 OK"},
        Case{"GET /throw HTTP/1.1\r\n\r\n", "500 Internal Server Error"},
        Case{"GET /\r\n\r\n", "400 Bad Request"}, Case{"\r\n\r\n", "400 Bad Request"},
        Case{"GET / HTTP/2\r\n\r\n", "400 Bad Request"}}) {
    EXPECT_EQ(ask(address, request).rfind(std::string("HTTP/1.1 ") + status + "\r\n", 0), 0U)
        << request;
  }
}

TEST(HttpServer, SlowClientsHoldUpNobody) {
  const auto address = free_address("127.0.0.1");
  auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  const auto silent = connect_to(address);
  const auto halfway = connect_to(address);
  send_to(halfway, "GET /half");
  const auto not_reading = connect_to(address);
  send_to(not_reading, "GET /large HTTP/1.1\r\n\r\n");
  EXPECT_NE(ask(address, "GET /other HTTP/1.1\r\n\r\n").find("/other"), std::string::npos);
  send_to(halfway, "way HTTP/1.1\r\n\r\n");
  EXPECT_NE(read_all(halfway).find("/halfway"), std::string::npos);
  EXPECT_GT(read_all(not_reading).size(), 8U << 20U);
}

TEST(HttpServer, AnEndlessRequestIsCutOff) {
  const auto address = free_address("127.0.0.1");
  const auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_EQ(ask(address, std::string(100'000, 'x')), "");
}

TEST(HttpServer, AnAddressThatIsTakenIsAnError) {
  const auto address = free_address("127.0.0.1");
  const auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  const auto second = serve(address);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message(), address.to_string() + ": Address already in use");
}

TEST(HttpServer, HeadGetsHeadersOnly) {
  const auto address = free_address("127.0.0.1");
  const auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_EQ(ask(address, "HEAD /path HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
            "Connection: close\r\n\r\n");
}

TEST(HttpServer, ListensOnManyAddressesThatComeAndGo) {
  auto server = HttpServer::start();
  ASSERT_TRUE(server) << server.error().message();
  const auto first = free_address("127.0.0.1");
  const auto second = free_address("::1");
  const auto say = [](const char* text) {
    return [text](std::string_view) { return HttpReply{503, "text/plain", text, {{"X-A", "b"}}}; };
  };
  ASSERT_TRUE(server->listen(first, say("one")));
  ASSERT_TRUE(server->listen(second, say("two"), HttpServer::Families::OwnOnly));
  EXPECT_EQ(ask(first, "GET / HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
            "Content-Length: 3\r\nX-A: b\r\nConnection: close\r\n\r\none");
  EXPECT_THAT(ask(second, "GET / HTTP/1.1\r\n\r\n"), testing::EndsWith("two"));
  server->stop_listening(first);
  EXPECT_FALSE(connect_to(first)) << "free at once";
  ASSERT_TRUE(server->listen(first, say("three")));
  EXPECT_THAT(ask(first, "GET / HTTP/1.1\r\n\r\n"), testing::EndsWith("three"));
}

// What a crowd of silent clients holds is given to those who come later.
TEST(HttpServer, ACrowdOfSilentClientsKeepsNobodyOut) {
  const auto address = free_address("127.0.0.1");
  const auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 400; ++i) silent.push_back(connect_to(address));
  EXPECT_THAT(ask(address, "GET /path HTTP/1.1\r\n\r\n"), testing::EndsWith("/path"));
}

/// Another process, with 100 connections that say nothing, and `allowed` descriptors.
pid_t make_crowd(const SocketAddress& address, const rlimit& allowed) {
  std::array<int, 2> done{};
  EXPECT_EQ(::pipe2(done.data(), O_CLOEXEC), 0);
  const UniqueFd read_end(done[0]);
  UniqueFd write_end(done[1]);
  const pid_t crowd = ::fork();
  if (crowd == 0) {
    ::setrlimit(RLIMIT_NOFILE, &allowed);
    std::vector<UniqueFd> silent;
    for (int i = 0; i < 100; ++i) silent.push_back(connect_to(address));
    write_end.reset();
    ::pause();
  }
  write_end.reset();
  char byte = 0;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
  return crowd;
}

// Long before the crowd is cut off for its silence.
TEST(HttpServer, ACrowdThatTakesEveryDescriptorKeepsNobodyOut) {
  const auto address = free_address("127.0.0.1");
  const auto server = serve(address);
  ASSERT_TRUE(server) << server.error().message();
  const auto last = make_socket(/*patience_s=*/5);
  rlimit allowed{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &allowed), 0);
  const rlimit few{.rlim_cur = static_cast<rlim_t>(last.get()) + 20, .rlim_max = allowed.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const pid_t crowd = make_crowd(address, allowed);
  ASSERT_TRUE(connect_to(address, last));
  send_to(last, "GET /path HTTP/1.1\r\n\r\n");
  EXPECT_THAT(read_all(last), testing::EndsWith("/path"));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &allowed), 0);
  ::kill(crowd, SIGKILL);
  ::waitpid(crowd, nullptr, 0);
}

TEST(HttpServer, EndsWithConnectionsOpen) {
  const auto address = free_address("127.0.0.1");
  UniqueFd open;
  {
    const auto server = serve(address);
    ASSERT_TRUE(server) << server.error().message();
    open = connect_to(address);
    ASSERT_TRUE(open);
  }
  EXPECT_EQ(read_all(open), "");
  EXPECT_FALSE(connect_to(address)) << "nobody listens";
}

}  // namespace
}  // namespace topolb::agent
