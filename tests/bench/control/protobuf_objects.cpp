// SPDX-License-Identifier: Apache-2.0
#include "protobuf_objects.h"

#include <simdjson.h>

#include <map>
#include <protozero/pbf_writer.hpp>

namespace topolb::bench {
namespace {

using protozero::pbf_writer;
using simdjson::dom::element;
using simdjson::dom::object;

/// Which number a field has, and how it is written. Source: Kubernetes' generated.proto files.
struct Field {
  enum class Type { Text, Number, Truth, Message, Entries, Time, Raw };
  std::uint32_t number = 0;
  Type type = Type::Text;
  const std::map<std::string_view, Field>* message = nullptr;
};
using Message = std::map<std::string_view, Field>;
using Type = Field::Type;

const Message kOwner{{"kind", {1}},
                     {"name", {3}},
                     {"uid", {4}},
                     {"apiVersion", {5}},
                     {"controller", {6, Type::Truth}},
                     {"blockOwnerDeletion", {7, Type::Truth}}};
const Message kManaged{{"manager", {1}},    {"operation", {2}},
                       {"apiVersion", {3}}, {"time", {4, Type::Time}},
                       {"fieldsType", {6}}, {"fieldsV1", {7, Type::Raw}}};
const Message kMetadata{{"name", {1}},
                        {"generateName", {2}},
                        {"namespace", {3}},
                        {"uid", {5}},
                        {"resourceVersion", {6}},
                        {"generation", {7, Type::Number}},
                        {"creationTimestamp", {8, Type::Time}},
                        {"labels", {11, Type::Entries}},
                        {"annotations", {12, Type::Entries}},
                        {"ownerReferences", {13, Type::Message, &kOwner}},
                        {"managedFields", {17, Type::Message, &kManaged}}};
const Message kPort{{"name", {1}}, {"protocol", {2}}, {"port", {3, Type::Number}}};
const Message kServiceSpec{{"ports", {1, Type::Message, &kPort}},
                           {"selector", {2, Type::Entries}},
                           {"clusterIP", {3}},
                           {"type", {4}},
                           {"sessionAffinity", {7}},
                           {"ipFamilyPolicy", {17}},
                           {"clusterIPs", {18}},
                           {"ipFamilies", {19}},
                           {"internalTrafficPolicy", {22}}};
const Message kService{{"metadata", {1, Type::Message, &kMetadata}},
                       {"spec", {2, Type::Message, &kServiceSpec}}};
const Message kReference{{"kind", {1}}, {"namespace", {2}}, {"name", {3}}, {"uid", {4}}};
const Message kConditions{
    {"ready", {1, Type::Truth}}, {"serving", {2, Type::Truth}}, {"terminating", {3, Type::Truth}}};
const Message kEndpoint{{"addresses", {1}},
                        {"conditions", {2, Type::Message, &kConditions}},
                        {"targetRef", {4, Type::Message, &kReference}},
                        {"nodeName", {6}},
                        {"zone", {7}}};
const Message kSlice{{"metadata", {1, Type::Message, &kMetadata}},
                     {"endpoints", {2, Type::Message, &kEndpoint}},
                     {"ports", {3, Type::Message, &kPort}},
                     {"addressType", {4}}};
const Message kMetadataOnly{{"metadata", {1, Type::Message, &kMetadata}}};

std::string write_message(const element& json, const Message& message);

void write(pbf_writer& writer, const Field& field, const element& json) {
  std::string nested;
  pbf_writer nested_writer(nested);
  switch (field.type) {
    case Type::Text:
      return writer.add_string(field.number, std::string(json.get_string().value()));
    case Type::Number:
      return writer.add_int64(field.number, json.get_int64().value());
    case Type::Truth:
      return writer.add_bool(field.number, json.get_bool().value());
    case Type::Message:
      return writer.add_message(field.number, write_message(json, *field.message));
    case Type::Entries: {
      const object entries = json.get_object();
      for (const auto& [key, value] : entries) {
        std::string entry;
        pbf_writer entry_writer(entry);
        entry_writer.add_string(1, std::string(key));
        entry_writer.add_string(2, std::string(value.get_string().value()));
        writer.add_message(field.number, entry);
      }
      return;
    }
    case Type::Time:
      nested_writer.add_int64(1, 1'762'000'000);
      nested_writer.add_int32(2, 0);
      return writer.add_message(field.number, nested);
    case Type::Raw:
      nested_writer.add_bytes(1, simdjson::minify(json));
      return writer.add_message(field.number, nested);
  }
}

std::string write_message(const element& json, const Message& message) {
  std::string bytes;
  pbf_writer writer(bytes);
  const object fields = json.get_object();
  for (const auto& [key, value] : fields) {
    const auto field = message.find(key);
    if (field == message.end()) continue;  // "kind" is in the envelope
    simdjson::dom::array list;
    if (value.get_array().get(list) != simdjson::SUCCESS) {
      write(writer, field->second, value);
      continue;
    }
    for (const element& entry : list) write(writer, field->second, entry);
  }
  return bytes;
}

}  // namespace

std::string to_protobuf(std::string_view kind, const std::string& json) {
  thread_local simdjson::dom::parser parser;
  const bool is_slice = kind == "EndpointSlice";
  return write_message(parser.parse(json), kind == "Service" ? kService
                                           : is_slice        ? kSlice
                                                             : kMetadataOnly);
}

std::string protobuf_list(const std::string& version, const std::string& continue_token,
                          const std::vector<std::string>& items) {
  std::string metadata;
  pbf_writer metadata_writer(metadata);
  metadata_writer.add_string(2, version);
  metadata_writer.add_string(3, continue_token);
  std::string list;
  pbf_writer writer(list);
  writer.add_message(1, metadata);
  for (const std::string& item : items) writer.add_message(2, item);
  return list;
}

std::string protobuf_envelope(std::string_view api_version, std::string_view kind,
                              const std::string& message) {
  std::string type;
  pbf_writer type_writer(type);
  type_writer.add_string(1, std::string(api_version));
  type_writer.add_string(2, std::string(kind));
  std::string envelope("k8s\0", 4);
  pbf_writer writer(envelope);
  writer.add_message(1, type);
  writer.add_message(2, message);
  return envelope;
}

std::string protobuf_event(std::string_view type, const std::string& envelope) {
  std::string extension;
  pbf_writer extension_writer(extension);
  extension_writer.add_bytes(1, envelope);
  std::string frame(4, '\0');
  pbf_writer writer(frame);
  writer.add_string(1, std::string(type));
  writer.add_message(2, extension);
  const std::size_t length = frame.size() - 4;
  for (int i = 0; i < 4; ++i)
    frame[static_cast<std::size_t>(i)] = static_cast<char>(length >> (24 - 8 * i) & 0xff);
  return frame;
}

}  // namespace topolb::bench
