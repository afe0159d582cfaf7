// SPDX-License-Identifier: Apache-2.0
// The only file that knows cpprestsdk. What it works around:
// - Its client has one timeout for everything, and its streams have none: requests are waited for
//   by HttpExchange, with deadlines of our own, and cancelled (which closes the connection).
// - producer_consumer_buffer wakes a reader only when as many bytes as asked for are there, and
//   grows without bound: responses are written to ExchangeBuffer instead.
// - Its gunzip loses data in bodies with a Content-Length: gzip is undone by HttpExchange.
// - Its certificate check: see tls_context.h.
// - No keepalive, and no access to a connected socket: keep_alive() below.
#define _TURN_OFF_PLATFORM_STRING  // its macro U() breaks fmt
#include <cpprest/http_client.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <mutex>

#include "kube/http_exchange.h"
#include "kube/server_url.h"
#include "kube/tls_context.h"
#include "kube/transport.h"

namespace topolb::kube {
namespace {

using web::http::client::http_client;
using web::http::client::http_client_config;
using SslStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;
using Byte = std::uint8_t;

constexpr std::size_t kPoolThreads = 4;  // nothing blocks on them
constexpr std::size_t kMaxClients = 8;
constexpr std::size_t kReadBytes = 16384;  // of a body before it is handed on
constexpr int kKeepAliveIdleSeconds = 15;
constexpr int kKeepAliveIntervalSeconds = 5;
constexpr int kKeepAliveProbes = 3;
constexpr unsigned kUserTimeoutMs = 30000;

/// A write-only stream buffer that hands what it gets to an exchange.
class ExchangeBuffer final : public Concurrency::streams::details::streambuf_state_manager<Byte> {
 public:
  explicit ExchangeBuffer(std::shared_ptr<HttpExchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return traits::eof(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return traits::eof(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return traits::eof();
  }
  bool acquire(Byte*&, size_t&) override { return false; }
  void release(Byte*, size_t) override {}

 protected:
  pplx::task<size_t> _putn(const Byte* bytes, size_t count) override {
    const pplx::task_completion_event<size_t> taken;
    const bool wanted = exchange_->received_body({reinterpret_cast<const char*>(bytes), count},
                                                 [taken, count] { taken.set(count); });
    if (!wanted) {
      return pplx::task_from_exception<size_t>(std::runtime_error("nobody reads this any more"));
    }
    return pplx::create_task(taken);
  }
  pplx::task<int_type> _putc(Byte byte) override {
    return _putn(&byte, 1).then([byte](size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  pplx::task<int_type> _bumpc() override { return no_byte(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return no_byte(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return no_byte(); }
  pplx::task<int_type> _ungetc() override { return no_byte(); }
  pplx::task<size_t> _getn(Byte*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(Byte*, size_t) override { return 0; }
  Byte* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}

 private:
  static pplx::task<int_type> no_byte() { return pplx::task_from_result<int_type>(traits::eof()); }

  std::shared_ptr<HttpExchange> exchange_;
};

int stream_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

void set_socket_options(int fd) {
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveIdleSeconds, sizeof(int));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveIntervalSeconds, sizeof(int));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveProbes, sizeof(int));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof kUserTimeoutMs);
}

/// `handle` is the TLS stream, not yet connected; the socket exists when the handshake starts.
void keep_alive(void* handle) {
  auto* stream = static_cast<SslStream*>(handle);
  SSL* ssl = stream->native_handle();
  SSL_set_ex_data(ssl, stream_index(), stream);
  SSL_set_info_callback(ssl, [](const SSL* connecting, int where, int) {
    if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
    auto* owner = static_cast<SslStream*>(SSL_get_ex_data(connecting, stream_index()));
    if (owner != nullptr) set_socket_options(owner->next_layer().native_handle());
  });
}

/// What went wrong in a task of cpprestsdk. Its error codes are of no use: those of several
/// categories come as bare numbers, and "connection refused" as "host unreachable".
Error error_of(const std::exception& exception, const TlsVerdict& verdict) {
  const std::string_view what = exception.what();
  if (what == "Error in SSL handshake") {
    const std::string reason = verdict.get();
    return {{}, reason.empty() ? "TLS handshake failed" : reason};
  }
  if (what.starts_with("Failed to connect")) return {{}, "connection refused, or no route"};
  if (what.starts_with("Error resolving")) return {{}, "unknown host"};
  static constexpr std::array<std::string_view, 4> kLost = {
      "Retrieving message chunk header", "Failed to read", "Failed to write", "Request canceled"};
  for (const std::string_view lost : kLost) {
    if (what.starts_with(lost)) return {{}, "connection lost"};
  }
  return {{}, std::string(what)};
}

class CpprestTransport final : public Transport {
 public:
  CpprestTransport() {
    static std::once_flag once;
    std::call_once(once, [] {
      try {
        crossplat::threadpool::initialize_with_threads(kPoolThreads);
      } catch (const std::exception&) {
        // The program has set its pool up already.
      }
    });
  }

  Result<HttpResponse> send(const HttpRequest& request, const BodySink& sink,
                            std::stop_token stop) override {
    auto client = client_for(request);
    if (!client) return client.error();
    const auto exchange = std::make_shared<HttpExchange>();
    pplx::cancellation_token_source cancellation;
    try {
      start(**client, request, exchange, cancellation.get_token());
    } catch (const std::exception& exception) {
      return Error{{}, "request " + request.server + request.target + ": " + exception.what()};
    }
    auto response = exchange->wait(request, sink, stop);
    // Done already: no effect. Otherwise: closes the connection.
    if (!response || response->stopped_by_sink) cancellation.cancel();
    return response;
  }

 private:
  struct Client {
    std::string server;
    std::string proxy;
    TlsSettings tls;
    std::string host_header;  // empty: the library's
    std::shared_ptr<TlsVerdict> verdict;
    std::unique_ptr<http_client> http;
  };
  using SharedClient = std::shared_ptr<Client>;

  /// Connections are pooled by client, so each combination of settings has one of its own.
  Result<SharedClient> client_for(const HttpRequest& request) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(clients_, [&](const SharedClient& client) {
      return client->server == request.server && client->proxy == request.proxy &&
             client->tls == request.tls;
    });
    if (found != clients_.end()) return *found;
    if (auto usable = check_tls_settings(request.tls); !usable) return usable.error();
    try {
      if (clients_.size() >= kMaxClients) clients_.erase(clients_.begin());
      clients_.push_back(make_client(request));
      return clients_.back();
    } catch (const std::exception& exception) {
      return Error{{}, "server " + request.server + ": " + exception.what()};
    }
  }

  static SharedClient make_client(const HttpRequest& request) {
    auto client = std::make_shared<Client>();
    client->server = request.server;
    client->proxy = request.proxy;
    client->tls = request.tls;
    client->verdict = std::make_shared<TlsVerdict>();
    const auto url = parse_server_url(request.server);
    if (!url) throw std::runtime_error(url.error().what);
    auto peer = std::make_shared<TlsPeer>();
    peer->settings = request.tls;
    peer->verdict = client->verdict;
    peer->host = url->host;
    client->host_header = request.tls.server_name;
    if (client->host_header.empty() && url->host.find(':') != std::string::npos) {
      client->host_header = fmt::format("[{}]:{}", url->host, url->port);
    }

    http_client_config config;
    config.set_timeout(std::chrono::hours(24 * 365));  // deadlines are the exchange's
    config.set_chunksize(kReadBytes);
    config.set_max_redirects(0);  // would carry the token to wherever the answer says
    // The library takes the Host header for the name, and names only may be sent (RFC 6066).
    config.set_tlsext_sni_enabled(!request.tls.server_name.empty() || !url->is_address());
    config.set_ssl_context_callback([peer](boost::asio::ssl::context& context) {
      if (auto done = configure_tls(context.native_handle(), peer); !done) {
        throw std::runtime_error(done.error().message());
      }
    });
    if (!request.proxy.empty()) {
      config.set_proxy(make_proxy(request.proxy));
    } else if (url->https) {
      config.set_nativehandle_options(keep_alive);
    }
    client->http = std::make_unique<http_client>(library_uri(*url), config);
    return client;
  }

  /// Without brackets: the library hands what stands between scheme and last colon to the
  /// resolver, which does not know them.
  static web::uri library_uri(const ServerUrl& url) {
    return {
        fmt::format("{}://{}:{}{}", url.https ? "https" : "http", url.host, url.port, url.path)};
  }

  static web::web_proxy make_proxy(const std::string& url) {
    const web::uri uri(url);
    web::web_proxy proxy(uri);
    const std::string& user = uri.user_info();
    if (!user.empty()) {
      const auto colon = user.find(':');
      const std::string password = colon == std::string::npos ? "" : user.substr(colon + 1);
      proxy.set_credentials({web::uri::decode(user.substr(0, colon)), web::uri::decode(password)});
    }
    return proxy;
  }

  static void start(Client& client, const HttpRequest& request,
                    const std::shared_ptr<HttpExchange>& exchange,
                    const pplx::cancellation_token& cancellation) {
    web::http::http_request message(request.method);
    message.set_request_uri(web::uri(request.target));
    for (const auto& [name, value] : request.headers) message.headers().add(name, value);
    message.headers().add("Accept-Encoding", "gzip");
    if (!client.host_header.empty()) message.headers().add("Host", client.host_header);
    if (!request.body.empty()) message.set_body(request.body, "");
    for (const auto& [name, value] : request.headers) {
      if (name == "Content-Type") message.headers().set_content_type(value);
    }
    // Called when the request's last byte is on its way, and again with each piece received.
    message.set_progress_handler(
        [exchange](web::http::message_direction::direction direction, utility::size64_t) {
          if (direction == web::http::message_direction::upload) exchange->request_sent();
        });
    message.set_response_stream(Concurrency::streams::ostream(
        Concurrency::streams::streambuf<Byte>(std::make_shared<ExchangeBuffer>(exchange))));
    const auto verdict = client.verdict;
    // A task whose exception nobody looks at ends the program: every path below looks.
    client.http->request(message, cancellation)
        .then([exchange, verdict](const pplx::task<web::http::http_response>& answered) {
          receive(answered, exchange, verdict);
        });
  }

  static void receive(const pplx::task<web::http::http_response>& answered,
                      const std::shared_ptr<HttpExchange>& exchange,
                      const std::shared_ptr<TlsVerdict>& verdict) {
    try {
      const web::http::http_response response = answered.get();
      HttpExchange::Head head;
      head.status = response.status_code();
      response.headers().match("Content-Encoding", head.content_encoding);
      response.headers().match("Retry-After", head.retry_after);
      exchange->received_head(std::move(head));
      response.content_ready().then(
          [exchange, verdict](const pplx::task<web::http::http_response>& ready) {
            try {
              ready.get();
              exchange->finished(std::nullopt);
            } catch (const std::exception& exception) {
              exchange->finished(error_of(exception, *verdict));
            }
          });
    } catch (const std::exception& exception) {
      exchange->finished(error_of(exception, *verdict));
    }
  }

  std::mutex mutex_;
  std::vector<SharedClient> clients_;
};

}  // namespace

std::unique_ptr<Transport> make_transport() { return std::make_unique<CpprestTransport>(); }

}  // namespace topolb::kube
