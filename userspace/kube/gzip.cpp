// SPDX-License-Identifier: Apache-2.0
#include "kube/gzip.h"

#include <zlib.h>

#include <array>

namespace topolb::kube {
namespace {
constexpr int kGzipWindowBits = 15 + 16;  // zlib's way of saying "gzip header"
}

void Gunzip::Deleter::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

Gunzip::Gunzip() : stream_(new z_stream{}) { inflateInit2(stream_.get(), kGzipWindowBits); }

Result<std::string> Gunzip::feed(std::string_view compressed) {
  std::string plain;
  std::array<char, 32768> buffer;
  // zlib's interface has no const.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream_->avail_in = static_cast<uInt>(compressed.size());
  while (!finished_) {
    stream_->next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_->avail_out = static_cast<uInt>(buffer.size());
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return make_error("gunzip the response: damaged data");
    }
    plain.append(buffer.data(), buffer.size() - stream_->avail_out);
    finished_ = result == Z_STREAM_END;
    if (stream_->avail_out != 0) break;  // the input is used up
  }
  return plain;
}

}  // namespace topolb::kube
