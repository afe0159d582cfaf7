// SPDX-License-Identifier: Apache-2.0
// The parser's events are written out as JSON text at once: no tree of the whole file is ever
// held, which for yaml-cpp's own nodes would be some twenty times the size of the text.
#include "kube/yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <map>
#include <streambuf>
#include <utility>

#include "kube/decode_fields.h"
#include "kube/json_text.h"
#include "kube/yaml_scalar.h"

namespace topolb::kube {
namespace {

// Lets a stream read a text where it lies.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    // The get area is never written to: putback needs pbackfail, which is not overridden.
    char* const begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

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

[[noreturn]] void fail(const YAML::Mark& mark, const std::string& what) {
  throw YAML::ParserException(mark, what);
}

class JsonWriter : public YAML::EventHandler {
 public:
  explicit JsonWriter(std::string_view yaml) : yaml_(yaml) {}

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override;
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override;

  JsonDocument take() { return {std::move(json_), line_}; }
  [[nodiscard]] const YAML::Mark& last_quoted() const { return last_quoted_; }

 private:
  // A mapping or sequence that is still open.
  struct Level {
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::size_t begin = 0;  // of the value in json_
    bool is_map = false;
    bool key_is_next = false;         // only in a map
    bool merge_is_open = false;       // the value to come is that of "<<"
    std::vector<std::string> merged;  // what "<<" brought in: "key":value,...
  };

  [[nodiscard]] bool key_is_next() const { return !levels_.empty() && levels_.back().key_is_next; }
  void write(const YAML::Mark& mark, const Scalar& scalar);
  void write_key(const YAML::Mark& mark, const Scalar& scalar);
  void begin_level(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map);
  void end_level(char bracket);
  void begin_value();
  void end_value(const YAML::Mark& mark, std::size_t begin);
  void take_merged(const YAML::Mark& mark, std::size_t begin);
  void remember(const YAML::Mark& mark, YAML::anchor_t anchor, const Scalar& value);
  void count_copy(const YAML::Mark& mark, std::size_t bytes);

  std::string_view yaml_;
  std::size_t begin_ = 0;  // of the document in yaml_
  std::size_t line_ = 0;   // the same; 0 before the first
  std::string json_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, Scalar> anchors_;  // of finished nodes; a collection's JSON, no key
  std::size_t copied_bytes_ = 0;              // in all documents
  YAML::Mark last_quoted_ = YAML::Mark::null_mark();  // the last scalar that may be quoted
};

// yaml-cpp begins another document wherever it can make nothing of what follows the last one, and
// may do so forever without getting on.
void JsonWriter::OnDocumentStart(const YAML::Mark& mark) {
  const auto begin = static_cast<std::size_t>(mark.pos);
  const bool is_first = line_ == 0;
  if (!is_first && !yaml_.substr(begin).starts_with("---") &&
      yaml_.substr(begin_, begin - begin_).find("\n...") == std::string_view::npos) {
    fail(mark, "expected --- before another document");
  }
  begin_ = begin;
  line_ = static_cast<std::size_t>(mark.line) + 1;
  json_.clear();
  anchors_.clear();
}

void JsonWriter::count_copy(const YAML::Mark& mark, std::size_t bytes) {
  copied_bytes_ += bytes;
  if (copied_bytes_ > kMaxYamlAliasBytes) fail(mark, "aliases expand to too much text");
}

void JsonWriter::remember(const YAML::Mark& mark, YAML::anchor_t anchor, const Scalar& value) {
  if (anchor == 0) return;
  count_copy(mark, value.json.size());
  anchors_[anchor] = value;
}

// A comma, unless the value is the first of its level or stands behind its key.
void JsonWriter::begin_value() {
  if (levels_.empty() || levels_.back().merge_is_open) return;
  if (json_.size() > levels_.back().begin + 1 && json_.back() != ':') json_ += ',';
}

void JsonWriter::end_value(const YAML::Mark& mark, std::size_t begin) {
  if (levels_.empty() || !levels_.back().is_map) return;
  if (std::exchange(levels_.back().merge_is_open, false)) take_merged(mark, begin);
  levels_.back().key_is_next = true;
}

// Takes the value of "<<" out of the text again: end_level() writes it before the map's own keys,
// so that those win. Of several mappings the first one wins, so it goes last.
void JsonWriter::take_merged(const YAML::Mark& mark, std::size_t begin) {
  const std::string value = json_.substr(begin);
  json_.resize(begin);
  const auto objects = merged_objects(value);
  if (objects.empty() && value != "[]") fail(mark, "<< needs a mapping or a list of mappings");
  for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
    if (*object == "{}") continue;
    levels_.back().merged.emplace_back(object->substr(1, object->size() - 2));
  }
}

void JsonWriter::write_key(const YAML::Mark& mark, const Scalar& scalar) {
  Level& map = levels_.back();
  const bool is_collection = scalar.json.starts_with('{') || scalar.json.starts_with('[');
  if (is_collection || scalar.type == ScalarType::Null) fail(mark, "a key that is no scalar");
  map.key_is_next = false;
  map.merge_is_open = scalar.type == ScalarType::Merge;
  if (map.merge_is_open) return;
  begin_value();
  json_ += json_text(scalar.key);
  json_ += ':';
}

void JsonWriter::write(const YAML::Mark& mark, const Scalar& scalar) {
  if (key_is_next()) return write_key(mark, scalar);
  begin_value();
  const std::size_t begin = json_.size();
  json_ += scalar.json;
  end_value(mark, begin);
}

void JsonWriter::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Scalar null{ScalarType::Null, "null", ""};
  write(mark, null);
  remember(mark, anchor, null);
}

void JsonWriter::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                          const std::string& value) {
  if (tag != "?") last_quoted_ = mark;
  const auto scalar = resolve_scalar(tag, value);
  if (!scalar) fail(mark, fmt::format("{} has no JSON form of its type", json_text(value)));
  write(mark, *scalar);
  remember(mark, anchor, *scalar);
}

void JsonWriter::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end()) fail(mark, "an alias inside the node that it names");
  count_copy(mark, found->second.json.size());
  write(mark, found->second);
}

void JsonWriter::begin_level(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map) {
  if (levels_.size() == kMaxYamlDepth) fail(mark, "nested too deep");
  begin_value();
  levels_.push_back({mark, anchor, json_.size(), is_map, is_map, false, {}});
  json_ += is_map ? '{' : '[';
}

void JsonWriter::end_level(char bracket) {
  const Level level = std::move(levels_.back());
  levels_.pop_back();
  // Only now: what looks like such a key is mostly a bracket that is never closed, and the
  // parser's own words for that are better.
  if (key_is_next()) fail(level.mark, "a key that is no scalar");
  if (!level.merged.empty()) {
    const bool has_own_keys = json_.size() > level.begin + 1;
    json_.insert(level.begin + 1,
                 fmt::format("{}{}", fmt::join(level.merged, ","), has_own_keys ? "," : ""));
  }
  json_ += bracket;
  if (level.anchor != 0) {
    remember(level.mark, level.anchor, {ScalarType::String, json_.substr(level.begin), ""});
  }
  end_value(level.mark, level.begin);
}

void JsonWriter::OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/,
                                 YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  begin_level(mark, anchor, false);
}

void JsonWriter::OnSequenceEnd() { end_level(']'); }

void JsonWriter::OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/,
                            YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  begin_level(mark, anchor, true);
}

void JsonWriter::OnMapEnd() { end_level('}'); }

// yaml-cpp 0.7 takes the end of the text for the end of a quoted scalar if a line break comes
// before it. Only the last one can run into it.
void check_closed(std::string_view yaml, const YAML::Mark& mark) {
  constexpr std::string_view kBlanks = " \t\r\n";
  if (mark.is_null()) return;
  std::size_t at = static_cast<std::size_t>(mark.pos);
  while (at < yaml.size() && (yaml[at] == '!' || yaml[at] == '&')) {
    at = yaml.find_first_not_of(kBlanks, std::min(yaml.find_first_of(kBlanks, at), yaml.size()));
  }
  if (at >= yaml.size() || (yaml[at] != '"' && yaml[at] != '\'')) return;
  const char quote = yaml[at];
  for (++at; at < yaml.size(); ++at) {
    const bool is_escape = quote == '"' ? yaml[at] == '\\' : yaml.substr(at, 2) == "''";
    if (is_escape) {
      ++at;
    } else if (yaml[at] == quote) {
      return;
    }
  }
  fail(mark, "a quoted scalar that is never closed");
}

// The number of the first line that is no UTF-8; 0: all are.
std::size_t first_line_not_utf8(std::string_view yaml) {
  if (simdjson::validate_utf8(yaml.data(), yaml.size())) return 0;
  std::size_t number = 1;
  for (std::size_t begin = 0; begin < yaml.size(); ++number) {
    const std::size_t end = std::min(yaml.find('\n', begin), yaml.size());
    if (!simdjson::validate_utf8(yaml.data() + begin, end - begin)) break;
    begin = end + 1;
  }
  return number;
}

}  // namespace

Result<std::vector<JsonDocument>> yaml_to_json(std::string_view yaml) {
  if (const std::size_t line = first_line_not_utf8(yaml)) {
    return Error{{}, fmt::format("line {}: no valid UTF-8", line)};
  }
  std::vector<JsonDocument> documents;
  try {
    ViewBuffer buffer(yaml);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    JsonWriter writer(yaml);
    while (parser.HandleNextDocument(writer)) {
      JsonDocument document = writer.take();
      if (document.json != "null") documents.push_back(std::move(document));
    }
    check_closed(yaml, writer.last_quoted());
  } catch (const YAML::Exception& exception) {
    // Some name the character that they stumbled over, whatever it is.
    const std::string& words = exception.msg;
    return Error{{},
                 fmt::format("line {} column {}: {}", exception.mark.line + 1,
                             exception.mark.column + 1, is_one_line(words) ? words : quote(words))};
  } catch (const std::exception& exception) {
    return Error{{}, exception.what()};
  }
  return documents;
}

}  // namespace topolb::kube
