// SPDX-License-Identifier: Apache-2.0
// Why a Service gets its backends, as text and JSON.
#pragma once

#include <ostream>
#include <string>

#include "core/explain.h"

namespace topolb::cli {

struct ExplainView {
  std::string node;
  core::ObjectKey service;
  core::ServiceExplanation explanation;  // its ports: those to show
};

/// The endpoints are grouped by why they are in or out.
void print_explanation(std::ostream& out, const ExplainView& view);
void print_explanation_json(std::ostream& out, const ExplainView& view);

}  // namespace topolb::cli
