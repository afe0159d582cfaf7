// SPDX-License-Identifier: Apache-2.0
#include "kube/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "kube/api_call.h"
#include "kube/json_read.h"
#include "kube/json_text.h"
#include "kube/micro_time.h"
#include "kube/resource.h"

namespace topolb::kube {
namespace {

constexpr const char* kEvents = "/apis/events.k8s.io/v1";
// What the API server accepts.
constexpr std::size_t kMaxNote = 1024;
constexpr std::size_t kMaxInstance = 128;
constexpr std::size_t kMaxName = 253;

struct EventKind {
  std::string_view kind;
  const char* api_version;
  const char* path;
  const char* resource;
};
constexpr std::array<EventKind, 3> kEventKinds{
    {{"Service", "v1", "/api/v1", "services"},
     {"EndpointSlice", "discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1", "endpointslices"},
     {"Node", "v1", "/api/v1", "nodes"}}};

const EventKind* kind_of(const core::Problem& problem) {
  const auto* found = std::ranges::find(kEventKinds, problem.kind, &EventKind::kind);
  return found != kEventKinds.end() ? found : nullptr;
}

/// Events of what has no namespace are in "default".
std::string namespace_of(const core::Problem& problem) {
  return problem.namespace_name.empty() ? "default" : problem.namespace_name;
}

/// Not within a character of UTF-8.
std::string cut(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  return text.substr(0, most);
}

/// FNV-1a, with a separator that is in no text.
std::uint64_t hash_of(std::initializer_list<std::string_view> texts) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3ULL; };
  for (const std::string_view text : texts) {
    for (const char character : text) add(static_cast<unsigned char>(character));
    add(0);
  }
  return hash;
}

/// The object as it is, not as a server may remember it: one that was made just now has its Event,
/// and one made anew under its name has its own. By a list of one, which needs no right that the
/// agent has not anyway.
Result<std::optional<EventObject>> find_object(Api& api, const core::Problem& problem,
                                               const std::stop_token& stop) {
  const EventKind& kind = *kind_of(problem);
  ApiRequest request;
  request.target = make_target(object_path(kind.path, problem.namespace_name, kind.resource),
                               {{"fieldSelector", "metadata.name=" + problem.name}});
  request.accept = resource_of(Kind::Node, Form::Metadata).accept_list;  // metadata only
  const auto json = call_api(api, request, stop);
  if (!json) return json.error();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(*json).get(root) != simdjson::SUCCESS) return std::optional<EventObject>();
  const auto metadata = root["items"].at(0)["metadata"];
  EventObject object{text_or_empty(metadata["uid"]), text_or_empty(metadata["resourceVersion"])};
  if (object.resource_version.empty()) return std::optional<EventObject>();
  return std::optional(std::move(object));
}

Result<std::string> patch_event(Api& api, const std::string& target, const std::string& patch,
                                const std::stop_token& stop) {
  return call_api(
      api, {.method = "PATCH", .target = target, .content_type = kMergePatchBody, .body = patch},
      stop);
}

/// Once more in the Event that is there.
Result<bool> count_event(Api& api, const std::string& target, const EventAuthor& author,
                         const std::stop_token& stop) {
  // A patch of nothing changes nothing, and is answered with the Event as it is.
  const auto json = patch_event(api, target, "{}", stop);
  if (!json) return json.error();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto parsed = parser.parse(*json).get(root);
  const unsigned count =
      parsed == simdjson::SUCCESS ? number_or_zero(root["series"]["count"]) : 0;  // 0: seen once
  const auto counted =
      patch_event(api, target,
                  fmt::format(R"({{"series":{{"count":{},"lastObservedTime":"{}"}}}})",
                              std::max(count, 1U) + 1, micro_time_text(author.now)),
                  stop);
  if (!counted) return counted.error();
  return true;
}

}  // namespace

bool can_have_event(const core::Problem& problem) {
  return kind_of(problem) != nullptr && !problem.name.empty();
}

std::string event_name(const core::Problem& problem, const EventObject& object) {
  const auto suffix =
      fmt::format(".{:016x}", hash_of({object.uid, problem.kind, problem.reason, problem.message}));
  auto name = problem.name.substr(0, kMaxName - suffix.size());
  while (name.ends_with('-') || name.ends_with('.')) name.pop_back();
  return name + suffix;
}

std::string event_json(const core::Problem& problem, const EventObject& object,
                       const EventAuthor& author) {
  const auto in_namespace = problem.namespace_name.empty()
                                ? std::string()
                                : R"("namespace":)" + json_text(problem.namespace_name) + ",";
  const auto uid = object.uid.empty() ? std::string() : R"("uid":)" + json_text(object.uid) + ",";
  const auto regarding =
      fmt::format(R"({{"kind":{},{}"name":{},{}"apiVersion":"{}","resourceVersion":{}}})",
                  json_text(problem.kind), in_namespace, json_text(problem.name), uid,
                  kind_of(problem)->api_version, json_text(object.resource_version));
  return fmt::format(
      R"({{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{{"namespace":{},"name":{}}},)"
      R"("eventTime":"{}","reportingController":"topolb","reportingInstance":{},"action":"Serve",)"
      R"("type":"Warning","reason":{},"note":{},"regarding":{}}})",
      json_text(namespace_of(problem)), json_text(event_name(problem, object)),
      micro_time_text(author.now), json_text(author.node_name.substr(0, kMaxInstance)),
      json_text(problem.reason), json_text(cut(problem.message, kMaxNote)), regarding);
}

Result<bool> write_event(Api& api, const core::Problem& problem, const EventAuthor& author,
                         const std::stop_token& stop) {
  const auto object = find_object(api, problem, stop);
  if (!object) return object.error();
  if (!*object) return false;
  const auto in_namespace = namespace_of(problem);
  const auto created = call_api(api,
                                {.method = "POST",
                                 .target = object_path(kEvents, in_namespace, "events"),
                                 .content_type = kJsonBody,
                                 .body = event_json(problem, **object, author)},
                                stop);
  if (created) return true;
  if (api_status_of(created.error()) != kStatusConflict) return created.error();
  return count_event(api,
                     object_path(kEvents, in_namespace, "events", event_name(problem, **object)),
                     author, stop);
}

}  // namespace topolb::kube
