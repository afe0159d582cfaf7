// SPDX-License-Identifier: Apache-2.0
// What API servers send, in both encodings. Source: Kubernetes API concepts ("Alternate
// representations of resources", "Watch"); protobuf as a real API server has sent it.
#include "kube/decoder.h"

#include <gtest/gtest.h>

#include "decode_text.h"
#include "kube/base64.h"
#include "kube/resource.h"
#include "protobuf_samples.h"
#include "protobuf_text.h"

namespace topolb::kube::test {
namespace {

std::string sample(std::string_view base64) { return base64_decode(base64).value(); }

Result<DecodedDocument> list(std::string_view body, Kind kind) {
  return Decoder().list(body, resource_of(kind, Form::Metadata).lists, kind);
}

Texts texts_of(const DecodedDocument& document) {
  Texts texts = text_of(document.problems);
  for (const DecodedObject& object : document.objects) {
    texts.push_back(text_of(object));
    for (const auto& problem : text_of(object.problems)) texts.push_back(problem);
  }
  return texts;
}

TEST(ProtobufList, OfServices) {
  const auto page = list(sample(kServiceList), Kind::Service);
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(page->list_resource_version, "234");
  EXPECT_EQ(page->list_continue, "");
  EXPECT_EQ(texts_of(*page),
            (Texts{"Service default/kubernetes ips=10.96.0.1 https:443/TCP",
                   "Service default/web ips=10.104.47.100 http:80/TCP@31277 dns:53/UDP@30053 "
                   "external=192.0.2.7 lb=192.0.2.9 ranges=10.0.0.0/8,2001:db8::/32 "
                   "internal-local external-local health@32526 affinity=77 opted-in proxy=x "
                   "annotation=rack, *"}));
  EXPECT_EQ(page->objects[1].resource_version, "232");
}

TEST(ProtobufList, OfEndpointSlices) {
  const auto page = list(sample(kEndpointSliceList), Kind::EndpointSlice);
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(
      texts_of(*page),
      (Texts{"EndpointSlice default/kubernetes of=kubernetes IPv4 https:26443/TCP [192.0.2.1]",
             "EndpointSlice default/web-1 of=web IPv4 http:8080/TCP dns:5353/UDP [10.1.0.1 "
             "node=n1 zone=z1 nodes=[\"n1\"] zones=[\"z1\", \"z2\"]] [10.1.0.2 unready "
             "terminating]"}));
}

TEST(ProtobufList, OfMetadata) {
  const auto page = list(sample(kNodeList), Kind::Node);
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(texts_of(*page), Texts{"Node /n1 e= rack=r1"});
}

TEST(ProtobufList, OfAnotherKindIsNone) {
  const auto page = list(sample(kServiceList), Kind::EndpointSlice);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().what,
            "the answer is a 'v1 ServiceList', not a 'discovery.k8s.io/v1 EndpointSliceList'");
}

// Unknown is not empty: no part of a list may pass for one.
TEST(ProtobufList, CutAnywhereIsNone) {
  const std::string whole = sample(kEndpointSliceList);
  // Behind the message are two empty fields of the envelope.
  for (std::size_t size = 0; size + 4 < whole.size(); ++size) {
    EXPECT_FALSE(list(std::string_view(whole).substr(0, size), Kind::EndpointSlice)) << size;
  }
}

TEST(Status, IsReadInBothEncodings) {
  const auto protobuf = parse_status(sample(kStatus));
  ASSERT_TRUE(protobuf);
  EXPECT_EQ(protobuf->code, 404);
  EXPECT_EQ(protobuf->reason, "NotFound");
  EXPECT_EQ(protobuf->message, "the server could not find the requested resource");
  const auto json = parse_status(R"({"kind":"Status","apiVersion":"v1","code":429,
                                     "reason":"TooManyRequests","message":"later",
                                     "details":{"retryAfterSeconds":7}})");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->code, 429);
  EXPECT_EQ(json->reason, "TooManyRequests");
  EXPECT_EQ(json->message, "later");
  EXPECT_EQ(json->retry_after, std::chrono::seconds(7));
  for (const auto* other : {"", "<html>", "{}", R"({"kind":"Service"})", "k8s\0"}) {
    EXPECT_FALSE(parse_status(other)) << other;
  }
}

/// The events of a stream that comes in pieces of so many bytes, as words.
Texts events_of(std::string_view stream, std::size_t piece_bytes) {
  Texts words;
  Decoder decoder;
  EventSplitter splitter;
  for (std::size_t at = 0; at < stream.size(); at += piece_bytes) {
    const auto fed = splitter.feed(stream.substr(at, piece_bytes), [&](std::string_view bytes) {
      const auto event = decoder.event(bytes, Kind::EndpointSlice);
      if (!event) {
        words.push_back(event.error().what);
      } else if (event->type == WatchEvent::Type::Bookmark) {
        words.push_back("bookmark " + event->resource_version +
                        (event->initial_events_end ? " end" : ""));
      } else if (event->type == WatchEvent::Type::Error) {
        words.push_back("error " + std::to_string(event->status.code));
      } else {
        const bool gone = event->type == WatchEvent::Type::Delete;
        for (const auto& object : event->document.objects) {
          words.push_back((gone ? "-" : "+") + object.id.key.name);
        }
      }
      return true;
    });
    EXPECT_TRUE(fed);
  }
  if (splitter.has_partial_event()) words.push_back("cut");
  return words;
}

TEST(ProtobufWatch, ComesInPiecesOfAnySize) {
  const std::string stream = sample(kSliceStream);
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(events_of(stream, piece), (Texts{"+kubernetes", "+web-1", "bookmark 234 end"}))
        << piece;
  }
  EXPECT_EQ(events_of(stream.substr(0, stream.size() - 1), 16384),
            (Texts{"+kubernetes", "+web-1", "cut"}));
}

TEST(JsonWatch, ComesInPiecesOfAnySize) {
  const std::string stream =
      R"({"type":"ADDED","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1",)"
      R"("metadata":{"name":"a","labels":{"kubernetes.io/service-name":"w"}},"addressType":"IPv4"}})"
      "\n\r\n"
      R"({"type":"DELETED","object":{"metadata":{"name":"a"}}})"
      "\n"
      R"({"type":"ERROR","object":{"kind":"Status","code":410}})"
      "\n"
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}})"
      "\n";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(events_of(stream, piece), (Texts{"+a", "-a", "error 410", "bookmark 7"})) << piece;
  }
  EXPECT_EQ(events_of(stream + "{", 100).back(), "cut");
}

struct BrokenEvent {
  const char* name;
  std::string bytes;
  std::string error;
};

class BrokenEvents : public testing::TestWithParam<BrokenEvent> {};

TEST_P(BrokenEvents, AreTold) {
  const auto event = Decoder().event(GetParam().bytes, Kind::Service);
  ASSERT_FALSE(event);
  EXPECT_NE(event.error().what.find(GetParam().error), std::string::npos) << event.error().what;
}

INSTANTIATE_TEST_SUITE_P(
    Words, BrokenEvents,
    testing::Values(BrokenEvent{"NoJson", "hello", "no complete JSON object"},
                    BrokenEvent{"Cut", R"({"type":"ADDED","object":{)", "no complete JSON object"},
                    BrokenEvent{"NoType", R"({"object":{}})", "no type"},
                    BrokenEvent{"UnknownType", R"({"type":"CREATED","object":{}})",
                                "unknown type 'CREATED'"},
                    BrokenEvent{"NoObject", R"({"type":"ADDED"})", "no object"},
                    BrokenEvent{"BookmarkOfNothing", R"({"type":"BOOKMARK","object":{}})",
                                "bookmark without metadata"},
                    BrokenEvent{"NoEnvelope", "\n\5ADDED", "no object"},
                    BrokenEvent{"CutField", "\n\xffhello", "broken protobuf"},
                    BrokenEvent{"CutLength", "\n\5ADD", "broken protobuf"}),
    [](const auto& tested) { return tested.param.name; });

TEST(EventSplitter, RefusesWhatNoObjectCanBe) {
  EventSplitter splitter;
  EXPECT_FALSE(splitter.feed(std::string("\x08\0\0\0", 4), [](std::string_view) { return true; }));
}

// Whatever bytes come, decoding ends, and with an error or an event.
TEST(ProtobufWatch, SurvivesAnyByteChanged) {
  const auto event = protobuf_event(
      "ADDED", R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},
                   "spec":{"clusterIP":"10.96.0.1","ports":[{"port":80}]}})");
  ASSERT_TRUE(event);
  Decoder decoder;
  std::size_t read = 0;
  for (std::size_t at = 0; at < event->size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = *event;
      changed[at] = static_cast<char>(byte);
      if (decoder.event(changed, Kind::Service)) ++read;
    }
  }
  EXPECT_GT(read, event->size());
}

}  // namespace
}  // namespace topolb::kube::test
