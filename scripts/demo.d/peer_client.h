// SPDX-License-Identifier: Apache-2.0
// The demo's client: real connections to one address, and who answered them.
#pragma once

#include <netinet/in.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "util/result.h"

namespace topolb::demo {

/// Who answered: the name of a pod; or what came instead: "refused", "timeout", "wrong-peer" (the
/// socket shows another address than the one that was dialled), or the error in words.
using Answer = std::string;
using Counts = std::map<Answer, unsigned>;

enum class Protocol { Tcp, Udp };

/// One new socket, one answer. Takes a second at most.
Answer ask(const sockaddr_in& service, Protocol protocol);

/// `count` times, one after the other.
Counts ask_often(const sockaddr_in& service, Protocol protocol, unsigned count);

/// By TCP, without an end until SIGTERM comes.
Counts ask_until_terminated(const sockaddr_in& service);

struct Rename {
  std::string from;
  std::string to;
};

struct Change {
  std::set<Answer> before;
  std::set<Answer> after;
  std::optional<Rename> rename;  // what makes the change; none: it is under way
};

struct ChangeSeen {
  double milliseconds = 0;  // from the rename (or the start) to the first answer of the new set
  unsigned connections = 0;
  Counts stray;  // answers in neither set, or of the old one after one of the new
};

/// Connects by TCP again and again while the change happens, until a run of answers of the new set
/// alone. Error: the rename failed, or the change did not show in time.
Result<ChangeSeen> see_change(const sockaddr_in& service, const Change& change);

}  // namespace topolb::demo
