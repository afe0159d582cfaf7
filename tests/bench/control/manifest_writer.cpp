// SPDX-License-Identifier: Apache-2.0
#include "manifest_writer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>

namespace topolb::bench {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

// As kubectl writes it: without quotes where the text cannot be taken for something else.
std::string scalar(const element& value) {
  if (value.type() != element_type::STRING) return simdjson::minify(value);
  const std::string_view text = value.get_string().value();
  const bool plain = !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
                     text.size() > 5 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '/';
                     });
  return plain ? std::string(text) : simdjson::minify(value);
}

bool is_block(const element& value) {
  if (value.type() == element_type::OBJECT) return value.get_object().value().size() > 0;
  return value.type() == element_type::ARRAY && value.get_array().value().size() > 0;
}

void write_block(const element& value, std::size_t indent, std::string& text);

// What stands behind a key or a dash.
void write_value(const element& value, std::size_t indent, bool in_list, std::string& text) {
  if (!is_block(value)) {
    text += (value.type() == element_type::OBJECT  ? "{}"
             : value.type() == element_type::ARRAY ? "[]"
                                                   : scalar(value)) +
            "\n";
    return;
  }
  if (in_list) {
    std::string block;
    write_block(value, indent + 2, block);
    text += block.substr(indent + 2);
  } else {
    text += "\n";
    write_block(value, indent + (value.type() == element_type::OBJECT ? 2 : 0), text);
  }
}

void write_block(const element& value, std::size_t indent, std::string& text) {
  if (value.type() == element_type::OBJECT) {
    const simdjson::dom::object object = value.get_object();
    for (const auto& [key, child] : object) {
      const bool plain = key.find_first_of(".:\"{}\\") == std::string_view::npos;
      text += std::string(indent, ' ') + (plain ? std::string(key) : fmt::format("'{}'", key)) +
              (is_block(child) ? ":" : ": ");
      write_value(child, indent, false, text);
    }
    return;
  }
  const simdjson::dom::array list = value.get_array();
  for (const element& child : list) {
    text += std::string(indent, ' ') + "- ";
    write_value(child, indent, true, text);
  }
}

class Writer {
 public:
  Writer(std::string directory, bool yaml) : directory_(std::move(directory)), yaml_(yaml) {}

  void add(const std::string& name, const std::string& json) {
    std::ofstream file(fmt::format("{}/{}.{}", directory_, name, yaml_ ? "yaml" : "json"),
                       std::ios::app);
    if (!yaml_) {
      file << json << '\n';
      return;
    }
    std::string text = "---\n";
    write_block(parser_.parse(json), 0, text);
    file << text;
  }

 private:
  std::string directory_;
  bool yaml_;
  simdjson::dom::parser parser_;
};

}  // namespace

void write_manifests(const ClusterSize& size, bool yaml, const std::string& directory) {
  std::filesystem::create_directory(directory);
  const GeneratedCluster cluster(size);
  Writer writer(directory, yaml);
  for (std::uint32_t node = 0; node < size.nodes; ++node) {
    // In files they are what they are: only an API can be asked for metadata.
    std::string text = cluster.node(node);
    text.replace(0, text.find("\"metadata\""), R"({"kind":"Node","apiVersion":"v1",)");
    writer.add("nodes", text);
  }
  for (std::uint32_t service = 0; service < size.services; ++service) {
    const std::string file = fmt::format("team-{:03}", service % 100);
    writer.add(file, cluster.service(service));
    for (std::uint32_t i = 0; i < cluster.slices_of(service); ++i) {
      writer.add(file, cluster.slice(service, i));
    }
  }
}

}  // namespace topolb::bench
