// SPDX-License-Identifier: Apache-2.0
// The parser's events are written out as JSON text at once: no tree of the whole file is ever held.
// libyaml is the parser that Kubernetes' own is a translation of, so both take the same texts.
#include "kube/yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml.h>

#include <algorithm>
#include <map>
#include <utility>

#include "kube/json_text.h"
#include "kube/yaml_scalar.h"

namespace topolb::kube {
namespace {

// The objects that a merge key's value names: itself, or the elements of a list. Empty: it is
// neither. `json` is of our own making, so every brace outside a string counts.
std::vector<std::string_view> merged_objects(std::string_view json) {
  if (json.starts_with('{')) return {json};
  std::vector<std::string_view> objects;
  if (!json.starts_with('[')) return objects;
  std::size_t depth = 0;
  std::size_t begin = 0;
  bool in_string = false;
  for (std::size_t i = 1; i + 1 < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (depth++ == 0) begin = i;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      objects.push_back(json.substr(begin, i + 1 - begin));
    }
    const bool is_element = depth == 0 && c != '}' && c != ',';
    if (is_element) return {};
  }
  return objects;
}

std::string at(const yaml_mark_t& mark, std::string_view what) {
  return fmt::format("line {} column {}: {}", mark.line + 1, mark.column + 1, what);
}

std::string text_or_empty(const yaml_char_t* text) {
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

// Takes the events of one text; after the first failure it takes no more.
class JsonWriter {
 public:
  /// False: see failure().
  bool take(const yaml_event_t& event);

  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] std::vector<JsonDocument> take_documents() { return std::move(documents_); }

 private:
  // A mapping or sequence that is still open.
  struct Level {
    yaml_mark_t mark{};
    std::string anchor;
    std::size_t begin = 0;  // of the value in json_
    bool is_map = false;
    bool key_is_next = false;           // only in a map
    bool merge_is_open = false;         // the value to come is that of "<<"
    std::vector<std::string> merged{};  // what "<<" brought in: "key":value,...
  };
  // A finished node that has an anchor.
  struct Anchored {
    std::optional<Scalar> scalar;  // none: a collection
    std::string json;
  };

  bool fail(const yaml_mark_t& mark, std::string_view what);
  [[nodiscard]] bool key_is_next() const { return !levels_.empty() && levels_.back().key_is_next; }
  bool take_scalar(const yaml_event_t& event);
  bool take_alias(const yaml_event_t& event);
  bool begin_level(const yaml_event_t& event, const yaml_char_t* anchor, bool is_map);
  bool end_level();
  bool end_document();
  bool write(const yaml_mark_t& mark, const Anchored& node);
  bool write_key(const yaml_mark_t& mark, const Anchored& node);
  void begin_value();
  bool end_value(const yaml_mark_t& mark, std::size_t begin);
  bool take_merged(const yaml_mark_t& mark, std::size_t begin);
  bool remember(const yaml_mark_t& mark, const std::string& anchor, Anchored node);
  bool count_copy(const yaml_mark_t& mark, std::size_t bytes);

  std::vector<JsonDocument> documents_;
  std::string json_;  // of the document so far
  std::size_t line_ = 1;
  std::vector<Level> levels_;
  std::map<std::string, Anchored> anchors_;
  std::size_t copied_bytes_ = 0;  // in all documents
  std::string failure_;
};

bool JsonWriter::fail(const yaml_mark_t& mark, std::string_view what) {
  failure_ = at(mark, what);
  return false;
}

bool JsonWriter::take(const yaml_event_t& event) {
  switch (event.type) {
    case YAML_DOCUMENT_START_EVENT:
      line_ = event.start_mark.line + 1;
      return true;
    case YAML_DOCUMENT_END_EVENT:
      return end_document();
    case YAML_ALIAS_EVENT:
      return take_alias(event);
    case YAML_SCALAR_EVENT:
      return take_scalar(event);
    case YAML_SEQUENCE_START_EVENT:
      return begin_level(event, event.data.sequence_start.anchor, false);
    case YAML_MAPPING_START_EVENT:
      return begin_level(event, event.data.mapping_start.anchor, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      return end_level();
    default:
      return true;
  }
}

bool JsonWriter::end_document() {
  if (json_ != "null") documents_.push_back({std::move(json_), line_});
  json_.clear();
  anchors_.clear();
  return true;
}

bool JsonWriter::count_copy(const yaml_mark_t& mark, std::size_t bytes) {
  copied_bytes_ += bytes;
  return copied_bytes_ <= kMaxYamlAliasBytes || fail(mark, "aliases expand to too much text");
}

bool JsonWriter::remember(const yaml_mark_t& mark, const std::string& anchor, Anchored node) {
  if (anchor.empty()) return true;
  if (!count_copy(mark, node.json.size())) return false;
  anchors_[anchor] = std::move(node);
  return true;
}

// A comma, unless the value is the first of its level or stands behind its key.
void JsonWriter::begin_value() {
  if (levels_.empty() || levels_.back().merge_is_open) return;
  if (json_.size() > levels_.back().begin + 1 && json_.back() != ':') json_ += ',';
}

bool JsonWriter::end_value(const yaml_mark_t& mark, std::size_t begin) {
  if (levels_.empty() || !levels_.back().is_map) return true;
  levels_.back().key_is_next = true;
  return !std::exchange(levels_.back().merge_is_open, false) || take_merged(mark, begin);
}

// Takes the value of "<<" out of the text again: end_level() writes it before the map's own keys,
// so that those win. Of several mappings the first one wins, so it goes last.
bool JsonWriter::take_merged(const yaml_mark_t& mark, std::size_t begin) {
  const std::string value = json_.substr(begin);
  json_.resize(begin);
  auto objects = merged_objects(value);
  if (objects.empty() && value != "[]") {
    return fail(mark, "<< needs a mapping or a list of mappings");
  }
  std::reverse(objects.begin(), objects.end());
  for (const std::string_view object : objects) {
    if (object != "{}") levels_.back().merged.emplace_back(object.substr(1, object.size() - 2));
  }
  return true;
}

bool JsonWriter::write_key(const yaml_mark_t& mark, const Anchored& node) {
  if (!node.scalar || node.scalar->type == ScalarType::Null) {
    return fail(mark, "a key that is no scalar");
  }
  levels_.back().key_is_next = false;
  levels_.back().merge_is_open = node.scalar->type == ScalarType::Merge;
  if (levels_.back().merge_is_open) return true;
  begin_value();
  json_ += json_text(node.scalar->text);
  json_ += ':';
  return true;
}

bool JsonWriter::write(const yaml_mark_t& mark, const Anchored& node) {
  if (key_is_next()) return write_key(mark, node);
  begin_value();
  const std::size_t begin = json_.size();
  json_ += node.json;
  return end_value(mark, begin);
}

bool JsonWriter::take_scalar(const yaml_event_t& event) {
  const auto& data = event.data.scalar;
  const std::string tag = text_or_empty(data.tag);
  const std::string_view text(reinterpret_cast<const char*>(data.value), data.length);
  const std::string_view implicit_tag = data.plain_implicit != 0 ? kPlainTag : kQuotedTag;
  auto scalar = resolve_scalar(tag.empty() ? implicit_tag : tag, text);
  if (!scalar) {
    return fail(event.start_mark, fmt::format("{} has no JSON form of its type", json_text(text)));
  }
  Anchored node{std::move(scalar), ""};
  node.json = node.scalar->json();
  return write(event.start_mark, node) &&
         remember(event.start_mark, text_or_empty(data.anchor), std::move(node));
}

bool JsonWriter::take_alias(const yaml_event_t& event) {
  const auto found = anchors_.find(text_or_empty(event.data.alias.anchor));
  if (found == anchors_.end()) {
    return fail(event.start_mark, "an alias of no node that is complete");
  }
  return count_copy(event.start_mark, found->second.json.size()) &&
         write(event.start_mark, found->second);
}

bool JsonWriter::begin_level(const yaml_event_t& event, const yaml_char_t* anchor, bool is_map) {
  if (key_is_next()) return fail(event.start_mark, "a key that is no scalar");
  if (levels_.size() == kMaxYamlDepth) return fail(event.start_mark, "nested too deep");
  begin_value();
  levels_.push_back({event.start_mark, text_or_empty(anchor), json_.size(), is_map, is_map});
  json_ += is_map ? '{' : '[';
  return true;
}

bool JsonWriter::end_level() {
  const Level level = std::move(levels_.back());
  levels_.pop_back();
  if (!level.merged.empty()) {
    const bool has_own_keys = json_.size() > level.begin + 1;
    json_.insert(level.begin + 1,
                 fmt::format("{}{}", fmt::join(level.merged, ","), has_own_keys ? "," : ""));
  }
  json_ += level.is_map ? '}' : ']';
  if (!level.anchor.empty() &&
      !remember(level.mark, level.anchor, {std::nullopt, json_.substr(level.begin)})) {
    return false;
  }
  return end_value(level.mark, level.begin);
}

class Parser {
 public:
  explicit Parser(std::string_view yaml) : yaml_(yaml) {
    is_ready_ = yaml_parser_initialize(&parser_) != 0;
    if (!is_ready_) return;
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(yaml.data()),
                                 yaml.size());
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    if (is_ready_) yaml_parser_delete(&parser_);
  }

  /// Gives every event to the writer. False: see failure().
  bool parse(JsonWriter& writer);
  [[nodiscard]] std::string failure() const;

 private:
  std::string_view yaml_;
  yaml_parser_t parser_{};
  bool is_ready_ = false;
};

bool Parser::parse(JsonWriter& writer) {
  bool is_end = !is_ready_;
  while (!is_end) {
    yaml_event_t event{};
    if (yaml_parser_parse(&parser_, &event) == 0) return false;
    is_end = event.type == YAML_STREAM_END_EVENT;
    const bool taken = writer.take(event);
    yaml_event_delete(&event);
    if (!taken) return true;
  }
  return is_ready_;
}

std::string Parser::failure() const {
  if (!is_ready_ || parser_.error == YAML_MEMORY_ERROR) return "out of memory";
  if (parser_.error == YAML_READER_ERROR) {  // has a place in the text, but no mark
    const auto offset = std::min(parser_.problem_offset, yaml_.size());
    const std::string_view before = yaml_.substr(0, offset);
    const auto lines = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    return at({offset, lines, offset - (before.rfind('\n') + 1)}, parser_.problem);
  }
  std::string what = parser_.problem;
  if (parser_.context != nullptr) {
    what += fmt::format(" {}", parser_.context);
    const std::size_t line = parser_.context_mark.line;
    if (line != parser_.problem_mark.line) what += fmt::format(" that begins in line {}", line + 1);
  }
  return at(parser_.problem_mark, what);
}

}  // namespace

Result<std::vector<JsonDocument>> yaml_to_json(std::string_view yaml) {
  JsonWriter writer;
  Parser parser(yaml);
  if (!parser.parse(writer)) return Error{{}, parser.failure()};
  if (!writer.failure().empty()) return Error{{}, writer.failure()};
  return writer.take_documents();
}

}  // namespace topolb::kube
