// SPDX-License-Identifier: Apache-2.0
// topolbd(8), from the flags that --help is made of.
#pragma once

#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own
class App;
}

namespace topolb::agent {

/// In the language of man(7).
std::string man_page(const CLI::App& app);

}  // namespace topolb::agent
