// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace topolb::kube {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kSeparator = "---";

enum class Expect : std::uint8_t { Value, FirstValue, FirstKey, Key, Colon, CommaOrEnd };

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  Result<std::vector<JsonText>> split();

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size()); }
  // Each scan function: "" or what was expected at at_.
  std::string_view scan_document();
  std::string_view scan_token();
  std::string_view scan_value();
  std::string_view scan_string();
  std::string_view scan_word();
  std::string_view close(char bracket);
  void open(char bracket, Expect expect);
  std::size_t line_at(std::size_t position);

  std::string_view text_;
  std::size_t at_ = 0;
  std::string open_;  // brackets not closed yet
  Expect expect_ = Expect::Value;
  std::size_t line_ = 1;     // of the position counted_
  std::size_t counted_ = 0;  // never past the document that is being scanned
};

// Counts on from the last call, so that many documents do not cost a pass over the text each.
std::size_t JsonScanner::line_at(std::size_t position) {
  line_ +=
      static_cast<std::size_t>(std::count(text_.data() + counted_, text_.data() + position, '\n'));
  counted_ = position;
  return line_;
}

void JsonScanner::open(char bracket, Expect expect) {
  open_ += bracket;
  expect_ = expect;
  ++at_;
}

std::string_view JsonScanner::close(char bracket) {
  if (open_.back() != bracket) {
    return open_.back() == '{' ? "expected , or }" : "expected , or ]";
  }
  open_.pop_back();
  expect_ = Expect::CommaOrEnd;
  ++at_;
  return "";
}

std::string_view JsonScanner::scan_string() {
  if (text_[at_] != '"') return "expected a string as key";
  const std::size_t begin = at_++;
  while (!at_end() && text_[at_] != '"' && text_[at_] != '\n') {
    at_ += text_[at_] == '\\' && at_ + 1 < text_.size() ? 2 : 1;
  }
  if (at_end() || text_[at_] == '\n') {
    at_ = begin;
    return "a string that is never closed";
  }
  ++at_;
  return "";
}

// A number, true, false or null.
std::string_view JsonScanner::scan_word() {
  const std::size_t end = std::min(text_.find_first_of(" \t\r\n,:]}[{\"", at_), text_.size());
  const std::string_view word = text_.substr(at_, end - at_);
  const bool is_number = !word.empty() && (word[0] == '-' || (word[0] >= '0' && word[0] <= '9'));
  if (!is_number && word != "true" && word != "false" && word != "null") return "expected a value";
  at_ = end;
  return "";
}

std::string_view JsonScanner::scan_value() {
  expect_ = Expect::CommaOrEnd;
  switch (text_[at_]) {
    case '{':
      open('{', Expect::FirstKey);
      return "";
    case '[':
      open('[', Expect::FirstValue);
      return "";
    case '"':
      return scan_string();
    default:
      return scan_word();
  }
}

std::string_view JsonScanner::scan_token() {
  const char c = text_[at_];
  switch (expect_) {
    case Expect::FirstValue:
      return c == ']' ? close('[') : scan_value();
    case Expect::Value:
      return scan_value();
    case Expect::FirstKey:
      if (c == '}') return close('{');
      [[fallthrough]];
    case Expect::Key:
      expect_ = Expect::Colon;
      return scan_string();
    case Expect::Colon:
      if (c != ':') return "expected :";
      expect_ = Expect::Value;
      ++at_;
      return "";
    case Expect::CommaOrEnd:
      if (c == '}' || c == ']') return close(c == '}' ? '{' : '[');
      if (c != ',') return open_.back() == '{' ? "expected , or }" : "expected , or ]";
      expect_ = open_.back() == '{' ? Expect::Key : Expect::Value;
      ++at_;
      return "";
  }
  return "";
}

std::string_view JsonScanner::scan_document() {
  expect_ = Expect::Value;
  do {
    skip_blanks();
    if (at_end())
      return open_.back() == '{' ? "a { that is never closed" : "a [ that is never closed";
    if (const auto failure = scan_token(); !failure.empty()) return failure;
  } while (!open_.empty());
  return "";
}

Result<std::vector<JsonText>> JsonScanner::split() {
  std::vector<JsonText> documents;
  for (skip_blanks(); !at_end(); skip_blanks()) {
    if (text_.substr(at_).starts_with(kSeparator)) {
      at_ += kSeparator.size();
      continue;
    }
    const std::size_t begin = at_;
    const std::size_t line = line_at(begin);
    if (const auto failure = scan_document(); !failure.empty()) {
      const std::size_t line_begin = at_ == 0 ? 0 : text_.rfind('\n', at_ - 1) + 1;
      return Error{
          {}, fmt::format("line {} column {}: {}", line_at(at_), at_ - line_begin + 1, failure)};
    }
    documents.push_back({text_.substr(begin, at_ - begin), line});
  }
  return documents;
}

}  // namespace

Result<std::vector<JsonText>> split_json(std::string_view text) {
  return JsonScanner(text).split();
}

}  // namespace topolb::kube
