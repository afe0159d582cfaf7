// SPDX-License-Identifier: Apache-2.0
#include "kube/list_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "kube/api_call.h"
#include "kube/decoder.h"
#include "kube/resource.h"

namespace topolb::kube {
namespace {

constexpr std::size_t kPageSize = 500;
constexpr unsigned kMaxBeginnings = 3;
constexpr int kListTooOld = 410;

std::string path_of(Kind kind, const std::string& namespace_name) {
  const std::string& path = resource_of(kind, Form::Metadata).path;
  const auto slash = path.rfind('/');
  return object_path(path.substr(0, slash), namespace_name, path.substr(slash + 1));
}

template <typename T>
void append(std::vector<T>& all, std::vector<T> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// One page. Error: as list_objects().
Result<DecodedDocument> list_page(Api& api, Kind kind, const ListScope& scope,
                                  const std::string& token, const std::stop_token& stop) {
  const Resource& resource = resource_of(kind, Form::Metadata);
  const std::string path = path_of(kind, scope.namespace_name);
  const std::size_t limit = scope.at_most == 0 ? kPageSize : std::min(scope.at_most, kPageSize);
  ApiRequest request;
  request.deadlines = scope.deadlines;
  request.target = make_target(path, {{"labelSelector", scope.label_selector},
                                      {"limit", std::to_string(limit)},
                                      {"continue", token}});
  request.accept = resource.accept_list;
  const auto page = call_api(api, request, stop);
  if (!page) return page.error();
  auto decoded = Decoder().list(*page, resource.lists, kind);
  if (!decoded) {
    return Error{decoded.error().code, fmt::format("GET {}: {}", path, decoded.error().what)};
  }
  return decoded;
}

}  // namespace

Result<ObjectList> list_objects(Api& api, Kind kind, const ListScope& scope,
                                const std::stop_token& stop) {
  ObjectList list;
  std::string token;
  for (unsigned beginnings = 1;;) {
    auto page = list_page(api, kind, scope, token, stop);
    if (page) {
      append(list.objects, std::move(page->objects));
      append(list.problems, std::move(page->problems));
      token = page->list_continue;
      const bool is_enough = scope.at_most != 0 && list.objects.size() >= scope.at_most;
      if (token.empty() || is_enough) return list;
    } else if (api_status_of(page.error()) == kListTooOld && beginnings < kMaxBeginnings) {
      list = {};
      token.clear();
      ++beginnings;
    } else {
      return page.error();
    }
  }
}

Result<bool> any_object(Api& api, Kind kind, ListScope scope, const std::stop_token& stop) {
  scope.at_most = 1;
  const auto list = list_objects(api, kind, scope, stop);
  if (!list) return list.error();
  return !list->objects.empty();
}

}  // namespace topolb::kube
