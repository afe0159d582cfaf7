// SPDX-License-Identifier: Apache-2.0
#include "support/packet_judge.h"

#include <algorithm>

namespace topolb::test {
namespace {

constexpr std::uint8_t kAnswerTtl = 64;

std::uint8_t ttl_of(const Bytes& frame, const DissectedIp& ip) {
  return frame[ip.start + (ip.family == Family::IPv4 ? 8 : 7)];
}

/// An answer to the packet: RST or ICMP error, back to where it came from.
std::string judge_answer(const Bytes& frame, const Dissected& packet, const Bytes& answer) {
  const auto back = dissect(answer);
  if (!back) return "an answer that is no whole packet";
  const auto& ip = back->ip;
  if (ip.end != answer.size()) return "an answer with bytes beyond its length";
  if (ip.destination != packet.ip.source) return "an answer to somebody else";
  if (ttl_of(answer, ip) != kAnswerTtl) return "an answer with an odd TTL";
  if (ip.family == Family::IPv4 && sum_of_header(answer, ip) != 0xffff) {
    return "an answer with a wrong IPv4 checksum";
  }
  if (sum_of_transport(answer, ip) != 0xffff) return "an answer with a wrong checksum";
  if (!back->quoted) return ip.protocol == 6 ? "" : "an answer that is no error";
  const auto quoted = answer.begin() + static_cast<std::ptrdiff_t>(back->quoted->start);
  const auto original = frame.begin() + static_cast<std::ptrdiff_t>(packet.ip.start);
  if (answer.end() - quoted > frame.end() - original ||
      !std::equal(quoted, answer.end(), original)) {
    return "an answer that quotes something else";
  }
  return "";
}

std::string judge_sums(const Bytes& frame, const Dissected& packet, const Bytes& translated,
                       const Dissected& to) {
  const bool ipv4 = packet.ip.family == Family::IPv4;
  if (ipv4 && sum_of_header(frame, packet.ip) != sum_of_header(translated, to.ip)) {
    return "another IPv4 checksum";
  }
  if (!packet.ip.is_later_fragment &&
      sum_of_transport(frame, packet.ip) != sum_of_transport(translated, to.ip)) {
    return "another checksum";
  }
  if (ipv4 && packet.quoted &&
      sum_of_header(frame, *packet.quoted) != sum_of_header(translated, *to.quoted)) {
    return "another checksum of the quoted header";
  }
  return "";
}

std::string judge_translation(const Bytes& frame, const Dissected& packet, const Outcome& got) {
  const auto to = dissect(got.frame);
  if (!to || to->ip.family != packet.ip.family ||
      to->quoted.has_value() != packet.quoted.has_value())
    return "no longer a whole packet";
  const bool routed = got.action == kRedirect;
  // Tags belong to the link it came by.
  if (to->ip.start != (routed ? 14 : packet.ip.start)) return "odd tags";
  const auto shift = packet.ip.start - to->ip.start;
  if (got.frame.size() + shift != frame.size()) return "another length";
  if (ttl_of(got.frame, to->ip) + (routed ? 1 : 0) != ttl_of(frame, packet.ip)) return "odd TTL";
  Bytes rest = got.frame;
  for (const auto& [from, end] : translated_bytes(packet)) {
    std::copy(frame.begin() + static_cast<std::ptrdiff_t>(from),
              frame.begin() + static_cast<std::ptrdiff_t>(end),
              rest.begin() + static_cast<std::ptrdiff_t>(from - shift));
  }
  if (!std::equal(rest.begin() + static_cast<std::ptrdiff_t>(to->ip.start), rest.end(),
                  frame.begin() + static_cast<std::ptrdiff_t>(packet.ip.start))) {
    return "something else is changed";
  }
  return judge_sums(frame, packet, got.frame, *to);
}

}  // namespace

bool is_answer(const Bytes& frame, const Outcome& got) {
  return got.action == kRedirect &&
         std::equal(frame.begin(), frame.begin() + 6, got.frame.begin() + 6) &&
         std::equal(frame.begin() + 6, frame.begin() + 12, got.frame.begin());
}

PacketJudge::PacketJudge(const std::vector<core::ServicePortPlan>& plans) {
  for (const char* node : {"192.0.2.10", "2001:db8::10"}) {
    frontends_.insert(*IpAddress::parse(node));
  }
  for (const auto& plan : plans) {
    for (const auto& frontend : plan.frontends) frontends_.insert(frontend.address);
    for (const auto& tier : plan.internal.tiers) {
      for (const auto& backend : tier.backends) backends_.insert(backend.address);
    }
  }
}

bool PacketJudge::may_be_ours(Hook hook, const Dissected& packet) const {
  if (packet.quoted) return true;
  return hook == Hook::Egress ? backends_.contains(packet.ip.source)
                              : frontends_.contains(packet.ip.destination);
}

std::string PacketJudge::judge(Hook hook, const Bytes& frame, const Outcome& got) const {
  if (got.action != kPass && got.action != kDrop && got.action != kRedirect) return "odd verdict";
  if (got.action == kPass && got.frame == frame) return "";
  const auto packet = dissect(frame);
  if (!packet) return "not whole, but not left alone";
  if (!may_be_ours(hook, *packet)) return "none of ours, but not left alone";
  if (got.action == kDrop) return "";
  if (is_answer(frame, got)) return judge_answer(frame, *packet, got.frame);
  return judge_translation(frame, *packet, got);
}

}  // namespace topolb::test
