// SPDX-License-Identifier: Apache-2.0
#include "agent/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "agent/man_page.h"
#include "agent/packet_options.h"
#include "kube/cluster_config.h"
#include "util/version.h"

namespace topolb::agent {
namespace {

constexpr const char* kDescription =
    "topolbd: the node agent of topolb, a topology-aware Service load balancer in eBPF.\n\n"
    "Follows Services, EndpointSlices and Nodes, and keeps the kernel's maps as they ask for.\n"
    "After SIGTERM or a crash the kernel goes on with the last state; the next start takes over.";

// "127.0.0.1:10256", "[::1]:10256"; "" switches the server off. Returns what is wrong.
std::optional<std::string> parse_listen(const std::string& text, Options& options) {
  if (text.empty()) return std::nullopt;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return "--listen: \"" + text + "\" is not ADDRESS:PORT";
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data() + colon + 1, end, port);
  if (failed != std::errc{} || at != end || port == 0) {
    return "--listen: \"" + text.substr(colon + 1) + "\" is not a port (1 to 65535)";
  }
  const auto host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const auto address = IpAddress::parse(bracketed ? host.substr(1, host.size() - 2) : host);
  if (!address || (address->family() == Family::IPv6) != bracketed) {
    return "--listen: \"" + host + "\" is not an address (IPv6 in brackets)";
  }
  options.listen = SocketAddress{*address, port};
  return std::nullopt;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Flags whose text is judged after parsing.
struct Texts {
  std::string scope = "all";
  std::string listen = "127.0.0.1:10256";
};

void add_flags(CLI::App& app, Options& options, Texts& texts) {
  // Judged after parsing: a flag that there is not is to be named before one that is not there.
  app.add_option("--node", options.plan.node_name, "name of this node's Node object (required)")
      ->type_name("NAME");
  app.add_option("--manifests", options.manifests,
                 "directory of Kubernetes objects (*.yaml, *.yml, *.json) to follow")
      ->type_name("DIR");
  app.add_option(
         "--kubeconfig", options.api.kubeconfig,
         "credentials for the Kubernetes API (default without --manifests: those of the pod)")
      ->type_name("FILE")
      ->excludes("--manifests");
  app.add_option("--context", options.api.context, "context of the kubeconfig")
      ->type_name("NAME")
      ->needs("--kubeconfig");
  app.add_option("--api-server", options.api.servers,
                 "URL of the API server instead of the credentials' own; repeat for failover. An "
                 "agent that replaces kube-proxy needs one that is no ClusterIP")
      ->type_name("URL")
      ->excludes("--manifests");
  app.add_option("--scope", texts.scope,
                 "all: replace kube-proxy; opted-in: only Services labelled "
                 "topolb.io/enabled: \"true\"")
      ->check(CLI::IsMember({"all", "opted-in"}).description(""))  // the type says it
      ->type_name("all|opted-in");
  app.add_option("--service-proxy-name", options.plan.service_proxy_name,
                 "also serve Services labelled service.kubernetes.io/service-proxy-name: NAME")
      ->type_name("NAME");
  app.add_option("--cgroup", options.datapath.cgroup_path,
                 "cgroup2 directory whose processes are served (default: the root)")
      ->type_name("PATH");
  app.add_option(
         "--pin-path", options.datapath.pin_path,
         fmt::format("where maps and links are pinned (default: {})", dataplane::kDefaultPinPath))
      ->type_name("PATH");
  app.add_option("--listen", texts.listen,
                 "address of /healthz, /readyz, /metrics, /v1/ (default: 127.0.0.1:10256; "
                 "empty: none)")
      ->type_name("ADDRESS:PORT");
  app.add_option("--event-delay", options.event_delay_s,
                 "longest wait before a problem's Kubernetes Event, by chance, so that not all "
                 "nodes ask at once (default: 30)")
      ->check(CLI::Range(0U, 3600U).description(""))
      ->type_name("SECONDS");
  app.add_flag("--verbose", options.verbose, "log every change in detail");
}

void add_size_flags(CLI::App& app, dataplane::MapSizes& sizes) {
  const auto size = [&](const char* flag, std::uint32_t& value, const char* what) {
    app.add_option(flag, value, fmt::format("{} (default: {})", what, value))
        ->check(CLI::Range(2U, 1U << 24U).description(""))
        ->type_name("N")
        ->group("How large the maps may get");
  };
  size("--max-services", sizes.services, "Service ports, each family its own");
  size("--max-frontends", sizes.frontends, "addresses and ports that clients dial");
  size("--max-backends", sizes.backends, "endpoint addresses and ports");
  size("--max-sets", sizes.sets, "backend sets");
  size("--max-slot-lines", sizes.slot_lines, "lines of 16 slots, each tier its own");
  size("--max-source-ranges", sizes.source_ranges, "loadBalancerSourceRanges of all Services");
  size("--max-affinities", sizes.affinities, "clients with session affinity");
  size("--max-sockets", sizes.sockets,
       "connected sockets remembered without an allocation each, made at once");
  size("--max-counters", sizes.counters, "counters: 2 a Service port and 1 a topology key");
}

EarlyExit wrong_flags(const std::string& line) {
  return {2, fmt::format("topolbd: {} (topolbd --help)\n", line)};
}

// The last word first, as CLI11 takes them. It would take the word after "--flag=" as the value.
std::vector<std::string> words_of(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    const std::string_view word = argv[i];
    const bool is_empty_value = word.starts_with("--") && word.find('=') + 1 == word.size();
    if (is_empty_value) words.emplace_back();
    words.emplace_back(is_empty_value ? word.substr(0, word.size() - 1) : word);
  }
  return words;
}

// None: all is well.
std::optional<EarlyExit> parse(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(words_of(argc, argv));
  } catch (const CLI::CallForVersion&) {
    return EarlyExit{0, fmt::format("topolbd {}\n", kVersion)};
  } catch (const CLI::CallForHelp&) {
    return EarlyExit{0, app.help()};
  } catch (const CLI::CallForAllHelp&) {
    return EarlyExit{0, man_page(app)};
  } catch (const CLI::ParseError& error) {
    return wrong_flags(first_line(error.what()));
  }
  return std::nullopt;
}

}  // namespace

std::variant<Options, EarlyExit> parse_options(int argc, const char* const* argv) {
  Options options;
  Texts texts;
  PacketTexts packet_texts;
  CLI::App app(kDescription, "topolbd");
  app.set_version_flag("--version", kVersion);
  app.set_help_all_flag("--man", "this help as a manual page")->group("");  // hidden: for the build
  add_flags(app, options, texts);
  add_packet_flags(app, options.packets, packet_texts);
  add_size_flags(app, options.datapath.limits);
  if (auto exit = parse(app, argc, argv)) return *exit;
  if (options.plan.node_name.empty()) {
    return wrong_flags(app.count("--node") == 0 ? "--node is required"
                                                : "--node must not be empty");
  }
  for (const auto& server : options.api.servers) {
    if (auto checked = kube::check_server_url(server); !checked) {
      return wrong_flags("--api-server: " + checked.error().message());
    }
  }
  if (auto wrong = parse_listen(texts.listen, options)) {
    return wrong_flags(*wrong);
  }
  if (auto wrong = read_packet_texts(packet_texts, options.packets)) {
    return wrong_flags(*wrong);
  }
  options.plan.scope = texts.scope == "all" ? core::Scope::All : core::Scope::OptedIn;
  options.datapath.node_name = options.plan.node_name;
  options.api.node_name = options.plan.node_name;
  options.api.service_proxy_name = options.plan.service_proxy_name;
  return options;
}

}  // namespace topolb::agent
