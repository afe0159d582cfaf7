// SPDX-License-Identifier: Apache-2.0
// A reflector of Services on a scripted API, with a clock and luck of the test's own. Changes
// become words: "+a" put, "-a" removed, "~a" kept as it was, "=" synced.
#pragma once

#include <fmt/format.h>

#include <memory>

#include "kube/reflector.h"
#include "scripted_api.h"

namespace topolb::kube {

inline std::string service_json(
    const std::string& name, const std::string& version,
    const std::string& extra = R"("apiVersion":"v1","kind":"Service",)") {
  return fmt::format(R"({{{}"metadata":{{"namespace":"n","name":"{}","resourceVersion":"{}"}},)"
                     R"("spec":{{"clusterIP":"10.96.0.1","ports":[{{"port":80}}]}}}})",
                     extra, name, version);
}

inline std::string list_json(const std::string& version, const std::vector<std::string>& items,
                             const std::string& continue_token = "") {
  return fmt::format(
      R"({{"kind":"ServiceList","apiVersion":"v1","metadata":{{"resourceVersion":"{}",)"
      R"("continue":"{}"}},"items":[{}]}})",
      version, continue_token, fmt::join(items, ","));
}

inline std::string event_line(const std::string& type, const std::string& object) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object);
}

inline std::string bookmark_line(const std::string& version, bool initial_events_end = false) {
  const char* annotations =
      initial_events_end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "";
  return event_line("BOOKMARK", fmt::format(R"({{"kind":"Service","apiVersion":"v1","metadata":)"
                                            R"({{"resourceVersion":"{}"{}}}}})",
                                            version, annotations));
}

inline std::string status_json(int code, const std::string& message) {
  return fmt::format(
      R"({{"kind":"Status","apiVersion":"v1","status":"Failure","code":{},"message":"{}"}})", code,
      message);
}

class ReflectorTest : public testing::Test {
 protected:
  ReflectorTest() { make_reflector("1.30"); }

  /// A server of that version has answered /version already.
  void make_reflector(const std::string& version) {
    ReflectorOptions options;
    options.label_selector = "!x";
    reflector = std::make_unique<Reflector>(
        options, Reflector::Environment{api, [this] { return now; }, [] { return 0.5; },
                                        [this](std::vector<Change> changes) { note(changes); }});
    api.answers.push_front(
        {200, {fmt::format(R"({{"major":"1","minor":"{}"}})", version.substr(2))}});
  }

  std::chrono::milliseconds step() { return reflector->step(std::stop_token()); }

  /// One step with this answer; returns what changed.
  std::string step(Answer answer) {
    api.answers.push_back(std::move(answer));
    words.clear();
    wait = step();
    return words;
  }
  /// A list of a=1 and b=2 as of version 10, and nothing noted of it.
  void start_with_a_and_b() {
    ASSERT_EQ(step({200, {list_json("10", {service_json("a", "1"), service_json("b", "2")})}}),
              "+a +b =");
    words.clear();
  }

  [[nodiscard]] const std::string& last_target() const { return api.requests.back().target; }

  ScriptedApi api;
  std::chrono::steady_clock::time_point now;
  std::chrono::milliseconds wait{};
  std::string words;
  unsigned times_told = 0;
  std::unique_ptr<Reflector> reflector;

 private:
  void note(const std::vector<Change>& changes) {
    ++times_told;
    for (const Change& change : changes) {
      std::string word;
      if (const auto* put = std::get_if<Put>(&change)) word = "+" + put->object.id.key.name;
      if (const auto* removed = std::get_if<Remove>(&change)) word = "-" + removed->id.key.name;
      if (std::holds_alternative<Synced>(change)) word = "=";
      if (const auto* keep = std::get_if<Keep>(&change)) {
        if (keep->id.key.name.empty() && keep->problems.empty()) continue;
        word = "~" + keep->id.key.name;
      }
      words += (words.empty() ? "" : " ") + word;
    }
  }
};

}  // namespace topolb::kube
