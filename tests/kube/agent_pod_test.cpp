// SPDX-License-Identifier: Apache-2.0
// The agent as its DaemonSet runs it: with a pod's credentials, the capabilities listed there, and
// nothing to write to but the bpffs.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "agent_cluster_fixture.h"
#include "kube/server_url.h"

namespace topolb::kube {
namespace {

namespace fs = std::filesystem;
using test::Storm;
using web::json::value;

const fs::path kAccount = "/run/secrets/kubernetes.io/serviceaccount";

// linux/capability.h
const std::map<std::string, int> kCapabilities{
    {"NET_ADMIN", 12}, {"SYS_PTRACE", 19}, {"SYS_ADMIN", 21}, {"PERFMON", 38}, {"BPF", 39}};
constexpr int kLastCapability = 40;

/// What securityContext of a DaemonSet's container lists.
std::set<int> capabilities_in(const std::string& file, const char* containers) {
  const auto daemon_set = shipped_objects(file).front();
  const value& pod = daemon_set.at("spec").at("template").at("spec");
  const value& added = pod.at(containers).at(0).at("securityContext").at("capabilities").at("add");
  std::set<int> numbers;
  for (const value& name : added.as_array()) numbers.insert(kCapabilities.at(name.as_string()));
  return numbers;
}

/// What a container runtime does for securityContext, in the child.
bool become_container(const std::set<int>& capabilities) {
  for (int capability = 0; capability <= kLastCapability; ++capability) {
    if (!capabilities.contains(capability) && prctl(PR_CAPBSET_DROP, capability) != 0) return false;
  }
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool become_pod(const std::set<int>& capabilities) {
  return unshare(CLONE_NEWNS) == 0 && mount("/", "/", nullptr, MS_BIND | MS_REC, nullptr) == 0 &&
         chdir("/") == 0 && chroot(".") == 0 &&
         mount(nullptr, "/", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0 &&
         become_container(capabilities);
}

class AgentPod : public AgentOfACluster {
 protected:
  AgentPod() {
    // In this process's mounts only. The kubelet writes tokens so: a directory beside, then the
    // link.
    sandbox_.add_node_address("10.0.0.1");
    test::run("ip route add default via 10.0.0.254");
    if (mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) throw std::runtime_error("mount /run");
    fs::create_directories(kAccount);
    const auto server = cluster->config();
    std::ofstream(kAccount / "ca.crt") << server.certificate_authority.data;
    fs::create_symlink("..data/token", kAccount / "token");
    project_token(cluster->rotate_token());
    setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT",
           std::to_string(parse_server_url(server.servers.front())->port).c_str(), 1);
    set_source({});
    const auto listed = capabilities_in("k8s/base/daemonset.yaml", "containers");
    set_preparation([listed] { return become_pod(listed); });
  }
  ~AgentPod() override {
    umount("/run");
    for (const char* name : {"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"}) unsetenv(name);
  }

  void with_capabilities(const std::vector<std::string>& names) {
    std::set<int> numbers;
    for (const std::string& name : names) numbers.insert(kCapabilities.at(name));
    set_preparation([numbers] { return become_pod(numbers); });
  }

  void project_token(const std::string& token) {
    const std::string directory = "..version" + std::to_string(++version_);
    fs::create_directory(kAccount / directory);
    std::ofstream(kAccount / directory / "token") << token;
    fs::create_symlink(directory, kAccount / "..new");
    fs::rename(kAccount / "..new", kAccount / "..data");
  }

 private:
  int version_ = 0;
};

TEST_P(AgentPod, RunsWithTheRightsOfItsDaemonSet) {
  start_agent();
  EXPECT_TRUE(agent().wait_for("packets of 1 device pass the per-packet path"));
  EXPECT_TRUE(agent().wait_for("give --api-server"))
      << "the address in the environment may be ours";
  expect_only(kOne);
  Storm storm(kWeb, kPause);
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  start_agent();
  move_web_to("10.1.0.2");
  expect_only(kTwo);
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

TEST_P(AgentPod, IsCleanedUpWithTheRightsOfThatDaemonSet) {
  start_agent();
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  const auto listed = capabilities_in("k8s/cleanup/daemonset.yaml", "initContainers");
  const auto outcome =
      cli({"cleanup", "--pin-path", sandbox_.pin_path()}, [listed] { return become_pod(listed); });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(sandbox_.pin_path()));
  EXPECT_NE(test::dial_tcp(kWeb).backend, kOne) << "the programs are still attached";
}

/// A pod's network namespace has its name in /run/netns; its processes are out of sight.
TEST_P(AgentPod, EndsSocketsInPodsWithTheRightsOfItsDaemonSet) {
  const auto put_dns = [&](const std::string& backend) {
    put(test::slice_text("dns", {{backend}}, "53", "UDP"));
  };
  put(test::service_text({.name = "dns",
                          .cluster_ip = "10.96.1.53",
                          .ports = "{name: main, port: 53, protocol: UDP}"}));
  put_dns("10.1.0.1");
  test::run("ip netns add pod");
  start_agent();
  std::unique_ptr<test::ConnectedUdp> client;
  std::thread([&] {
    const UniqueFd pod(::open("/run/netns/pod", O_RDONLY | O_CLOEXEC));
    if (::setns(pod.get(), CLONE_NEWNET) != 0) return;
    test::run("ip link set lo up && ip address add 10.1.0.1/32 dev lo");
    client = std::make_unique<test::ConnectedUdp>("10.96.1.53:53");
  }).join();
  ASSERT_NE(client, nullptr);
  put_dns("10.1.0.2");
  EXPECT_TRUE(test::wait_until([&] { return client->take_error() == ECONNABORTED; }));
  test::run("ip netns delete pod");
}

/// SYS_ADMIN may be left out; then sockets lose their state when the agent is replaced.
TEST_P(AgentPod, RunsWithLess) {
  with_capabilities({"BPF", "NET_ADMIN", "PERFMON"});
  start_agent();
  EXPECT_TRUE(agent().wait_for("packets of 1 device pass the per-packet path"));
  expect_only(kOne);
}

TEST_P(AgentPod, SaysWhichRightLacks) {
  const std::vector<std::string> needed{"BPF", "NET_ADMIN", "PERFMON"};
  for (const std::string& missing : needed) {
    auto names = needed;
    std::erase(names, missing);
    with_capabilities(names);
    launch_agent();
    EXPECT_EQ(agent().wait(), 1) << "without " << missing;
    EXPECT_NE(agent().err().find("CAP_" + missing), std::string::npos) << agent().err();
  }
}

TEST_P(AgentPod, FollowsItsProjectedToken) {
  start_agent();
  project_token(cluster->rotate_token());
  cluster->cable().cut();
  cluster->cable().mend();
  move_web_to("10.1.0.2");
  expect_only(kTwo);
}

INSTANTIATE_TEST_SUITE_P(On, AgentPod, testing::ValuesIn(cluster_kinds()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::kube
