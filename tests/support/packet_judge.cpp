// SPDX-License-Identifier: Apache-2.0
#include "support/packet_judge.h"

#include <algorithm>

namespace topolb::test {
namespace {

constexpr std::uint8_t kAnswerTtl = 64;
constexpr std::uint8_t kHandedBackTtl = 32;

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

std::size_t header_length(const DissectedIp& ip) { return ip.family == Family::IPv4 ? 20 : 40; }

/// An ICMP error about a wrapped packet, told to the client: the wrapper's header is gone from the
/// quotation, and from the MTU.
std::string judge_told(const Bytes& frame, const Dissected& error, const Bytes& told) {
  const auto to = dissect(told);
  if (!to || !to->quoted) return "told something that is no whole error";
  const auto header = header_length(error.ip);
  const auto head = error.ip.transport;
  const auto told_head = to->ip.transport;
  if (to->ip.source != error.ip.destination || to->ip.destination != to->quoted->source) {
    return "told somebody else";
  }
  if (to->ip.end - told_head != error.ip.end - head - header) return "told of another length";
  if (ttl_of(told, to->ip) != kAnswerTtl) return "told with an odd TTL";
  if (to->ip.family == Family::IPv4 && sum_of_header(told, to->ip) != 0xffff) {
    return "told with a wrong IPv4 checksum";
  }
  if (sum_of_transport(told, to->ip) != sum_of_transport(frame, error.ip)) {
    return "told with another checksum";
  }
  const auto at = [](const Bytes& bytes, std::size_t place) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(place);
  };
  if (!std::equal(at(told, told_head), at(told, told_head + 2), at(frame, head)) ||
      !std::equal(at(told, told_head + 8), at(told, to->ip.end), at(frame, head + 8 + header))) {
    return "told something else";
  }
  // Of ICMP the lower half only (RFC 1191, 4; RFC 4443, 3.2).
  const auto mtu_of = [&](const Bytes& bytes, std::size_t place) {
    std::uint32_t mtu = 0;
    for (auto i = to->ip.family == Family::IPv4 ? 6U : 4U; i < 8; ++i)
      mtu = mtu << 8 | bytes[place + i];
    return mtu;
  };
  const auto mtu = mtu_of(told, told_head);
  if (mtu != 0 && mtu + header != mtu_of(frame, head)) return "another MTU";
  return "";
}

/// As an answer to what the wrapper holds, or its translation.
std::string judge_unwrapped(const Bytes& frame, const Dissected& inner, const Outcome& got) {
  const auto stripped = unwrap(frame);
  auto packet = inner;
  const auto header = packet.ip.start - 14;
  for (auto* ip : {&packet.ip, packet.quoted ? &*packet.quoted : nullptr}) {
    if (ip == nullptr) continue;
    ip->start -= header;
    ip->transport -= header;
    ip->end -= header;
  }
  if (is_answer(frame, got)) return judge_answer(stripped, packet, got.frame);
  return judge_translation(stripped, packet, got);
}

std::string judge_handed_back(const Bytes& frame, const DissectedWrapper& wrapper,
                              const Bytes& got) {
  if (ttl_of(frame, wrapper.outer) <= kHandedBackTtl) return "handed back once more";
  const auto& ip = wrapper.outer;
  const bool ipv4 = ip.family == Family::IPv4;
  const std::size_t size = ipv4 ? 4 : 16;
  const auto source = static_cast<std::ptrdiff_t>(ip.start + (ipv4 ? 12 : 8));
  const auto length = static_cast<std::ptrdiff_t>(size);
  Bytes expected = frame;
  std::swap_ranges(expected.begin() + source, expected.begin() + source + length,
                   expected.begin() + source + length);
  expected[ip.start + (ipv4 ? 8 : 7)] = kHandedBackTtl;
  if (ipv4)
    std::copy_n(got.begin() + static_cast<std::ptrdiff_t>(ip.start) + 10, 2,
                expected.begin() + static_cast<std::ptrdiff_t>(ip.start) + 10);
  if (got != expected) return "handed back as something else";
  return ipv4 && sum_of_header(got, ip) != 0xffff ? "handed back with a wrong checksum" : "";
}

}  // namespace

bool is_answer(const Bytes& frame, const Outcome& got) {
  return got.action == kRedirect &&
         std::equal(frame.begin(), frame.begin() + 6, got.frame.begin() + 6) &&
         std::equal(frame.begin() + 6, frame.begin() + 12, got.frame.begin());
}

bool is_about_wrapper(const DissectedIp& quoted) {
  return quoted.protocol == (quoted.family == Family::IPv4 ? 4 : 41);
}

PacketJudge::PacketJudge(const std::vector<core::ServicePortPlan>& plans, bool dsr) : dsr_(dsr) {
  for (const char* node : {"192.0.2.10", "2001:db8::10"}) nodes_.insert(*IpAddress::parse(node));
  frontends_ = nodes_;
  for (const char* node : {"192.0.2.11", "2001:db8::11"}) {
    if (dsr) frontends_.insert(*IpAddress::parse(node));
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

/// A client's packet, or an ICMP error about a reply to one, on its way to the backend's node.
std::string PacketJudge::judge_wrapped(const Bytes& frame, const Dissected& packet,
                                       const Bytes& wrapped) const {
  const auto wrapper = dissect_wrapper(wrapped);
  if (!wrapper) return "wrapped, but not whole";
  const auto& [outer, inner] = *wrapper;
  const bool ipv4 = outer.family == Family::IPv4;
  const auto header = header_length(outer);
  if (outer.family != packet.ip.family || !nodes_.contains(outer.source) ||
      !backends_.contains(outer.destination)) {
    return "wrapped from or to somebody else";
  }
  if (outer.end != outer.transport + (packet.ip.end - packet.ip.start))
    return "a wrapper of another length";
  if (ttl_of(wrapped, outer) != kAnswerTtl) return "a wrapper with an odd TTL";
  if (ipv4 && sum_of_header(wrapped, outer) != 0xffff) return "a wrapper with a wrong checksum";
  if (ipv4 && (wrapped[outer.start + 6] != 0x40 || wrapped[outer.start + 7] != 0))
    return "a wrapper that may be cut";
  // Type of service and flow label, without the congestion mark.
  const std::uint8_t mark = ipv4 ? 0x03 : 0x30;
  if (wrapped[outer.start + 1] != (frame[packet.ip.start + 1] & ~mark)) return "another class";
  const auto shift = packet.ip.start - 14;
  if (wrapped.size() + shift != frame.size() + header) return "wrapped, and of another length";
  Bytes expected(frame.begin() + static_cast<std::ptrdiff_t>(packet.ip.start), frame.end());
  expected[ipv4 ? 8 : 7] -= 1;
  const auto start = wrapped.begin() + static_cast<std::ptrdiff_t>(outer.transport);
  if (ipv4) std::copy_n(start + 10, 2, expected.begin() + 10);
  if (!std::equal(expected.begin(), expected.end(), start)) return "wrapped something else";
  return ipv4 && sum_of_header(wrapped, inner.ip) != sum_of_header(frame, packet.ip)
             ? "another IPv4 checksum in a wrapper"
             : "";
}

std::string PacketJudge::judge_wrapper(const Bytes& frame, const Outcome& got) const {
  const auto wrapper = dissect_wrapper(frame);
  if (!wrapper) return "not whole, but not left alone";
  const auto& [outer, inner] = *wrapper;
  if (!inner.quoted && !frontends_.contains(inner.ip.destination))
    return "wrapped, and none of ours, but not left alone";
  if (outer.family == Family::IPv4 && sum_of_header(frame, outer) != 0xffff)
    return "a wrapper with a wrong checksum is not left alone";
  if (got.action == kDrop) return "";
  if (got.action == kRedirect && is_wrapped(got.frame))
    return judge_handed_back(frame, *wrapper, got.frame);
  return judge_unwrapped(frame, inner, got);
}

std::string PacketJudge::judge(Hook hook, const Bytes& frame, const Outcome& got) const {
  if (got.action != kPass && got.action != kDrop && got.action != kRedirect) return "odd verdict";
  if (got.action == kPass && got.frame == frame) return "";
  const auto packet = dissect(frame);
  if (!packet && dsr_ && hook == Hook::Ingress && is_wrapped(frame))
    return judge_wrapper(frame, got);
  if (!packet) return "not whole, but not left alone";
  if (!may_be_ours(hook, *packet)) return "none of ours, but not left alone";
  if (got.action == kDrop) return "";
  if (is_answer(frame, got)) return judge_answer(frame, *packet, got.frame);
  // A flow's packets are the same wherever they come in.
  if (dsr_ && hook != Hook::Egress && got.action == kRedirect && is_wrapped(got.frame)) {
    return judge_wrapped(frame, *packet, got.frame);
  }
  if (dsr_ && hook == Hook::Ingress && packet->quoted && is_about_wrapper(*packet->quoted)) {
    return judge_told(frame, *packet, got.frame);
  }
  return judge_translation(frame, *packet, got);
}

}  // namespace topolb::test
