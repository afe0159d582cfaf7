// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tc_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <map>

#include "dataplane/kernel_maps.h"
#include "lb_tc.skel.h"

namespace topolb::dataplane {

struct TcObject {
  lb_tc* skeleton = lb_tc__open();
  TcObject() = default;
  TcObject(const TcObject&) = delete;
  TcObject& operator=(const TcObject&) = delete;
  ~TcObject() { lb_tc__destroy(skeleton); }
};

namespace {

std::map<std::string, std::uint32_t> tc_sizes_by_name(const TcSizes& sizes) {
  return {{"flows", sizes.flow_entries}, {"fragments", sizes.fragments}};
}

/// Whether a pinned map can go on in place of one that would be made anew.
bool fits(const bpf_map* wanted, int fd, const std::string& name) {
  const auto info = map_info(fd, name);
  return info && info->key_size == bpf_map__key_size(wanted) &&
         info->value_size == bpf_map__value_size(wanted) &&
         info->max_entries == bpf_map__max_entries(wanted);
}

}  // namespace

TcPrograms::TcPrograms() = default;
TcPrograms::TcPrograms(TcPrograms&&) noexcept = default;
TcPrograms& TcPrograms::operator=(TcPrograms&&) noexcept = default;
TcPrograms::~TcPrograms() = default;

const std::vector<std::string>& TcPrograms::own_map_names() {
  static const std::vector<std::string> names{"flows", "fragments", "packet_events",
                                              "reply_budgets"};
  return names;
}

Result<TcPrograms> TcPrograms::load(
    const std::string& pin_path, const std::function<Result<UniqueFd>(const std::string&)>& shared,
    const TcSizes& sizes) {
  TcPrograms programs;
  programs.pin_path_ = pin_path;
  programs.object_ = std::make_unique<TcObject>();
  lb_tc* skeleton = programs.object_->skeleton;
  if (skeleton == nullptr) return errno_error(errno, "open the BPF object of the per-packet path");
  for (const auto& [name, size] : tc_sizes_by_name(sizes)) {
    bpf_map__set_max_entries(bpf_object__find_map_by_name(skeleton->obj, name.c_str()), size);
  }
  for (const auto& name : pinned_map_names()) {
    auto fd = shared(name);
    if (!fd) return fd.error();
    if (auto reused = reuse_map(skeleton->obj, name, fd->get()); !reused) return reused.error();
  }
  for (const auto& name : own_map_names()) {
    const auto pinned = open_pinned(pin_of_map(pin_path, name));
    const bpf_map* wanted = bpf_object__find_map_by_name(skeleton->obj, name.c_str());
    if (!pinned || !fits(wanted, pinned->get(), name)) continue;
    if (auto reused = reuse_map(skeleton->obj, name, pinned->get()); !reused) return reused.error();
  }
  // The per-socket maps have no user here.
  bpf_map__set_autocreate(skeleton->maps.sockets, false);
  bpf_map__set_autocreate(skeleton->maps.udp_sockets, false);
  if (const int failed = lb_tc__load(skeleton); failed != 0) {
    return errno_error(-failed, "load the BPF programs of the per-packet path");
  }
  return programs;
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

Result<void> TcPrograms::pin_maps() {
  for (const auto& name : own_map_names()) {
    const std::string path = pin_of_map(pin_path_, name);
    const bpf_map* map = bpf_object__find_map_by_name(object_->skeleton->obj, name.c_str());
    if (const auto pinned = open_pinned(path); pinned) {
      const auto there = map_info(pinned->get(), name);
      const auto ours = map_info(bpf_map__fd(map), name);
      if (there && ours && there->id == ours->id) continue;
      if (::unlink(path.c_str()) != 0) return errno_error(errno, "unpin " + path);
    }
    if (bpf_obj_pin(bpf_map__fd(map), path.c_str()) != 0) return errno_error(errno, "pin " + path);
  }
  return {};
}

}  // namespace topolb::dataplane
