// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error. Members are spelled like std::expected, so
// that C++23 can turn this into an alias.
#pragma once

#include <string>
#include <system_error>
#include <utility>
#include <variant>

namespace topolb {

/// What failed (`what` names operation and object) and the error code behind it.
struct Error {
  std::error_code code;
  std::string what;

  /// `what`, and the code's own words when there is one.
  [[nodiscard]] std::string message() const { return code ? what + ": " + code.message() : what; }
};

/// Of something that no call of the system has a code for.
[[nodiscard]] inline Error make_error(std::string what) { return {{}, std::move(what)}; }

/// From errno: pass it as read on the line after the failed call.
[[nodiscard]] inline Error errno_error(int errno_value, std::string what) {
  return {std::error_code(errno_value, std::generic_category()), std::move(what)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  [[nodiscard]] bool has_value() const { return !failed_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace topolb
