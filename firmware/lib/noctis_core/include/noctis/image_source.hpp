// Where an image is fetched from: HTTPS, which its adapter knows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

class ImageSource {
 public:
  // What read() returns instead of a number of bytes.
  static constexpr int kNothingYet = 0;
  static constexpr int kEnded = -1;   // there is no more
  static constexpr int kFailed = -2;  // the way there, or the server: worth to be tried again
  static constexpr int kGone = -3;    // the server does not have it
  static constexpr int kUntrusted = -4;  // whoever answers is not the server; as kFailed

  ImageSource() = default;
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;
  virtual ~ImageSource() = default;

  // Begins to fetch what lies at `url` from that byte on, and ends what was being fetched. Does
  // not wait; that it cannot be done read() says.
  virtual void open(const char* url, std::uint32_t offset) = 0;
  // Takes what has come, `size` bytes at most, without waiting.
  virtual int read(std::uint8_t* to, std::size_t size) = 0;
  virtual void close() = 0;
  // Why read() said kFailed or kUntrusted, for people; empty: nobody knows.
  virtual const char* trouble() const { return ""; }
};

}  // namespace noctis
