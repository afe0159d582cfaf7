// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tc_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "dataplane/constants.h"
#include "dataplane/frontend_table.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/socket_hooks.h"
#include "lb_tc.skel.h"

namespace topolb::dataplane {

struct TcObject {
  OpenSkeleton<lb_tc> skeleton;
  topolb_flow_facts facts;  // of the flow table that it is for
};

namespace {

/// Whether a pinned map can go on in place of one that would be made anew.
bool fits(const bpf_map* wanted, int fd, const std::string& name) {
  const auto info = map_info(fd, name);
  return info && info->key_size == bpf_map__key_size(wanted) &&
         info->value_size == bpf_map__value_size(wanted) &&
         info->max_entries == bpf_map__max_entries(wanted);
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
    seed = reinterpret_cast<std::uintptr_t>(&seed);  // before the kernel has any: never at run time
  }
  return seed;
}

const std::vector<std::string>& flow_table_maps() {
  static const std::vector<std::string> names{"flow_facts", "flow_index", "flow_rows", "flows"};
  return names;
}

constexpr const char* kWorkers = "tc-workers-";  // beside the links, which need it

/// Each table has a pin of its own: the programs that are attached go on with theirs while others
/// take over.
std::string pin_of_workers(const std::string& pin_path, std::uint32_t map_id) {
  return link_path(pin_path, fmt::format("{}{}", kWorkers, map_id));
}

void set_sizes(lb_tc& skeleton, const topolb_flow_facts& facts, std::uint32_t fragments) {
  bpf_map__set_max_entries(skeleton.maps.flows, facts.row_lines * TOPOLB_FLOW_ROWS_PER_LINE);
  bpf_map__set_max_entries(skeleton.maps.flow_rows, facts.row_lines);
  bpf_map__set_max_entries(skeleton.maps.flow_index, facts.lines);
  bpf_map__set_max_entries(skeleton.maps.fragments, fragments);
}

/// The maps of `names` that are pinned and fit; empty if one is missing.
std::vector<std::pair<std::string, UniqueFd>> fitting_pins(const bpf_object* object,
                                                           const std::string& pin_path,
                                                           const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, UniqueFd>> pins;
  for (const auto& name : names) {
    auto pinned = open_pinned(pin_of_map(pin_path, name));
    const bpf_map* wanted = bpf_object__find_map_by_name(object, name.c_str());
    if (!pinned || !fits(wanted, pinned->get(), name)) return {};
    pins.emplace_back(name, std::move(*pinned));
  }
  return pins;
}

std::optional<topolb_flow_facts> pinned_facts(const std::string& pin_path) {
  const auto pinned = open_pinned(pin_of_map(pin_path, "flow_facts"));
  topolb_flow_facts facts{};
  const std::uint32_t row = 0;
  if (!pinned || bpf_map_lookup_elem(pinned->get(), &row, &facts) != 0) return std::nullopt;
  if (facts.layout_version != TOPOLB_LAYOUT_VERSION) return std::nullopt;
  return facts;
}

using SharedMaps = std::function<Result<UniqueFd>(const std::string&)>;

Result<topolb_settings> read_settings(const SharedMaps& shared) {
  const auto map = shared("settings");
  if (!map) return map.error();
  topolb_settings settings{};
  const std::uint32_t row = 0;
  if (bpf_map_lookup_elem(map->get(), &row, &settings) != 0) {
    return errno_error(errno, "read settings");
  }
  return settings;
}

Result<std::uint32_t> entries_of(const SharedMaps& shared, const std::string& name) {
  const auto map = shared(name);
  const auto info = map ? map_info(map->get(), name) : map.error();
  if (!info) return info.error();
  return info->max_entries;
}

Result<Constants> constants_for(const SharedMaps& shared, std::uint64_t frontend_seed,
                                const topolb_flow_facts& facts, bool dsr) {
  std::map<std::string, std::uint32_t> entries;
  for (const auto* name : kSearchedMaps) {
    const auto found = entries_of(shared, name);
    if (!found) return found.error();
    entries[name] = *found;
  }
  auto constants = search_constants(frontend_seed, entries);
  constants.merge(flow_constants(facts, dsr));
  return constants;
}

/// Whether the pinned flow table may go on in place of a fresh one.
bool may_go_on(const topolb_flow_facts& pinned, const topolb_flow_facts& fresh,
               const TcSizes& sizes) {
  const auto most = std::max(flow_facts_for(sizes.most_flows, 0).row_lines, fresh.row_lines);
  return pinned.maps == fresh.maps && pinned.row_lines >= fresh.row_lines &&
         pinned.row_lines <= most;
}

/// False: one of them is not there, or does not fit.
Result<bool> reuse_pins(bpf_object* object, const std::string& pin_path,
                        const std::vector<std::string>& names) {
  const auto pins = fitting_pins(object, pin_path, names);
  for (const auto& [name, fd] : pins) {
    if (auto reused = reuse_map(object, name, fd.get()); !reused) return reused.error();
  }
  return !pins.empty();
}

/// For a flow table like that; on the maps that are shared, but with no flow table yet.
Result<TcObject> open_object(const SharedMaps& shared, const TcSizes& sizes, bool dsr,
                             std::uint64_t frontend_seed, const topolb_flow_facts& facts) {
  const auto constants = constants_for(shared, frontend_seed, facts, dsr);
  if (!constants) return constants.error();
  auto skeleton = open_skeleton(lb_tc__create_skeleton, lb_tc__destroy, *constants);
  if (!skeleton) return skeleton.error();
  for (const auto& name : pinned_map_names()) {
    auto fd = shared(name);
    if (!fd) return fd.error();
    if (auto reused = reuse_map((*skeleton)->obj, name, fd->get()); !reused) return reused.error();
  }
  set_sizes(**skeleton, facts, sizes.fragments);
  return TcObject{std::move(*skeleton), facts};
}

Result<void> load_object(lb_tc& skeleton, const topolb_flow_facts& facts) {
  // The per-socket maps have no user here.
  bpf_map__set_autocreate(skeleton.maps.peers, false);
  bpf_map__set_autocreate(skeleton.maps.sockets, false);
  bpf_map__set_autocreate(skeleton.maps.udp_sockets, false);
  if (const int failed = lb_tc__load(&skeleton); failed != 0) {
    return errno_error(-failed, "load the BPF programs of the per-packet path");
  }
  const std::uint32_t row = 0;
  if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.flow_facts), &row, &facts, BPF_ANY) != 0) {
    return errno_error(errno, "write the facts of the flow table");
  }
  return {};
}

/// Ready to load: with the flow table that is pinned, if all of it is there and fits, or a fresh
/// one.
Result<TcObject> open_with_table(const std::string& pin_path, const SharedMaps& shared,
                                 const TcSizes& sizes, bool dsr) {
  const auto settings = read_settings(shared);
  if (!settings) return settings.error();
  auto fresh = flow_facts_for(std::min(sizes.flows, sizes.most_flows), random_seed());
  fresh.maps = static_cast<std::uint32_t>(settings->frontend_seed);
  if (const auto pinned = pinned_facts(pin_path); pinned && may_go_on(*pinned, fresh, sizes)) {
    auto object = open_object(shared, sizes, dsr, settings->frontend_seed, *pinned);
    if (!object) return object.error();
    const auto reused = reuse_pins(object->skeleton->obj, pin_path, flow_table_maps());
    if (!reused) return reused.error();
    if (*reused) return object;
  }
  return open_object(shared, sizes, dsr, settings->frontend_seed, fresh);
}

}  // namespace

Constants flow_constants(const topolb_flow_facts& facts, bool dsr) {
  return {{TOPOLB_FLOW_SEED, facts.seed},           {TOPOLB_FLOW_LINES, facts.lines},
          {TOPOLB_FLOW_ROW_LINES, facts.row_lines}, {TOPOLB_FLOW_ID_BITS, facts.id_bits},
          {TOPOLB_FLOW_PORT_STEP, facts.port_step}, {TOPOLB_IS_DSR_ON, dsr ? 1U : 0U}};
}

TcPrograms::TcPrograms() = default;
TcPrograms::TcPrograms(TcPrograms&&) noexcept = default;
TcPrograms& TcPrograms::operator=(TcPrograms&&) noexcept = default;
TcPrograms::~TcPrograms() = default;

const std::vector<std::string>& TcPrograms::own_map_names() {
  static const std::vector<std::string> names{"flow_cursors",  "flow_facts",    "flow_index",
                                              "flow_rows",     "flows",         "fragments",
                                              "packet_events", "reply_budgets", "routes"};
  return names;
}

Result<TcPrograms> TcPrograms::load(
    const std::string& pin_path, const std::function<Result<UniqueFd>(const std::string&)>& shared,
    const TcSizes& sizes, bool dsr) {
  silence_libbpf();
  TcPrograms programs;
  programs.pin_path_ = pin_path;
  auto opened = open_with_table(pin_path, shared, sizes, dsr);
  if (!opened) return opened.error();
  programs.object_ = std::make_unique<TcObject>(std::move(*opened));
  lb_tc& skeleton = *programs.object_->skeleton;
  for (const auto* name : {"fragments", "packet_events"}) {
    if (auto reused = reuse_pins(skeleton.obj, pin_path, {name}); !reused) return reused.error();
  }
  if (auto loaded = load_object(skeleton, programs.object_->facts); !loaded) return loaded.error();
  return programs;
}

Result<FlowTable> TcPrograms::flow_table(const topolb_settings& settings) const {
  return FlowTable::open([&](const std::string& name) { return map(name); }, Access::ReadWrite,
                         settings);
}

int TcPrograms::ingress() const { return bpf_program__fd(object_->skeleton->progs.topolb_ingress); }

int TcPrograms::pod_ingress() const {
  return bpf_program__fd(object_->skeleton->progs.topolb_pod_ingress);
}

int TcPrograms::egress() const { return bpf_program__fd(object_->skeleton->progs.topolb_egress); }

Result<UniqueFd> TcPrograms::map(const std::string& name) const {
  const int fd = bpf_object__find_map_fd_by_name(object_->skeleton->obj, name.c_str());
  UniqueFd copy(fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return errno_error(errno, "duplicate the descriptor of map " + name);
  return copy;
}

Result<void> TcPrograms::pin_workers() {
  const int fd = bpf_map__fd(object_->skeleton->maps.workers);
  const auto workers = map_info(fd, "workers");
  if (!workers) return workers.error();
  const std::string path = pin_of_workers(pin_path_, workers->id);
  const std::string links = std::filesystem::path(path).parent_path();
  if (::mkdir(links.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(errno, "make directory " + links);
  }
  if (bpf_obj_pin(fd, path.c_str()) != 0 && errno != EEXIST) {
    return errno_error(errno, "pin " + path);
  }
  return {};
}

void TcPrograms::drop_workers_before() {
  const auto own = map_info(bpf_map__fd(object_->skeleton->maps.workers), "workers");
  if (own) drop_workers(pin_path_, own->id);
}

void TcPrograms::drop_workers(const std::string& pin_path, std::uint32_t but) {
  const std::string kept = pin_of_workers(pin_path, but);
  std::vector<std::string> dropped;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(link_path(pin_path, ""), failed)) {
    const std::string name = entry.path().filename();
    if (name.rfind(kWorkers, 0) == 0 && entry.path() != kept) dropped.push_back(entry.path());
  }
  for (const auto& path : dropped) (void)::unlink(path.c_str());
}

bool TcPrograms::has_workers(const std::string& pin_path) {
  std::error_code failed;
  const std::filesystem::directory_iterator pins(link_path(pin_path, ""), failed);
  return std::any_of(begin(pins), end(pins), [](const auto& entry) {
    return entry.path().filename().string().rfind(kWorkers, 0) == 0;
  });
}

Result<void> TcPrograms::finish_pins(const std::string& pin_path) {
  return dataplane::finish_pins(pin_path, own_map_names());
}

Result<void> TcPrograms::pin_maps() {
  return dataplane::pin_maps(pin_path_, own_map_names(), [this](const std::string& name) {
    return bpf_object__find_map_fd_by_name(object_->skeleton->obj, name.c_str());
  });
}

}  // namespace topolb::dataplane
