// SPDX-License-Identifier: Apache-2.0
// Typed access to the fields of an object, in JSON or in protobuf. Every field that has a wrong
// type or value becomes a Problem that names the field, what it is and what it should be; the
// caller goes on with the fallback. As in Kubernetes' JSON: null is the same as absent, and of a
// duplicate key the last one counts. Internal to the decoder.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "kube/protobuf_message.h"

namespace topolb::kube {

inline constexpr std::string_view kInvalidObject = "InvalidObject";
inline constexpr std::string_view kInvalidPort = "InvalidPort";
inline constexpr std::string_view kInvalidAddress = "InvalidAddress";
inline constexpr std::string_view kUnsupportedVersion = "UnsupportedVersion";
inline constexpr std::string_view kPortNumber = "a port number from 1 to 65535";

/// Where a value is: "spec.ports[1].port". Refers to its parents, which must outlive it; the text
/// is made only when a problem needs it.
class FieldPath {
 public:
  FieldPath() = default;
  FieldPath(const FieldPath& parent, std::string_view key) : parent_(&parent), key_(key) {}
  FieldPath(const FieldPath& parent, std::size_t index)
      : parent_(&parent), index_(index), is_index_(true) {}

  [[nodiscard]] std::string to_string() const;

 private:
  const FieldPath* parent_ = nullptr;  // null: the object itself
  std::string_view key_;
  std::size_t index_ = 0;
  bool is_index_ = false;
};

/// A field's value. Must not outlive the document.
class Value {
 public:
  Value(const simdjson::dom::element& json) : json_(json) {}
  explicit Value(const ProtobufValue& protobuf) : protobuf_(protobuf) {}

  [[nodiscard]] std::optional<std::string_view> text() const;
  [[nodiscard]] std::optional<std::int64_t> number() const;
  [[nodiscard]] std::optional<bool> truth() const;
  /// For a message: a text quoted and shortened, a number, "a list", "an object", ...
  [[nodiscard]] std::string describe() const;

 private:
  friend class Fields;
  [[nodiscard]] bool is_protobuf() const { return protobuf_.field != nullptr; }
  [[nodiscard]] bool is(FieldType type) const {
    return protobuf_.field != nullptr && protobuf_.field->type == type;
  }

  simdjson::dom::element json_;
  ProtobufValue protobuf_;
};

/// Collects the problems of one object.
class ProblemSink {
 public:
  /// `identity` gives kind, namespace and name to every problem.
  explicit ProblemSink(core::Problem identity) : identity_(std::move(identity)) {}

  void add(std::string_view reason, std::string message);
  /// "<path> is <value>, not <expected>".
  void add_unexpected(std::string_view reason, const FieldPath& path, const Value& value,
                      std::string_view expected);
  [[nodiscard]] std::size_t count() const { return problems_.size(); }
  [[nodiscard]] std::vector<core::Problem> take() { return std::move(problems_); }

 private:
  core::Problem identity_;
  std::vector<core::Problem> problems_;
};

/// The fields of one object. Must not outlive its parent, nor the document. Keys are JSON's names.
class Fields {
 public:
  Fields(simdjson::dom::object object, FieldPath path, ProblemSink& sink,
         std::string_view reason = kInvalidObject)
      : json_(object), path_(path), sink_(&sink), reason_(reason) {}
  Fields(const ProtobufMessage& message, FieldPath path, ProblemSink& sink,
         std::string_view reason = kInvalidObject)
      : protobuf_(message), path_(path), sink_(&sink), reason_(reason) {}
  /// The fields of a value; none when it is no object.
  static std::optional<Fields> of(const Value& value, FieldPath path, ProblemSink& sink,
                                  std::string_view reason = kInvalidObject);

  /// The same object, as a document of its own if `path` is empty.
  [[nodiscard]] Fields told_to(ProblemSink& sink, FieldPath path) const {
    Fields copy = *this;
    copy.sink_ = &sink;
    copy.path_ = path;
    return copy;
  }

  [[nodiscard]] bool is_protobuf() const { return protobuf_.schema() != nullptr; }
  [[nodiscard]] std::optional<Value> find(std::string_view key) const;
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const;
  /// "" when absent or no string.
  [[nodiscard]] std::string_view string(std::string_view key) const;
  /// The index of the field's value in `values`; 0, the default, when it is absent, "" or none
  /// of them.
  [[nodiscard]] std::size_t choice(std::string_view key,
                                   std::initializer_list<std::string_view> values) const;
  /// 0 when absent, 0 or no port number.
  [[nodiscard]] std::uint16_t port_or_zero(std::string_view key) const;
  /// None when absent or no object.
  [[nodiscard]] std::optional<Fields> child(std::string_view key) const;

  /// Whether the key is there, even with the value null; a list in protobuf always is.
  [[nodiscard]] bool has(std::string_view key) const;
  /// Absent counts as a list.
  [[nodiscard]] bool is_list(std::string_view key) const;
  /// How many elements a list has; 0 when absent or no list.
  [[nodiscard]] std::size_t list_size(std::string_view key) const;
  using ElementVisitor = std::function<void(const Value&, const FieldPath&)>;
  /// Every element of a list, in order; nothing when it is absent or no list.
  void for_each_element(std::string_view key, const ElementVisitor& visit) const;
  /// Every element of a list of objects; wrong ones are told with `reason`, which also becomes
  /// the reason of everything wrong inside.
  void for_each_object(std::string_view key, std::string_view reason,
                       const std::function<void(const Fields&)>& visit) const;
  /// Every entry of a map of strings, such as labels. A null value is ""; one that is no string
  /// is told, and visited as none.
  using EntryVisitor = std::function<void(std::string_view, std::optional<std::string_view>)>;
  void for_each_entry(std::string_view key, const EntryVisitor& visit) const;

  [[nodiscard]] const FieldPath& path() const { return path_; }
  [[nodiscard]] ProblemSink& sink() const { return *sink_; }
  [[nodiscard]] std::string_view reason() const { return reason_; }

 private:
  [[nodiscard]] const FieldSchema* schema_of(std::string_view key) const;
  void add_unexpected(std::string_view key, const Value& value, std::string_view expected) const;

  simdjson::dom::object json_;
  ProtobufMessage protobuf_;
  FieldPath path_;
  ProblemSink* sink_;
  std::string_view reason_;
};

/// Reads an address; what is none, or is the unspecified one, is told as InvalidAddress.
std::optional<IpAddress> decode_address(const Value& value, const FieldPath& path,
                                        ProblemSink& sink);

/// The field "protocol"; TCP by default.
Protocol decode_protocol(const Fields& port);

/// UTF-8 without control characters: can be shown as it is.
bool is_one_line(std::string_view text);

/// `text` as a JSON string, shortened: safe in one line of output whatever it holds.
std::string quote(std::string_view text);

}  // namespace topolb::kube
