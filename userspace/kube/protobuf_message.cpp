// SPDX-License-Identifier: Apache-2.0
#include "kube/protobuf_message.h"

#include <algorithm>
#include <array>

namespace topolb::kube {
namespace {

constexpr std::string_view kMagic{"k8s\0", 4};

constexpr FieldSchema text(std::string_view name, std::uint32_t number) {
  return {name, number, FieldType::Text, false, nullptr};
}
constexpr FieldSchema texts(std::string_view name, std::uint32_t number) {
  return {name, number, FieldType::Text, true, nullptr};
}
constexpr FieldSchema number(std::string_view name, std::uint32_t number) {
  return {name, number, FieldType::Number, false, nullptr};
}
constexpr FieldSchema truth(std::string_view name, std::uint32_t number) {
  return {name, number, FieldType::Truth, false, nullptr};
}
constexpr FieldSchema entries(std::string_view name, std::uint32_t number) {
  return {name, number, FieldType::Entries, true, nullptr};
}
constexpr FieldSchema message(std::string_view name, std::uint32_t number,
                              const MessageSchema& schema) {
  return {name, number, FieldType::Message, false, &schema};
}
constexpr FieldSchema messages(std::string_view name, std::uint32_t number,
                               const MessageSchema& schema) {
  return {name, number, FieldType::Message, true, &schema};
}

constexpr std::array kTimeFields{number("seconds", 1), number("nanos", 2)};
constexpr MessageSchema kTime{kTimeFields};
constexpr std::array kMetadataFields{text("name", 1),
                                     text("namespace", 3),
                                     text("resourceVersion", 6),
                                     message("deletionTimestamp", 9, kTime),
                                     entries("labels", 11),
                                     entries("annotations", 12)};
constexpr MessageSchema kMetadata{kMetadataFields};

constexpr std::array kServicePortFields{text("name", 1), text("protocol", 2), number("port", 3),
                                        number("nodePort", 5)};
constexpr MessageSchema kServicePort{kServicePortFields};
constexpr std::array kClientIpFields{number("timeoutSeconds", 1)};
constexpr MessageSchema kClientIp{kClientIpFields};
constexpr std::array kAffinityConfigFields{message("clientIP", 1, kClientIp)};
constexpr MessageSchema kAffinityConfig{kAffinityConfigFields};
constexpr std::array kServiceSpecFields{messages("ports", 1, kServicePort),
                                        text("clusterIP", 3),
                                        text("type", 4),
                                        texts("externalIPs", 5),
                                        text("sessionAffinity", 7),
                                        texts("loadBalancerSourceRanges", 9),
                                        text("externalTrafficPolicy", 11),
                                        number("healthCheckNodePort", 12),
                                        message("sessionAffinityConfig", 14, kAffinityConfig),
                                        texts("topologyKeys", 16),  // until Kubernetes 1.21
                                        texts("clusterIPs", 18),
                                        text("internalTrafficPolicy", 22)};
constexpr MessageSchema kServiceSpec{kServiceSpecFields};
constexpr std::array kIngressFields{text("ip", 1), text("ipMode", 3)};
constexpr MessageSchema kIngress{kIngressFields};
constexpr std::array kLoadBalancerFields{messages("ingress", 1, kIngress)};
constexpr MessageSchema kLoadBalancer{kLoadBalancerFields};
constexpr std::array kServiceStatusFields{message("loadBalancer", 1, kLoadBalancer)};
constexpr MessageSchema kServiceStatus{kServiceStatusFields};
constexpr std::array kServiceFields{message("metadata", 1, kMetadata),
                                    message("spec", 2, kServiceSpec),
                                    message("status", 3, kServiceStatus)};

constexpr std::array kConditionsFields{truth("ready", 1), truth("serving", 2),
                                       truth("terminating", 3)};
constexpr MessageSchema kConditions{kConditionsFields};
constexpr std::array kHintFields{text("name", 1)};
constexpr MessageSchema kHint{kHintFields};
constexpr std::array kHintsFields{messages("forZones", 1, kHint), messages("forNodes", 2, kHint)};
constexpr MessageSchema kHints{kHintsFields};
constexpr std::array kEndpointFields{texts("addresses", 1), message("conditions", 2, kConditions),
                                     text("nodeName", 6), text("zone", 7),
                                     message("hints", 8, kHints)};
constexpr MessageSchema kEndpoint{kEndpointFields};
constexpr std::array kEndpointPortFields{text("name", 1), text("protocol", 2), number("port", 3)};
constexpr MessageSchema kEndpointPort{kEndpointPortFields};
constexpr std::array kEndpointSliceFields{
    message("metadata", 1, kMetadata), messages("endpoints", 2, kEndpoint),
    messages("ports", 3, kEndpointPort), text("addressType", 4)};

constexpr std::array kTaintFields{text("key", 1)};
constexpr MessageSchema kTaint{kTaintFields};
constexpr std::array kNodeSpecFields{messages("taints", 5, kTaint)};
constexpr MessageSchema kNodeSpec{kNodeSpecFields};
constexpr std::array kNodeFields{message("metadata", 1, kMetadata), message("spec", 2, kNodeSpec)};

constexpr std::array kListMetadataFields{text("resourceVersion", 2), text("continue", 3)};
constexpr MessageSchema kListMetadata{kListMetadataFields};
constexpr std::array kMetadataOnlyFields{message("metadata", 1, kMetadata)};
constexpr std::array kServiceListFields{message("metadata", 1, kListMetadata),
                                        messages("items", 2, kServiceMessage)};
constexpr std::array kEndpointSliceListFields{message("metadata", 1, kListMetadata),
                                              messages("items", 2, kEndpointSliceMessage)};
constexpr std::array kNodeListFields{message("metadata", 1, kListMetadata),
                                     messages("items", 2, kNodeMessage)};

constexpr std::array kStatusDetailsFields{number("retryAfterSeconds", 5)};
constexpr MessageSchema kStatusDetails{kStatusDetailsFields};
constexpr std::array kStatusFields{text("message", 3), text("reason", 4),
                                   message("details", 5, kStatusDetails), number("code", 6)};

std::string_view text_of(protozero::pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

constexpr std::uint32_t length_delimited(std::uint32_t number) {
  return protozero::tag_and_type(number, protozero::pbf_wire_type::length_delimited);
}

}  // namespace

const MessageSchema kServiceMessage{kServiceFields};
const MessageSchema kEndpointSliceMessage{kEndpointSliceFields};
const MessageSchema kNodeMessage{kNodeFields};
const MessageSchema kMetadataOnlyMessage{kMetadataOnlyFields};
const MessageSchema kServiceListMessage{kServiceListFields};
const MessageSchema kEndpointSliceListMessage{kEndpointSliceListFields};
const MessageSchema kNodeListMessage{kNodeListFields};
const MessageSchema kStatusMessage{kStatusFields};

const FieldSchema* MessageSchema::find(std::string_view name) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [name](const FieldSchema& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

ProtobufMessage::ProtobufMessage(std::string_view bytes, const MessageSchema& schema)
    : bytes_(bytes), schema_(&schema) {
  protozero::pbf_reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    std::size_t at = 0;
    while (at < schema.fields.size() && schema.fields[at].number != reader.tag()) ++at;
    if (at == schema.fields.size() || reader.wire_type() != wire_type_of(schema.fields[at])) {
      reader.skip();
      continue;
    }
    const ProtobufValue value = read(reader, schema.fields[at]);
    present_ |= 1U << at;
    if (is_number(schema.fields[at])) {
      last_[at].number = value.number;
    } else {
      last_[at].bytes = {static_cast<std::uint32_t>(value.bytes.data() - bytes.data()),
                         static_cast<std::uint32_t>(value.bytes.size())};
    }
  }
}

std::optional<ProtobufValue> ProtobufMessage::last(const FieldSchema& field) const {
  const auto at = static_cast<std::size_t>(&field - schema_->fields.data());
  if ((present_ >> at & 1U) == 0) return std::nullopt;
  if (is_number(field)) return ProtobufValue{&field, {}, last_[at].number};
  return ProtobufValue{&field, bytes_.substr(last_[at].bytes.begin, last_[at].bytes.size), 0};
}

std::pair<std::string_view, std::string_view> open_entry(std::string_view bytes) {
  std::pair<std::string_view, std::string_view> entry;
  protozero::pbf_reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    if (reader.tag_and_type() == length_delimited(1)) {
      entry.first = text_of(reader);
    } else if (reader.tag_and_type() == length_delimited(2)) {
      entry.second = text_of(reader);
    } else {
      reader.skip();
    }
  }
  return entry;
}

bool is_protobuf(std::string_view bytes) { return bytes.starts_with(kMagic); }

// runtime.Unknown and its TypeMeta.
ProtobufEnvelope open_envelope(std::string_view bytes) {
  ProtobufEnvelope envelope;
  bytes.remove_prefix(kMagic.size());
  protozero::pbf_reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    if (reader.tag_and_type() == length_delimited(1)) {
      protozero::pbf_reader type = reader.get_message();
      while (type.next()) {
        if (type.tag_and_type() == length_delimited(1)) {
          envelope.api_version = text_of(type);
        } else if (type.tag_and_type() == length_delimited(2)) {
          envelope.kind = text_of(type);
        } else {
          type.skip();
        }
      }
    } else if (reader.tag_and_type() == length_delimited(2)) {
      envelope.message = text_of(reader);
    } else {
      reader.skip();
    }
  }
  return envelope;
}

// meta/v1.WatchEvent and its RawExtension.
ProtobufEvent open_event(std::string_view frame) {
  ProtobufEvent event;
  protozero::pbf_reader reader(frame.data(), frame.size());
  while (reader.next()) {
    if (reader.tag_and_type() == length_delimited(1)) {
      event.type = text_of(reader);
    } else if (reader.tag_and_type() == length_delimited(2)) {
      protozero::pbf_reader object = reader.get_message();
      while (object.next(1, protozero::pbf_wire_type::length_delimited)) {
        event.object = text_of(object);
      }
    } else {
      reader.skip();
    }
  }
  return event;
}

}  // namespace topolb::kube
