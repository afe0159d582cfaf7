// SPDX-License-Identifier: Apache-2.0
// The Event of a problem: events.k8s.io/v1, on the object as it is now. Its name says which problem
// of which object it is, so that the same problem is counted in the same Event, whoever saw it
// before. Source: Kubernetes API events.k8s.io/v1, KEP-383.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "core/model.h"
#include "kube/api.h"

namespace topolb::kube {

/// What an Event hangs on: `kubectl describe` finds it by the uid.
struct EventObject {
  std::string uid;
  std::string resource_version;
};

struct EventAuthor {
  std::string node_name;
  std::chrono::system_clock::time_point now;
};

/// Of a kind that can have Events, with a name.
bool can_have_event(const core::Problem& problem);

/// A name for the Event: that of the object, and a hash of its uid, the reason and the message.
std::string event_name(const core::Problem& problem, const EventObject& object);

/// The Event as it is first written. Its note is the message, cut to 1,024 bytes.
/// @pre can_have_event(problem)
std::string event_json(const core::Problem& problem, const EventObject& object,
                       const EventAuthor& author);

/// Makes the problem's Event, or counts it once more in the one that is there. False: there is no
/// such object (any more), and nothing was written. Errors: as call_api().
Result<bool> write_event(Api& api, const core::Problem& problem, const EventAuthor& author,
                         const std::stop_token& stop);

}  // namespace topolb::kube
