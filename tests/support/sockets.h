// SPDX-License-Identifier: Apache-2.0
// Real servers and clients for tests: a server answers every connection and datagram with its own
// address, so that a client can tell who served it.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "util/ip.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::test {

/// "10.1.0.1:80" or "[fd00::1]:80"; throws on nonsense.
SocketAddress socket_address(const std::string& text);

/// A TCP or UDP server on one address, in the network namespace of the thread that makes it.
class Server {
 public:
  Server(const std::string& address, Protocol protocol);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Whom the last connection or datagram came from, as the server saw it; "": from nobody.
  [[nodiscard]] std::string last_client() const;

 private:
  void serve();
  void answer();
  void remember(const std::string& client);
  mutable std::mutex mutex_;
  std::string last_client_;
  std::string name_;
  Protocol protocol_;
  UniqueFd socket_;
  UniqueFd stop_;
  std::thread thread_;
};

/// How an IPv4 address is dialled: by an IPv4 socket, or v4-mapped by an IPv6 socket.
enum class SocketFamily { Natural, MappedIpv6 };

/// What a client saw.
struct Seen {
  int error = 0;        // errno of connect() or sendto(); 0: it worked
  std::string backend;  // the server's own words
  std::string peer;     // getpeername(), or the sender that recvfrom() showed
};

inline constexpr std::chrono::milliseconds kAnswerTimeout{5000};
Seen dial_tcp(const std::string& frontend, SocketFamily family = SocketFamily::Natural,
              std::chrono::milliseconds timeout = kAnswerTimeout);
/// connect(), send(), recvfrom() on UDP; peer is getpeername() if it equals recvfrom()'s sender.
Seen dial_connected_udp(const std::string& frontend, SocketFamily family = SocketFamily::Natural);

/// The errno of bind(); 0: it worked.
int bind_error(const std::string& address, Protocol protocol,
               SocketFamily family = SocketFamily::Natural);

/// A connected socket that stays open.
class Connection {
 public:
  Connection(const std::string& address, Protocol protocol);
  /// Once more, to any address of the same family: peer() then, or what went wrong.
  std::string connect(const std::string& address);
  /// getpeername().
  [[nodiscard]] std::string peer() const;
  /// The errno of sendto(); 0: it worked.
  [[nodiscard]] int send_to(const std::string& address) const;
  /// Another descriptor of the same socket.
  [[nodiscard]] Connection duplicate() const;

 private:
  explicit Connection(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
};

/// An unconnected UDP socket that may send to many frontends.
class UdpClient {
 public:
  explicit UdpClient(Family family, SocketFamily socket_family = SocketFamily::Natural);
  Seen ask(const std::string& frontend);
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  bool mapped_;
  UniqueFd socket_;
};

/// A connected UDP socket, in the network namespace of the thread that makes it.
class ConnectedUdp {
 public:
  /// Throws when it can't be connected.
  explicit ConnectedUdp(std::string address, SocketFamily family = SocketFamily::Natural);
  void connect_to(const std::string& address);
  /// The errno of send(), of so many bytes; 0: it was sent.
  [[nodiscard]] int send_error(std::size_t bytes = 1) const;
  /// The errno that waits for the next recv(), taken off the socket; 0: none.
  [[nodiscard]] int take_error() const;
  /// Who answers; "": nobody.
  [[nodiscard]] std::string ask() const;
  /// What it was made with.
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  std::string address_;
  bool ipv6_;
  UniqueFd socket_;
};

}  // namespace topolb::test
