// SPDX-License-Identifier: Apache-2.0
#include "protobuf_text.h"

#include <simdjson.h>

#include <protozero/pbf_writer.hpp>
#include <set>

#include "kube/protobuf_message.h"

namespace topolb::kube::test {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

bool write_message(const element& json, const MessageSchema& schema, std::string& ret_bytes);

bool write_entries(protozero::pbf_writer& writer, std::uint32_t number, const element& json) {
  simdjson::dom::object entries;
  if (json.get_object().get(entries)) return false;
  for (const auto& [key, value] : entries) {
    std::string_view text;
    if (value.get_string().get(text)) return false;
    std::string entry;
    protozero::pbf_writer entry_writer(entry);
    entry_writer.add_string(1, std::string(key));
    entry_writer.add_string(2, std::string(text));
    writer.add_message(number, entry);
  }
  return true;
}

bool write_value(protozero::pbf_writer& writer, const FieldSchema& field, const element& json) {
  std::string_view text;
  std::int64_t number = 0;
  bool truth = false;
  std::string message;
  switch (field.type) {
    case FieldType::Text:
      if (json.get_string().get(text)) return false;
      writer.add_string(field.number, std::string(text));
      return true;
    case FieldType::Number:
      if (json.get_int64().get(number)) return false;
      writer.add_int64(field.number, number);
      return true;
    case FieldType::Truth:
      if (json.get_bool().get(truth)) return false;
      writer.add_bool(field.number, truth);
      return true;
    case FieldType::Message:
      if (!write_message(json, *field.message, message)) return false;
      writer.add_message(field.number, message);
      return true;
    case FieldType::Entries:
      return write_entries(writer, field.number, json);
  }
  return false;
}

bool write_field(protozero::pbf_writer& writer, const FieldSchema& field, const element& json) {
  if (json.is_null()) return true;
  if (!field.is_list || field.type == FieldType::Entries) return write_value(writer, field, json);
  simdjson::dom::array list;
  if (json.get_array().get(list)) return false;
  for (const element& entry : list) {
    if (!write_value(writer, field, entry)) return false;
  }
  return true;
}

// Fields that topolb does not read are left out.
bool write_message(const element& json, const MessageSchema& schema, std::string& ret_bytes) {
  simdjson::dom::object object;
  if (json.get_object().get(object)) return false;
  protozero::pbf_writer writer(ret_bytes);
  std::set<std::string_view> keys;
  for (const auto& [key, value] : object) {
    if (!keys.insert(key).second) return false;
    const FieldSchema* field = schema.find(key);
    if (field != nullptr && !write_field(writer, *field, value)) return false;
  }
  return true;
}

const MessageSchema& schema_of(std::string_view kind) {
  if (kind == "Service") return kServiceMessage;
  return kind == "EndpointSlice" ? kEndpointSliceMessage : kMetadataOnlyMessage;
}

}  // namespace

std::optional<std::string> protobuf_event(const std::string& type, const std::string& object_json) {
  simdjson::dom::parser parser;
  const element json = parser.parse(object_json);
  const std::string kind(json["kind"].get_string().value());
  std::string message;
  if (!write_message(json, schema_of(kind), message)) return std::nullopt;
  std::string type_meta;
  protozero::pbf_writer type_writer(type_meta);
  type_writer.add_string(1, std::string(json["apiVersion"].get_string().value()));
  type_writer.add_string(2, kind);
  std::string envelope("k8s\0", 4);
  protozero::pbf_writer envelope_writer(envelope);
  envelope_writer.add_message(1, type_meta);
  envelope_writer.add_message(2, message);
  std::string extension;
  protozero::pbf_writer extension_writer(extension);
  extension_writer.add_bytes(1, envelope);
  std::string event;
  protozero::pbf_writer event_writer(event);
  event_writer.add_string(1, type);
  event_writer.add_message(2, extension);
  return event;
}

}  // namespace topolb::kube::test
