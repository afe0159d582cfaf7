// SPDX-License-Identifier: Apache-2.0
#include "dataplane/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "dataplane/constants.h"
#include "dataplane/frontend_table.h"
#include "dataplane/masquerades.h"
#include "dataplane/peer_table.h"
#include "dataplane/pins.h"
#include "dataplane/socket_hooks.h"
#include "lb_sock.skel.h"

namespace topolb::dataplane {

struct LoadedObject {
  OpenSkeleton<lb_sock> skeleton;

  [[nodiscard]] bpf_object* object() const { return skeleton->obj; }
  [[nodiscard]] Result<UniqueFd> duplicate_map(const std::string& name) const {
    const int fd = bpf_object__find_map_fd_by_name(object(), name.c_str());
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return errno_error(errno, "duplicate the descriptor of map " + name);
    return copy;
  }
};

namespace {

bool pins_have_this_layout(const std::string& pin_path) {
  return KernelMaps::open_pinned(pin_path, Access::ReadOnly).has_value();
}

// Such that are larger than is allowed now can't be taken over: nothing gets smaller in place.
bool pins_are_within(const std::string& pin_path, const MapSizes& limits) {
  const auto most = entries_by_map(limits);
  return std::all_of(most.begin(), most.end(), [&](const auto& limit) {
    const auto& [name, entries] = limit;
    const auto fd = open_pinned(pin_of_map(pin_path, name));
    const auto info = fd ? map_info(fd->get(), name) : fd.error();
    return info && info->max_entries <= entries;
  });
}

// The socket-local storages can't be pinned to any use (nothing can list them), so they live with
// the programs: an agent that takes over finds them there. Needs CAP_SYS_ADMIN; without it, sockets
// opened before an upgrade show their backend to getpeername().
std::map<std::string, UniqueFd> storages_of_attached_program(const std::string& pin_path) {
  std::map<std::string, UniqueFd> storages;
  for (const char* hook : {"connect4", "sendmsg4"}) {
    const auto link = open_pinned(link_path(pin_path, hook));
    if (!link) continue;
    bpf_link_info link_info{};
    std::uint32_t length = sizeof(link_info);
    if (bpf_obj_get_info_by_fd(link->get(), &link_info, &length) != 0) continue;
    const UniqueFd program(bpf_prog_get_fd_by_id(link_info.prog_id));
    if (!program) continue;
    std::array<std::uint32_t, 64> map_ids{};
    bpf_prog_info program_info{};
    program_info.nr_map_ids = map_ids.size();
    program_info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids.data());
    length = sizeof(program_info);
    if (bpf_obj_get_info_by_fd(program.get(), &program_info, &length) != 0) continue;
    for (std::uint32_t i = 0; i < std::min<std::size_t>(program_info.nr_map_ids, map_ids.size());
         ++i) {
      UniqueFd map(bpf_map_get_fd_by_id(map_ids[i]));
      const auto info = map ? map_info(map.get(), "storage") : make_error("");
      if (info && info->type == BPF_MAP_TYPE_SK_STORAGE) storages[info->name] = std::move(map);
    }
  }
  return storages;
}

std::uint64_t own_netns_cookie() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  (void)::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length);
  return cookie;
}

Result<void> check_right_to_use_bpf() {
  const UniqueFd probe(bpf_map_create(BPF_MAP_TYPE_ARRAY, "topolb_probe", 4, 8, 1, nullptr));
  if (probe) return {};
  if (errno == ENOSYS) return errno_error(errno, "this kernel has no BPF");
  if (errno == EPERM) {
    return errno_error(errno, "use BPF (needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)");
  }
  return errno_error(errno, "use BPF");
}

Result<void> check_cgroup2(const std::string& path) {
  struct statfs facts {};
  if (::statfs(path.c_str(), &facts) != 0) return errno_error(errno, "open cgroup " + path);
  if (static_cast<unsigned long>(facts.f_type) == CGROUP2_SUPER_MAGIC) return {};
  return make_error(fmt::format("--cgroup {} is not in a cgroup2 hierarchy", path));
}

}  // namespace

Datapath::Datapath() = default;
Datapath::Datapath(Datapath&&) noexcept = default;
Datapath& Datapath::operator=(Datapath&&) noexcept = default;
Datapath::~Datapath() = default;

Result<Datapath> Datapath::open(const DatapathOptions& options) {
  Datapath datapath;
  datapath.options_ = options;
  if (auto allowed = check_right_to_use_bpf(); !allowed) return allowed.error();
  if (auto cgroup = check_cgroup2(options.cgroup_path); !cgroup) return cgroup.error();
  auto claim = claim_pin_path(options.pin_path);
  if (!claim) return claim.error();
  datapath.claim_ = std::move(*claim);
  if (auto opened = datapath.open_maps(); !opened) return opened.error();
  return datapath;
}

// Without programs: how large the maps have to be is known once the first state is complete.
Result<void> Datapath::open_maps() {
  silence_libbpf();
  // Its programs have no constants yet.
  object_ = std::make_unique<LoadedObject>(LoadedObject{{lb_sock__open(), lb_sock__destroy}});
  if (object_->skeleton == nullptr) return errno_error(errno, "open the BPF object");
  bpf_object* object = object_->object();
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
  if (auto whole = finish_pins(options_.pin_path, pinned_map_names()); !whole) return whole;
  took_over_ = pins_have_this_layout(options_.pin_path) &&
               pins_are_within(options_.pin_path, options_.limits);
  bpf_map__set_max_entries(object_->skeleton->maps.frontends, frontend_lines_for(1));
  bpf_map__set_max_entries(object_->skeleton->maps.counters, Counters::rows_for(1));
  for (const auto& name : took_over_ ? pinned_map_names() : std::vector<std::string>()) {
    if (name == "peers") continue;
    auto fd = open_pinned(pin_of_map(options_.pin_path, name));
    if (!fd) return fd.error();
    if (auto reused = reuse_map(object, name, fd->get()); !reused) return reused;
  }
  if (auto reused = reuse_peers(*object_); !reused) return reused;
  if (const int failed = lb_sock__load(object_->skeleton.get()); failed != 0) {
    return errno_error(-failed, "make the BPF maps");
  }
  auto maps = KernelMaps::open(
      [this](const std::string& name) { return object_->duplicate_map(name); }, Access::ReadWrite);
  if (!maps) return maps.error();
  maps_ = std::make_unique<KernelMaps>(std::move(*maps));

  if (!took_over_) {
    maps_->initialize();
    // Flows may be carried over, too: they name its rows.
    const auto before = KernelMaps::open_pinned(options_.pin_path, Access::ReadOnly);
    if (before) copy_masquerades(before->settings[0], maps_->settings[0]);
  }
  topolb_settings& settings = maps_->settings[0];
  settings.node_netns_cookie = own_netns_cookie();
  std::memset(settings.node_name, 0, sizeof(settings.node_name));
  options_.node_name.copy(settings.node_name, sizeof(settings.node_name) - 1);
  return {};
}

// What open sockets dialled: kept whatever else is made anew, unless its own rows are of another
// size.
Result<void> Datapath::reuse_peers(LoadedObject& loaded) const {
  bpf_object* object = loaded.object();
  const auto fits = [object](const std::string& name, int fd) {
    const auto info = map_info(fd, name);
    const bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    return info && map != nullptr && info->value_size == bpf_map__value_size(map);
  };
  for (const auto& [name, fd] : storages_of_attached_program(options_.pin_path)) {
    if (!fits(name, fd.get())) continue;
    if (auto reused = reuse_map(object, name, fd.get()); !reused) return reused;
  }
  const auto pinned = open_pinned(pin_of_map(options_.pin_path, "peers"));
  if (pinned && fits("peers", pinned->get())) return reuse_map(object, "peers", pinned->get());
  bpf_map__set_max_entries(loaded.skeleton->maps.peers, peer_lines_for(options_.limits.sockets));
  return {};
}

std::map<std::string, std::uint32_t> Datapath::entries_now() const {
  std::map<std::string, std::uint32_t> entries;
  if (!has_state()) return entries;
  for (const auto& [name, unused] : entries_by_map({})) {
    entries[name] =
        bpf_map__max_entries(bpf_object__find_map_by_name(object_->object(), name.c_str()));
  }
  return entries;
}

Result<bool> Datapath::make_room(const MapSizes& needed) {
  const auto entries = grown_entries(entries_now(), needed, options_.limits);
  if (is_loaded_ && entries.empty()) return false;
  if (auto loaded = load(entries); !loaded) return loaded.error();
  is_loaded_ = true;
  return true;
}

Constants Datapath::constants_for(const std::map<std::string, std::uint32_t>& entries) const {
  const auto entries_of = [&](const char* name) {
    const auto at = entries.find(name);
    if (at != entries.end()) return at->second;
    return bpf_map__max_entries(bpf_object__find_map_by_name(object_->object(), name));
  };
  std::map<std::string, std::uint32_t> searched;
  for (const auto* name : kSearchedMaps) searched[name] = entries_of(name);
  const bool has_set_retval =
      libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, nullptr) == 1;
  auto constants = search_constants(maps_->settings[0].frontend_seed, searched);
  constants[TOPOLB_HAS_SET_RETVAL] = has_set_retval ? 1 : 0;
  constants[TOPOLB_PEER_LINES] = entries_of("peers");
  return constants;
}

// The programs, on maps of so many entries, and the present ones of the others.
Result<void> Datapath::load(const std::map<std::string, std::uint32_t>& entries) {
  auto opened = open_skeleton(lb_sock__create_skeleton, lb_sock__destroy, constants_for(entries));
  if (!opened) return opened.error();
  auto next = std::make_unique<LoadedObject>(LoadedObject{std::move(*opened)});
  std::vector<std::string> reused = pinned_map_names();
  std::erase_if(reused, [&](const auto& name) { return entries.contains(name); });
  reused.insert(reused.end(), {"sockets", "udp_sockets"});
  for (const auto& name : reused) {
    const int fd = bpf_object__find_map_fd_by_name(object_->object(), name.c_str());
    if (auto shared = reuse_map(next->object(), name, fd); !shared) return shared;
  }
  for (const auto& [name, size] : entries) {
    bpf_map__set_max_entries(bpf_object__find_map_by_name(next->object(), name.c_str()), size);
  }
  if (const int failed = lb_sock__load(next->skeleton.get()); failed != 0) {
    return errno_error(
        -failed, "load the BPF programs (needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)");
  }
  if (!entries.empty()) {
    if (auto replaced = replace_maps(*next); !replaced) return replaced;
    ++generation_;
  }
  object_ = std::move(next);
  return {};
}

Result<void> Datapath::replace_maps(const LoadedObject& next) {
  auto fresh = KernelMaps::open([&](const std::string& name) { return next.duplicate_map(name); },
                                Access::ReadWrite);
  if (!fresh) return fresh.error();
  auto counts = maps_->counters.values();
  if (has_state()) {
    if (auto copied = copy_entries(*maps_, *fresh); !copied) return copied;
    fresh->counters.add(std::vector<std::uint64_t>(counts.size()), counts);
  }
  const std::lock_guard lock(*maps_lock_);
  fresh->settings = std::move(maps_->settings);  // others refer to its row
  std::swap(*maps_, *fresh);
  if (has_state()) replaced_ = std::make_unique<ReplacedMaps>(std::move(*fresh), std::move(counts));
  return {};
}

void Datapath::drop_replaced_maps() {
  if (!replaced_) return;
  replaced_->add_changes_to(*maps_);
  replaced_.reset();
}

void Datapath::read_maps(const std::function<void(const KernelMaps&)>& read) const {
  const std::lock_guard lock(*maps_lock_);
  read(*maps_);
}

Result<UniqueFd> Datapath::map(const std::string& name) const {
  return object_->duplicate_map(name);
}

Result<void> Datapath::attach() {
  const UniqueFd cgroup(::open(options_.cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return errno_error(errno, "open cgroup " + options_.cgroup_path);
  const std::string links = options_.pin_path + "/links";
  if (::mkdir(links.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(errno, "make directory " + links);
  }
  for (std::size_t index = 0; index < kSocketHooks.size(); ++index) {
    if (auto attached = attach_program(index, cgroup.get()); !attached) return attached;
  }
  return pin_maps(options_.pin_path, pinned_map_names(), [this](const std::string& name) {
    return bpf_object__find_map_fd_by_name(object_->object(), name.c_str());
  });
}

Result<void> Datapath::attach_program(std::size_t index, int cgroup_fd) {
  const SocketHook& hook = kSocketHooks[index];
  const std::string path = link_path(options_.pin_path, hook.name);
  const int program =
      bpf_program__fd(bpf_object__find_program_by_name(object_->object(), hook.program));
  struct stat cgroup {};
  if (::fstat(cgroup_fd, &cgroup) != 0) return errno_error(errno, "stat the cgroup");

  if (const auto old = open_pinned(path); old) {
    bpf_link_info info{};
    std::uint32_t length = sizeof(info);
    const bool same_place = bpf_obj_get_info_by_fd(old->get(), &info, &length) == 0 &&
                            info.cgroup.cgroup_id == cgroup.st_ino;
    if (same_place && bpf_link_update(old->get(), program, nullptr) == 0) return {};
    // Attached to another cgroup, or to one that has been removed since.
    if (::unlink(path.c_str()) != 0) return errno_error(errno, "unpin " + path);
  }
  const UniqueFd link(bpf_link_create(program, cgroup_fd, hook.attach_type, nullptr));
  if (!link) {
    return errno_error(errno,
                       fmt::format("attach {} to cgroup {}", hook.name, options_.cgroup_path));
  }
  if (bpf_obj_pin(link.get(), path.c_str()) != 0) return errno_error(errno, "pin " + path);
  return {};
}

}  // namespace topolb::dataplane
