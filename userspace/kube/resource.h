// SPDX-License-Identifier: Apache-2.0
// Where the kinds live in the API, and in which form topolb asks for them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kube/decode.h"
#include "kube/watch_event.h"

namespace topolb::kube {

struct Resource {
  std::string path;             // "/api/v1/services": all namespaces
  std::vector<ListType> lists;  // what the server may answer with
  std::string accept_list;
  std::string accept_watch;
};

/// Nodes may be asked for as PartialObjectMetadata: without status, which changes all the time.
const Resource& resource_of(Kind kind, Form form);

/// An Accept header of JSON, after the same of protobuf: a third of the bytes, and of the server's
/// work. A server that has no protobuf of it answers in JSON.
std::string prefer_protobuf(std::string_view accept_json);

/// The label selector of what topolb reads of a kind: no slices of headless Services, and no
/// Services of another proxy unless `service_proxy_name` is one.
std::string label_selector_of(Kind kind, const std::string& service_proxy_name);

std::string percent_encode(std::string_view text);

/// `path` with the parameters that have a value.
std::string make_target(const std::string& path,
                        const std::vector<std::pair<std::string, std::string>>& query);

}  // namespace topolb::kube
