// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig_section.h"

#include <fmt/format.h>

namespace topolb::kube {
namespace {

std::string text_of(const simdjson::dom::element& value, const std::string& place) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) fail_field(place, "must be a string");
  return std::string(text);
}

}  // namespace

void fail_field(const std::string& where, const std::string& what) {
  throw FieldError{where.empty() ? what : where + ": " + what};
}

Section::Section(Value value, std::string where) : where_(std::move(where)) {
  if (!value) return;
  simdjson::dom::object object;
  if (value->get_object().get(object) != simdjson::SUCCESS) fail_field(where_, "must be a mapping");
  object_ = object;
}

Section::Value Section::child(const std::string& field) const {
  Value found;
  if (!object_) return found;
  // Of a key that is there twice the last one counts.
  for (const auto& [key, value] : *object_) {
    if (key == field) found = value;
  }
  return found && found->is_null() ? std::nullopt : found;
}

std::string Section::text(const std::string& field) const {
  const auto found = child(field);
  return found ? text_of(*found, place(field)) : "";
}

std::string Section::required(const std::string& field) const {
  std::string value = text(field);
  if (value.empty()) fail_field(place(field), "missing");
  return value;
}

bool Section::flag(const std::string& field) const {
  const auto found = child(field);
  bool value = false;
  if (found && found->get_bool().get(value) != simdjson::SUCCESS) {
    fail_field(place(field), "must be true or false");
  }
  return value;
}

std::vector<simdjson::dom::element> Section::list(const std::string& field) const {
  const auto found = child(field);
  if (!found) return {};
  simdjson::dom::array array;
  if (found->get_array().get(array) != simdjson::SUCCESS)
    fail_field(place(field), "must be a list");
  return {array.begin(), array.end()};
}

std::vector<std::string> Section::texts(const std::string& field) const {
  std::vector<std::string> texts;
  for (const auto& element : list(field)) texts.push_back(text_of(element, place(field)));
  return texts;
}

std::optional<Section> Section::named(const std::string& field, const std::string& name,
                                      const std::string& body) const {
  for (const auto& entry : list(field)) {
    const Section candidate(entry, place(field));
    if (candidate.text("name") != name) continue;
    return Section(candidate.child(body), fmt::format("{}[{}].{}", place(field), name, body));
  }
  return std::nullopt;
}

}  // namespace topolb::kube
