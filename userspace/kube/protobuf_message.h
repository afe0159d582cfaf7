// SPDX-License-Identifier: Apache-2.0
// Kubernetes' protobuf by the names that the fields have in JSON: which number a name has in which
// message. Only what topolb reads. Pure. Broken bytes are told by a protozero::exception, which
// stays within the decoder. Source: the generated.proto files of Kubernetes (core/v1, discovery/v1,
// meta/v1, runtime).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <protozero/pbf_reader.hpp>
#include <span>
#include <string_view>
#include <utility>

namespace topolb::kube {

struct MessageSchema;

enum class FieldType : std::uint8_t { Text, Number, Truth, Message, Entries };

struct FieldSchema {
  std::string_view name;
  std::uint32_t number = 0;
  FieldType type = FieldType::Text;
  bool is_list = false;
  const MessageSchema* message = nullptr;  // of a Message
};

struct MessageSchema {
  std::span<const FieldSchema> fields;
  [[nodiscard]] const FieldSchema* find(std::string_view name) const;
};

extern const MessageSchema kServiceMessage;
extern const MessageSchema kEndpointSliceMessage;
extern const MessageSchema kNodeMessage;          // PartialObjectMetadata of one, too
extern const MessageSchema kMetadataOnlyMessage;  // of any object
extern const MessageSchema kServiceListMessage;
extern const MessageSchema kEndpointSliceListMessage;
extern const MessageSchema kNodeListMessage;
extern const MessageSchema kStatusMessage;

/// A field's value, as it is on the wire. Refers to the message's bytes.
struct ProtobufValue {
  const FieldSchema* field = nullptr;
  std::string_view bytes;   // Text, Message, Entries (one of them)
  std::int64_t number = 0;  // Number, Truth
};

/// One message, gone through once. The bytes must outlive it.
class ProtobufMessage {
 public:
  static constexpr std::size_t kMaxFields = 16;  // of a schema

  ProtobufMessage() = default;
  ProtobufMessage(std::string_view bytes, const MessageSchema& schema);

  [[nodiscard]] const MessageSchema* schema() const { return schema_; }
  /// `field` is one of the schema's. The last occurrence counts.
  [[nodiscard]] std::optional<ProtobufValue> last(const FieldSchema& field) const;
  /// Calls `visit` for each occurrence of a field, in order.
  template <typename Visit>
  void for_each(const FieldSchema& field, const Visit& visit) const {
    if (!last(field)) return;
    protozero::pbf_reader reader(bytes_.data(), bytes_.size());
    while (reader.next(field.number, wire_type_of(field))) visit(read(reader, field));
  }

 private:
  /// Where a value is in the bytes, or the number itself.
  union Place {
    struct {
      std::uint32_t begin;
      std::uint32_t size;
    } bytes;
    std::int64_t number = 0;
  };

  static bool is_number(const FieldSchema& field) {
    return field.type == FieldType::Number || field.type == FieldType::Truth;
  }
  static protozero::pbf_wire_type wire_type_of(const FieldSchema& field) {
    return is_number(field) ? protozero::pbf_wire_type::varint
                            : protozero::pbf_wire_type::length_delimited;
  }
  static ProtobufValue read(protozero::pbf_reader& reader, const FieldSchema& field) {
    if (is_number(field)) return {.field = &field, .bytes = {}, .number = reader.get_int64()};
    const auto view = reader.get_view();
    return {.field = &field, .bytes = {view.data(), view.size()}, .number = 0};
  }

  std::string_view bytes_;
  const MessageSchema* schema_ = nullptr;
  std::uint32_t present_ = 0;  // bit i: the schema's field i
  std::array<Place, kMaxFields> last_;
};

/// An entry of a map of texts: its key and value.
std::pair<std::string_view, std::string_view> open_entry(std::string_view bytes);

/// What stands around every object: its type, and the message itself.
struct ProtobufEnvelope {
  std::string_view api_version;
  std::string_view kind;
  std::string_view message;
};

/// Whether these bytes are an envelope: JSON never begins so.
bool is_protobuf(std::string_view bytes);
/// @pre is_protobuf(bytes)
ProtobufEnvelope open_envelope(std::string_view bytes);

/// The parts of a watch's frame, without its length.
struct ProtobufEvent {
  std::string_view type;
  std::string_view object;  // an envelope
};
ProtobufEvent open_event(std::string_view frame);

}  // namespace topolb::kube
