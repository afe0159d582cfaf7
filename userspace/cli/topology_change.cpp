// SPDX-License-Identifier: Apache-2.0
#include "cli/topology_change.h"

#include <fmt/format.h>

#include <utility>

#include "cli/table.h"
#include "cli/topology_keys_text.h"
#include "kube/api_call.h"

namespace topolb::cli {
namespace {

using kube::KeysField;

constexpr int kBadRequest = 400;
constexpr int kUnprocessable = 422;

/// With the keys as they are written, also where the Service is not served.
core::Service service_of(const kube::ServiceObject& object) {
  core::Service service = object.service.value_or(core::Service{});
  service.key = object.key;
  service.topology_keys_annotation = object.topology_keys_annotation;
  service.topology_keys_spec = object.topology_keys_spec;
  return service;
}

/// Whether the annotation decides: it is not blank.
bool is_annotated(const core::Service& service) {
  if (!service.topology_keys_annotation) return false;
  const auto keys = core::parse_topology_keys(*service.topology_keys_annotation);
  return !keys || !keys->empty();
}

std::string source_words(std::string_view source) {
  return source == "spec" ? "spec.topologyKeys"
                          : fmt::format("annotation {}", core::kTopologyKeysAnnotation);
}

std::string written(const kube::ServiceObject& object, std::string_view source) {
  return source == "annotation" ? *object.topology_keys_annotation
                                : keys_text(object.topology_keys_spec);
}

std::string command_text(std::string_view verb, const core::ObjectKey& key) {
  return fmt::format("topolb topology {} {}/{}", verb, key.namespace_name, key.name);
}

}  // namespace

KeysDescription describe_keys(const core::Service& service) {
  KeysDescription description;
  description.source = is_annotated(service)                 ? "annotation"
                       : !service.topology_keys_spec.empty() ? "spec"
                                                             : "none";
  description.judged = core::topology_keys_of(service);
  description.keys = description.judged.keys;
  return description;
}

Json to_json(const KeysDescription& description) {
  const auto& judged = description.judged;
  return Json::Object{{"source", description.source},
                      {"keys", Json(description.keys)},
                      {"valid", judged.valid()},
                      {"reason", judged.valid() ? Json() : Json(judged.problem_reason)},
                      {"message", judged.valid() ? Json() : Json(judged.problem_message)}};
}

std::string keys_line(const KeysDescription& description) {
  const auto text = description.judged.valid()
                        ? keys_text(description.keys)
                        : fmt::format("invalid: {}", description.judged.problem_rule);
  return description.source == "spec" ? text + " (spec.topologyKeys)" : text;
}

void print_keys(std::ostream& out, const kube::ServiceObject& object) {
  const auto service = service_of(object);
  const auto keys = describe_keys(service);
  Table facts({{""}, {""}});
  facts.row(
      {std::string("Service"), fmt::format("{}/{}", object.key.namespace_name, object.key.name)});
  std::string label = "Topology keys";
  if (keys.source == "none") facts.row({label, std::string("none")});
  if (!keys.judged.valid()) facts.row({label, written(object, keys.source)});
  for (const auto& key : keys.keys) facts.row({std::exchange(label, ""), key});
  if (keys.source != "none") {
    facts.row({std::string("From"), source_words(keys.source)});
    facts.row({std::string("Valid"),
               keys.judged.valid() ? "yes" : fmt::format("no: {}", keys.judged.problem_message)});
  }
  if (keys.source == "annotation" && !service.topology_keys_spec.empty()) {
    facts.row({std::string("Not used"),
               fmt::format("spec.topologyKeys: {}", keys_text(service.topology_keys_spec))});
  }
  if (!keys.keys.empty() && service.internal_local) {
    facts.row({std::string("Ignored"),
               std::string("for the cluster IP: internalTrafficPolicy is Local")});
  }
  facts.print(out);
}

void print_keys_json(std::ostream& out, const kube::ServiceObject& object) {
  const auto keys = describe_keys(service_of(object));
  JsonDocument document(out);
  document.member("namespace", object.key.namespace_name);
  document.member("name", object.key.name);
  document.member("source", keys.source);
  document.member("keys", Json(keys.keys));
  document.member("valid", keys.judged.valid());
  document.member("reason", keys.judged.valid() ? Json() : Json(keys.judged.problem_reason));
  document.member("message", keys.judged.valid() ? Json() : Json(keys.judged.problem_message));
  document.member("annotation", object.topology_keys_annotation
                                    ? Json(*object.topology_keys_annotation)
                                    : Json());
  document.member("spec", Json(object.topology_keys_spec));
  document.member("served", object.service.has_value());
}

core::Service TopologyChange::before() const { return service_of(object); }

core::Service TopologyChange::after() const {
  core::Service service = service_of(object);
  if (keys.field == KeysField::Spec) {
    service.topology_keys_spec = keys.keys;
  } else if (keys.keys.empty()) {
    service.topology_keys_annotation.reset();
  } else {
    service.topology_keys_annotation = kube::annotation_text(keys.keys);
  }
  return service;
}

bool TopologyChange::changes() const {
  if (keys.field == KeysField::Spec) return keys.keys != object.topology_keys_spec;
  const auto& annotation = object.topology_keys_annotation;
  if (keys.keys.empty() || !annotation) return !keys.keys.empty() || annotation;
  return core::parse_topology_keys(*annotation) != keys.keys;
}

std::string TopologyChange::judge() const {
  const auto service = before();
  const bool annotated = is_annotated(service);
  if (keys.keys.empty()) {
    const bool only_in_spec = keys.field == KeysField::Annotation &&
                              !object.topology_keys_annotation &&
                              !service.topology_keys_spec.empty();
    if (!only_in_spec) return {};
    return fmt::format("the keys are in spec.topologyKeys: {} --spec",
                       command_text("unset", object.key));
  }
  if (keys.field == KeysField::Spec && annotated) {
    return fmt::format("the annotation {} wins over spec.topologyKeys: first, {}",
                       core::kTopologyKeysAnnotation, command_text("unset", object.key));
  }
  return core::topology_keys_of(after()).problem_rule;
}

bool TopologyChange::is_in(const kube::ServiceObject& answer) const {
  if (keys.field == KeysField::Spec) return answer.topology_keys_spec == keys.keys;
  return !TopologyChange{answer, keys}.changes();
}

std::string TopologyChange::not_taken() const {
  if (keys.field == KeysField::Annotation) {
    return fmt::format("the API server has taken the change without the annotation {}",
                       core::kTopologyKeysAnnotation);
  }
  return "this cluster has no spec.topologyKeys, which went away in Kubernetes 1.22: leave --spec "
         "out, to use the annotation";
}

std::string TopologyChange::explain(const Error& refusal) const {
  const int status = kube::api_status_of(refusal);
  const bool refused = status == kBadRequest || status == kUnprocessable;
  const bool no_such_field = refused && keys.field == KeysField::Spec &&
                             refusal.what.find("spec.topologyKeys") != std::string::npos;
  return no_such_field ? not_taken() : "";
}

}  // namespace topolb::cli
