// SPDX-License-Identifier: Apache-2.0
// The objects of a document, once its text is parsed. Internal to the decoder.
#pragma once

#include <optional>
#include <string_view>

#include "kube/decode.h"
#include "kube/decode_fields.h"

namespace topolb::kube {

struct TypeMeta {
  std::string_view kind;
  std::string_view api_version;
};

class DocumentDecoder {
 public:
  /// What an item of a list takes from the list, and a document from whoever asked for it.
  struct Inherited {
    std::optional<Kind> kind;
    std::string_view api_version;
  };

  /// An object or a list of them. Error: a list without items.
  Result<void> decode(const Value& value, const FieldPath& path, const Inherited& inherited);
  /// The same, when its type is known already.
  Result<void> decode_typed(const Fields& fields, const TypeMeta& meta, const FieldPath& path,
                            const Inherited& inherited);
  DecodedDocument take() { return std::move(document_); }

 private:
  Result<void> decode_list(const Fields& list, const FieldPath& path, const Inherited& items);
  void decode_object(const Fields& object, const FieldPath& path, Kind kind,
                     std::string_view api_version);
  static ObjectId decode_identity(const Fields& object, Kind kind);
  static void decode_body(const Fields& object, DecodedObject& decoded);
  void add_problems(ProblemSink& sink, const core::ObjectKey& key = {});

  DecodedDocument document_;
  bool in_list_ = false;
};

}  // namespace topolb::kube
