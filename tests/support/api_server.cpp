// SPDX-License-Identifier: Apache-2.0
#include "api_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "api_server_objects.h"

namespace topolb::test {
namespace {

using web::json::value;

constexpr std::chrono::milliseconds kTick{50};

struct Kind {
  const char* path;
  const char* name;
  const char* api_version;
};
constexpr std::array<Kind, 4> kKinds{
    {{"/api/v1/services", "Service", "v1"},
     {"/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice", "discovery.k8s.io/v1"},
     {"/api/v1/nodes", "Node", "v1"},
     {"/apis/events.k8s.io/v1/events", "Event", "events.k8s.io/v1"}}};

bool wants_metadata(const ServerRequest& request) {
  return request.header("accept").find("as=PartialObjectMetadata") != std::string::npos;
}

/// "/api/v1/namespaces/default/services" -> "default", and in `ret_path` "/api/v1/services".
std::string take_namespace(std::string& ret_path) {
  static const std::string word = "/namespaces/";
  const auto begin = ret_path.find(word);
  if (begin == std::string::npos) return {};
  const auto end = ret_path.find('/', begin + word.size());
  if (end == std::string::npos) return {};
  std::string name = ret_path.substr(begin + word.size(), end - begin - word.size());
  ret_path.erase(begin, end - begin);
  return name;
}

Selector selector_of(const ServerRequest& request) {
  std::string path = request.path;
  return {request.parameter("labelSelector"), request.parameter("fieldSelector"),
          take_namespace(path)};
}

/// In the form that the client asked for.
value shaped(const value& object, const ServerRequest& request) {
  if (!wants_metadata(request)) return object;
  value metadata;
  metadata["kind"] = value("PartialObjectMetadata");
  metadata["apiVersion"] = value("meta.k8s.io/v1");
  metadata["metadata"] = object.at("metadata");
  return metadata;
}

std::string event_line(const std::string& type, const std::string& object) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object);
}

std::string bookmark_line(const ServerRequest& request, const Kind& kind, std::uint64_t version,
                          bool initial_events_end) {
  value object;
  object["kind"] = value(wants_metadata(request) ? "PartialObjectMetadata" : kind.name);
  object["apiVersion"] = value(wants_metadata(request) ? "meta.k8s.io/v1" : kind.api_version);
  object["metadata"]["resourceVersion"] = value(std::to_string(version));
  if (initial_events_end) {
    object["metadata"]["annotations"]["k8s.io/initial-events-end"] = value("true");
  }
  return event_line("BOOKMARK", object.serialize());
}

const Kind& kind_called(const std::string& name) {
  return *std::ranges::find_if(kKinds, [&](const Kind& kind) { return name == kind.name; });
}

/// What an event is to a watch with a selector: an object may come into it, or leave it.
std::string event_type(const StoredEvent& event, const Selector& selector) {
  const bool matched = !event.before.is_null() && selector.matches(event.before);
  const bool matches = event.type != "DELETED" && selector.matches(event.object);
  if (matches) return matched ? "MODIFIED" : "ADDED";
  return matched ? "DELETED" : "";
}

}  // namespace

struct ApiServer::OpenWatch {
  std::string target;
  std::string line;  // to be sent
  bool bookmark = false;
};

ApiServer::ApiServer(ApiServerOptions options)
    : options_(std::move(options)), identity_(authority_.issue_server(options_.names)) {
  std::signal(SIGPIPE, SIG_IGN);  // what OpenSSL writes to a connection that has gone
  start();
}

ApiServer::~ApiServer() { stop(); }

void ApiServer::start() {
  running_ = true;
  auto listener = std::make_unique<TlsListener>(
      port_, identity_, options_.needs_client_certificate ? authority_.certificate_pem() : "",
      [this](TlsConnection& connection) { handle(connection); });
  port_ = listener->port();
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

void ApiServer::stop() {
  running_ = false;
  store_.wake();
  std::unique_ptr<TlsListener> listener;
  {
    const std::lock_guard lock(mutex_);
    listener = std::move(listener_);
  }
  listener.reset();
}

std::string ApiServer::url() const { return fmt::format("https://127.0.0.1:{}", port_); }

void ApiServer::set_token(const std::string& token) {
  const std::lock_guard lock(mutex_);
  options_.token = token;
}

void ApiServer::inject(Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void ApiServer::clear_faults() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

void ApiServer::break_connections() {
  const std::lock_guard lock(mutex_);
  listener_->break_off_all();
}

void ApiServer::send_bookmarks() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& open : watches_) open->bookmark = true;
  }
  store_.wake();
}

void ApiServer::send_line(const std::string& target, const std::string& line) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& open : watches_) {
      if (open->target.find(target) != std::string::npos) open->line += line;
    }
  }
  store_.wake();
}

std::vector<std::string> ApiServer::requests(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  std::ranges::copy_if(requests_, std::back_inserter(found), [&](const std::string& target) {
    return target.find(part) != std::string::npos;
  });
  return found;
}

std::size_t ApiServer::watches(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      watches_, [&](const auto& open) { return open->target.find(part) != std::string::npos; }));
}

std::optional<Fault> ApiServer::take_fault(const ServerRequest& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request.method + " " + request.target);
  const auto found = std::ranges::find_if(faults_, [&](const Fault& fault) {
    return fault.times > 0 && request.target.find(fault.target) != std::string::npos;
  });
  if (found == faults_.end()) return std::nullopt;
  --found->times;
  return *found;
}

bool ApiServer::is_authorized(const ServerRequest& request) const {
  const std::lock_guard lock(mutex_);
  return options_.token.empty() || request.header("authorization") == "Bearer " + options_.token;
}

void ApiServer::handle(TlsConnection& connection) {
  while (running_) {
    const auto request = read_request(connection);
    if (!request) return;
    const Fault fault = take_fault(*request).value_or(Fault{});
    ResponseWriter writer(connection, {fault.cut, fault.stall, fault.per_byte});
    if (fault.status != 0) {
      writer.send(fault.status, fault.body, fault.header);
    } else if (!is_authorized(*request)) {
      writer.send(401, status_json(401, "Unauthorized", "Unauthorized"));
    } else {
      ServerRequest marked = *request;
      marked.headers["x-first-line"] = fault.first_line;
      answer(writer, marked);
    }
    if (!connection.is_open() || request->version == "HTTP/1.0") return;
  }
}

void ApiServer::answer(ResponseWriter& writer, const ServerRequest& request) {
  if (request.path == "/version") {
    writer.send(200, fmt::format(R"({{"major":"1","minor":"{}"}})", options_.minor));
    return;
  }
  std::string path = request.path;
  take_namespace(path);
  const auto kind =
      std::ranges::find_if(kKinds, [&](const Kind& known) { return path == known.path; });
  if (const auto object = answer_object(store_, request)) {
    writer.send(object->status, object->body);
  } else if (kind == kKinds.end()) {
    writer.send(404, status_json(404, "NotFound", "no such path"));
  } else if (request.parameter("watch").empty()) {
    list(writer, request, kind->name);
  } else if (!request.parameter("sendInitialEvents").empty() && !options_.streams_lists) {
    writer.send(422, status_json(422, "Invalid", "sendInitialEvents is forbidden for watch"));
  } else {
    watch(writer, request, kind->name);
  }
}

void ApiServer::list(ResponseWriter& writer, const ServerRequest& request,
                     const std::string& kind_name) {
  const Kind& kind = kind_called(kind_name);
  const auto snapshot = store_.list(kind_name, selector_of(request));
  // The token is where to go on, and the version that the list began with.
  std::size_t start = 0;
  std::uint64_t version = snapshot.version;
  const std::string token = request.parameter("continue");
  if (!token.empty()) {
    start = std::stoul(token);
    version = std::stoull(token.substr(token.find('@') + 1));
    if (store_.events_after(kind_name, version, {}).compacted) {
      writer.send(410, status_json(410, "Expired", "the continue parameter is too old"));
      return;
    }
  }
  const std::string limit = request.parameter("limit");
  const std::size_t end = std::min(
      snapshot.objects.size(), limit.empty() ? snapshot.objects.size() : start + std::stoul(limit));
  value answer;
  answer["kind"] =
      value(wants_metadata(request) ? "PartialObjectMetadataList" : kind_name + "List");
  answer["apiVersion"] = value(wants_metadata(request) ? "meta.k8s.io/v1" : kind.api_version);
  answer["metadata"]["resourceVersion"] = value(std::to_string(version));
  if (end < snapshot.objects.size()) {
    answer["metadata"]["continue"] = value(fmt::format("{}@{}", end, version));
  }
  answer["items"] = value::array();
  for (std::size_t i = start; i < end; ++i) {
    answer["items"][i - start] = shaped(snapshot.objects[i], request);
  }
  const bool packed =
      options_.gzip && request.header("accept-encoding").find("gzip") != std::string::npos;
  const std::string body = answer.serialize();
  writer.send(200, packed ? gzip(body) : body, packed ? "Content-Encoding: gzip" : "");
}

bool ApiServer::send_initial_events(ResponseWriter& writer, const ServerRequest& request,
                                    const std::string& kind, std::uint64_t& ret_version) {
  const auto snapshot = store_.list(kind, selector_of(request));
  ret_version = snapshot.version;
  for (const value& object : snapshot.objects) {
    if (!writer.piece(event_line("ADDED", shaped(object, request).serialize()))) return false;
  }
  return writer.piece(bookmark_line(request, kind_called(kind), snapshot.version, true));
}

bool ApiServer::send_events(ResponseWriter& writer, const ServerRequest& request,
                            const std::string& kind, std::uint64_t& version) {
  const auto found = store_.events_after(kind, version, kTick);
  const Selector selector = selector_of(request);
  for (const StoredEvent& event : found.events) {
    const std::string type = event_type(event, selector);
    if (type.empty()) continue;
    if (!writer.piece(event_line(type, shaped(event.object, request).serialize()))) return false;
  }
  version = found.version;
  return true;
}

void ApiServer::watch(ResponseWriter& writer, const ServerRequest& request,
                      const std::string& kind) {
  std::uint64_t version = 0;
  const std::string asked = request.parameter("resourceVersion");
  if (!asked.empty()) version = std::stoull(asked);
  const bool gone = !asked.empty() && store_.events_after(kind, version, {}).compacted;
  const std::string too_old = status_json(410, "Expired", "too old resource version");
  if (gone && options_.gone_as_status) {
    writer.send(410, too_old);
    return;
  }
  if (!writer.begin()) return;
  if (gone) {
    if (writer.piece(event_line("ERROR", too_old))) writer.end();
    return;
  }
  const std::string first_line = request.header("x-first-line");
  if (!first_line.empty() && !writer.piece(first_line)) return;
  const auto open = std::make_shared<OpenWatch>(OpenWatch{request.target, {}, false});
  {
    const std::lock_guard lock(mutex_);
    watches_.push_back(open);
  }
  const auto deadline =
      std::chrono::steady_clock::now() +
      std::chrono::seconds(std::stoul(fmt::format("0{}", request.parameter("timeoutSeconds"))));
  bool alive = !asked.empty() || send_initial_events(writer, request, kind, version);
  while (alive && running_ && writer.is_open() && std::chrono::steady_clock::now() < deadline) {
    alive = send_events(writer, request, kind, version);
    std::string extra;
    {
      const std::lock_guard lock(mutex_);
      extra = std::exchange(open->line, {});
      if (std::exchange(open->bookmark, false)) {
        extra += bookmark_line(request, kind_called(kind), version, false);
      }
    }
    alive = alive && (extra.empty() || writer.piece(extra));
  }
  {
    const std::lock_guard lock(mutex_);
    std::erase(watches_, open);
  }
  if (alive && running_ && writer.is_open()) writer.end();
}

}  // namespace topolb::test
