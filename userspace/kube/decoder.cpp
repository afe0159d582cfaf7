// SPDX-License-Identifier: Apache-2.0
#include "kube/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <protozero/exception.hpp>

#include "kube/decode_document.h"
#include "kube/protobuf_message.h"

namespace topolb::kube {
namespace {

// What a large page has made the parser allocate is not kept.
constexpr std::size_t kKeptBytes = std::size_t{256} << 10;

Error malformed(std::string_view what) {
  return {std::make_error_code(std::errc::bad_message), std::string(what)};
}

const MessageSchema* schema_of(std::string_view kind) {
  struct Entry {
    std::string_view kind;
    const MessageSchema* schema;
  };
  static const std::array<Entry, 9> schemas{{{"Service", &kServiceMessage},
                                             {"ServiceList", &kServiceListMessage},
                                             {"EndpointSlice", &kEndpointSliceMessage},
                                             {"EndpointSliceList", &kEndpointSliceListMessage},
                                             {"PartialObjectMetadata", &kNodeMessage},
                                             {"PartialObjectMetadataList", &kNodeListMessage},
                                             {"Node", &kNodeMessage},
                                             {"NodeList", &kNodeListMessage},
                                             {"Status", &kStatusMessage}}};
  const auto* const found = std::ranges::find(schemas, kind, &Entry::kind);
  return found == schemas.end() ? nullptr : found->schema;
}

ApiStatus read_status(const Fields& fields) {
  ApiStatus status;
  const auto number = [](const Fields& object, std::string_view key) {
    const auto value = object.find(key);
    return value ? value->number().value_or(0) : 0;
  };
  status.code = static_cast<int>(number(fields, "code"));
  status.reason = fields.string("reason");
  status.message = fields.string("message");
  if (const auto details = fields.child("details")) {
    const auto seconds = number(*details, "retryAfterSeconds");
    if (seconds > 0) status.retry_after = std::chrono::seconds(seconds);
  }
  return status;
}

Result<WatchEvent> read_bookmark(const Fields& object) {
  const auto metadata = object.child("metadata");
  if (!metadata) return malformed("watch event: bookmark without metadata");
  WatchEvent event;
  event.type = WatchEvent::Type::Bookmark;
  event.resource_version = metadata->string("resourceVersion");
  metadata->for_each_entry("annotations", [&event](std::string_view name, auto value) {
    if (name == "k8s.io/initial-events-end") event.initial_events_end = value == "true";
  });
  if (event.resource_version.empty()) {
    return malformed("watch event: bookmark without resourceVersion");
  }
  return event;
}

std::optional<WatchEvent::Type> type_of(std::string_view word) {
  if (word == "ADDED" || word == "MODIFIED") return WatchEvent::Type::Put;
  if (word == "DELETED") return WatchEvent::Type::Delete;
  if (word == "BOOKMARK") return WatchEvent::Type::Bookmark;
  return word == "ERROR" ? std::optional(WatchEvent::Type::Error) : std::nullopt;
}

/// An object within an event, and what its envelope or its own fields say of it.
Result<WatchEvent> read_event(std::string_view word, const Fields& object, const TypeMeta& meta,
                              Kind kind) {
  const auto type = type_of(word);
  if (!type) return malformed(fmt::format("watch event: unknown type '{}'", word));
  if (*type == WatchEvent::Type::Bookmark) return read_bookmark(object);
  WatchEvent event;
  event.type = *type;
  if (*type == WatchEvent::Type::Error) {
    event.status = read_status(object);
    return event;
  }
  DocumentDecoder decoder;
  const auto decoded = decoder.decode_typed(object, meta, FieldPath(), {kind, ""});
  if (!decoded) return decoded.error();
  event.document = decoder.take();
  return event;
}

/// What a protobuf decoder throws at broken bytes becomes an error.
template <typename Decode>
auto without_exceptions(const Decode& decode) -> decltype(decode()) {
  try {
    return decode();
  } catch (const protozero::exception& broken) {
    return malformed(fmt::format("broken protobuf: {}", broken.what()));
  }
}

}  // namespace

class Decoder::Reader {
 public:
  /// A document, whose fields tell their problems to `sink`.
  struct Root {
    Fields fields;
    TypeMeta type;
  };
  Result<Root> open(std::string_view bytes, ProblemSink& sink);
  Result<simdjson::dom::object> parse(std::string_view json);

 private:
  simdjson::dom::parser parser_;
  std::string padded_;  // the parser reads beyond the end
};

Decoder::Decoder() : reader_(std::make_unique<Reader>()) {}
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

Result<simdjson::dom::object> Decoder::Reader::parse(std::string_view json) {
  if (parser_.capacity() > kKeptBytes && json.size() < kKeptBytes) {
    parser_ = simdjson::dom::parser();
    padded_ = {};
  }
  padded_.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  padded_ = json;
  simdjson::dom::object object;
  if (parser_.parse(padded_.data(), padded_.size(), false).get_object().get(object)) {
    return malformed("no complete JSON object");
  }
  return object;
}

Result<Decoder::Reader::Root> Decoder::Reader::open(std::string_view bytes, ProblemSink& sink) {
  if (!is_protobuf(bytes)) {
    const auto object = parse(bytes);
    if (!object) return object.error();
    const Fields fields(*object, FieldPath(), sink);
    return Root{fields, {fields.string("kind"), fields.string("apiVersion")}};
  }
  const auto envelope = open_envelope(bytes);
  const MessageSchema* schema = schema_of(envelope.kind);
  // Of what topolb does not know, nothing but the type can be read.
  const ProtobufMessage message(envelope.message,
                                schema == nullptr ? kMetadataOnlyMessage : *schema);
  return Root{Fields(message, FieldPath(), sink), {envelope.kind, envelope.api_version}};
}

Result<DecodedDocument> Decoder::list(std::string_view body, const std::vector<ListType>& types,
                                      Kind kind) {
  return without_exceptions([&]() -> Result<DecodedDocument> {
    ProblemSink sink({});
    const auto root = reader_->open(body, sink);
    if (!root) return malformed("the answer is " + root.error().what);
    const auto& [fields, meta] = *root;
    const ListType type{std::string(meta.api_version), std::string(meta.kind)};
    if (std::ranges::find(types, type) == types.end()) {
      return malformed(fmt::format("the answer is a '{} {}', not a '{} {}'", type.api_version,
                                   type.kind, types.front().api_version, types.front().kind));
    }
    if (!fields.has("items") || !fields.is_list("items")) return malformed("the list has no items");
    const auto metadata = fields.child("metadata");
    if (!metadata || metadata->string("resourceVersion").empty()) {
      return malformed("the list has no resourceVersion");
    }
    DocumentDecoder decoder;
    const auto decoded = decoder.decode_typed(fields, meta, FieldPath(), {kind, ""});
    if (!decoded) return decoded.error();
    return decoder.take();
  });
}

Result<WatchEvent> Decoder::event(std::string_view bytes, Kind kind) {
  // The tag of its first field; no line of JSON holds that character.
  const bool in_protobuf = bytes.starts_with('\n');
  return without_exceptions([&]() -> Result<WatchEvent> {
    ProblemSink sink({});
    if (in_protobuf) {
      const auto [type, object] = open_event(bytes);
      if (!is_protobuf(object)) return malformed("watch event: no object");
      const auto root = reader_->open(object, sink);
      if (!root) return root.error();
      return read_event(type, root->fields, root->type, kind);
    }
    const auto envelope = reader_->parse(bytes);
    if (!envelope) return malformed("watch event: " + envelope.error().what);
    const Fields fields(*envelope, FieldPath(), sink);
    const auto type = fields.string("type");
    if (type.empty()) return malformed("watch event: no type");
    const auto object = fields.find("object");
    const auto content = object ? Fields::of(*object, FieldPath(), sink) : std::nullopt;
    if (!content) return malformed("watch event: no object");
    return read_event(type, *content, {content->string("kind"), content->string("apiVersion")},
                      kind);
  });
}

std::optional<ApiStatus> Decoder::status(std::string_view body) {
  const auto status = without_exceptions([&]() -> Result<ApiStatus> {
    ProblemSink sink({});
    const auto root = reader_->open(body, sink);
    if (!root) return root.error();
    if (root->type.kind != "Status") return malformed("no Status");
    return read_status(root->fields);
  });
  return status ? std::optional(*status) : std::nullopt;
}

std::optional<ApiStatus> parse_status(std::string_view body) { return Decoder().status(body); }

}  // namespace topolb::kube
