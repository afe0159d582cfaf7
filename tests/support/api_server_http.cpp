// SPDX-License-Identifier: Apache-2.0
#include "api_server_http.h"

#include <cpprest/base_uri.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <sstream>

namespace topolb::test {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::string ServerRequest::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found != query.end() ? found->second : "";
}

std::string ServerRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found != headers.end() ? found->second : "";
}

std::optional<ServerRequest> read_request(TlsConnection& connection) {
  const auto first = connection.read_line();
  if (!first) return std::nullopt;
  ServerRequest request;
  std::istringstream words(*first);
  if (!(words >> request.method >> request.target >> request.version)) return std::nullopt;
  const web::uri uri(request.target);
  request.path = web::uri::decode(uri.path());
  for (const auto& [name, value] : web::uri::split_query(uri.query())) {
    request.query[web::uri::decode(name)] = web::uri::decode(value);
  }
  while (true) {
    const auto line = connection.read_line();
    if (!line) return std::nullopt;
    if (line->empty()) break;
    const auto colon = line->find(':');
    const auto start = line->find_first_not_of(' ', colon + 1);
    request.headers[lower(line->substr(0, colon))] =
        start == std::string::npos ? "" : line->substr(start);
  }
  const std::string length = request.header("content-length");
  if (length.empty()) return request;
  auto body = connection.read_bytes(std::stoul(length));
  if (!body) return std::nullopt;
  request.body = std::move(*body);
  return request;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

bool ResponseWriter::send(int status, const std::string& body_text,
                          const std::string& extra_header) {
  const std::string head = fmt::format(
      "HTTP/1.1 {} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n",
      status, body_text.size(), extra_header.empty() ? "" : extra_header + "\r\n");
  return connection_.write(head) && body(body_text);
}

bool ResponseWriter::begin() {
  return connection_.write(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

bool ResponseWriter::piece(std::string_view bytes) {
  return connection_.write(fmt::format("{:x}\r\n", bytes.size())) && body(bytes) &&
         connection_.write("\r\n");
}

bool ResponseWriter::end() { return connection_.write("0\r\n\r\n"); }

bool ResponseWriter::body(std::string_view bytes) {
  const bool strikes = fault_.cut && sent_ + bytes.size() >= *fault_.cut;
  if (strikes) bytes = bytes.substr(0, *fault_.cut - sent_);
  sent_ += bytes.size();
  if (fault_.per_byte.count() == 0) {
    connection_.write(bytes);
  } else {
    for (const char& byte : bytes) {
      if (!connection_.write({&byte, 1})) break;
      std::this_thread::sleep_for(fault_.per_byte);
    }
  }
  if (strikes) strike();
  return !strikes && connection_.is_open();
}

void ResponseWriter::strike() {
  if (fault_.stall) {
    // Until the client, or the server's stop, ends it.
    connection_.read_line();
  }
  connection_.break_off();
}

}  // namespace topolb::test
