// SPDX-License-Identifier: Apache-2.0
#include "api_server_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

namespace topolb::test {
namespace {

using web::json::value;

struct Collection {
  const char* group_version;  // as in the path
  const char* resource;
  const char* kind;
};
constexpr std::array<Collection, 5> kCollections{
    {{"/api/v1", "services", "Service"},
     {"/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice"},
     {"/api/v1", "nodes", "Node"},
     {"/apis/events.k8s.io/v1", "events", "Event"},
     {"/apis/coordination.k8s.io/v1", "leases", "Lease"}}};

struct ObjectPath {
  std::string kind;
  std::string name_space;
  std::string name;  // "": the collection
};

std::optional<ObjectPath> parse_path(const std::string& path) {
  static const std::regex form(
      "(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?/([^/]+)"
      "(?:/([^/]+))?");
  std::smatch parts;
  if (!std::regex_match(path, parts, form)) return std::nullopt;
  const auto found = std::ranges::find_if(kCollections, [&](const Collection& known) {
    return parts[1] == known.group_version && parts[3] == known.resource;
  });
  if (found == kCollections.end()) return std::nullopt;
  return ObjectPath{found->kind, parts[2], parts[4]};
}

ObjectAnswer refuse(int status, const ObjectPath& path) {
  const char* reason = status == 404 ? "NotFound" : "Conflict";
  const char* words = status == 404 ? "not found" : "the object is another one by now";
  return {status,
          status_json(status, reason, fmt::format("{} {}: {}", path.kind, path.name, words))};
}

/// RFC 7386.
void merge(value& target, const value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = value::object();
  for (const auto& [key, change] : patch.as_object()) {
    if (change.is_null()) {
      if (target.has_field(key)) target.erase(key);
    } else {
      merge(target[key], change);
    }
  }
}

std::string version_of(const value& object) {
  if (!object.has_field("metadata")) return "";
  const value& metadata = object.at("metadata");
  return metadata.has_field("resourceVersion") ? metadata.at("resourceVersion").as_string() : "";
}

ObjectAnswer create(ApiServerStore& store, ObjectPath path, const value& object) {
  path.name = object.at("metadata").at("name").as_string();
  const auto changed = store.change(path.kind, path.name_space, path.name,
                                    [&](const value& stored) -> std::optional<value> {
                                      if (!stored.is_null()) return std::nullopt;
                                      return object;
                                    });
  if (!changed) return refuse(409, path);
  return {201, changed->serialize()};
}

ObjectAnswer update(ApiServerStore& store, const ObjectPath& path, const value& written,
                    const ServerRequest& request) {
  const bool is_patch = request.method == "PATCH";
  const bool dry_run = request.parameter("dryRun") == "All";
  int status = 200;
  value answer;
  const auto changed = store.change(path.kind, path.name_space, path.name,
                                    [&](const value& stored) -> std::optional<value> {
                                      const std::string wanted = version_of(written);
                                      if (stored.is_null()) {
                                        status = 404;
                                      } else if (!wanted.empty() && wanted != version_of(stored)) {
                                        status = 409;
                                      }
                                      if (status != 200) return std::nullopt;
                                      value next = is_patch ? stored : written;
                                      if (is_patch) merge(next, written);
                                      answer = next;
                                      if (dry_run) return std::nullopt;
                                      return next;
                                    });
  if (!changed && dry_run && status == 200) return {200, answer.serialize()};
  if (!changed) return refuse(status, path);
  return {200, changed->serialize()};
}

}  // namespace

std::string status_json(int code, const std::string& reason, const std::string& message) {
  return fmt::format(R"({{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure",)"
                     R"("message":"{}","reason":"{}","code":{}}})",
                     message, reason, code);
}

std::optional<ObjectAnswer> answer_object(ApiServerStore& store, const ServerRequest& request) {
  const auto path = parse_path(request.path);
  if (!path || path->name.empty() != (request.method == "POST")) return std::nullopt;
  if (request.method == "GET") {
    const auto object = store.get(path->kind, path->name_space, path->name);
    return object ? ObjectAnswer{200, object->serialize()} : refuse(404, *path);
  }
  if (request.method == "DELETE") {
    if (!store.get(path->kind, path->name_space, path->name)) return refuse(404, *path);
    store.remove(path->kind, path->name_space, path->name);
    return ObjectAnswer{200, R"({"kind":"Status","status":"Success"})"};
  }
  const bool is_patch = request.method == "PATCH";
  if (is_patch && request.header("content-type") != "application/merge-patch+json") {
    return ObjectAnswer{415, status_json(415, "UnsupportedMediaType", "no merge patch")};
  }
  std::error_code malformed;
  const value written = value::parse(request.body, malformed);
  if (malformed) return ObjectAnswer{400, status_json(400, "BadRequest", "the body is no JSON")};
  if (request.method == "POST") return create(store, *path, written);
  return update(store, *path, written, request);
}

}  // namespace topolb::test
