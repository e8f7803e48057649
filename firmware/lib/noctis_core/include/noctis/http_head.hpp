// The head of an HTTP/1.1 request, byte by byte, in bounded memory. RFC 9112, strictly: what is
// not spelled as it says is refused, as are bodies of unknown length.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace noctis {

class HttpHead {
 public:
  static constexpr std::size_t kMostLine = 256;   // of what is read; others are skipped
  static constexpr std::size_t kMostHead = 8192;  // bytes in all
  static constexpr std::size_t kMostPath = 64;    // a longer one is cut
  static constexpr std::size_t kMostHost = 72;    // a longer one is refused

  enum class Found : std::uint8_t { nothing, whole, refused };
  enum class Method : std::uint8_t { get, head, post };

  Found push(std::uint8_t byte);

  Method method() const { return method_; }
  // Without the query.
  std::string_view path() const { return {path_.data(), path_size_}; }
  std::string_view host() const { return {host_.data(), host_size_}; }
  // The page that sent a form, as "http://host"; empty: it was not said.
  std::string_view origin() const { return {origin_.data(), origin_size_}; }
  bool is_form() const { return is_form_; }
  std::size_t content_length() const { return content_length_; }
  // The status code of what was refused.
  int refusal() const { return refusal_; }

 private:
  Found refuse(int status);
  Found end_line();
  bool take_request(std::string_view line);
  bool take_field(std::string_view line);
  bool take_known(std::string_view name, std::string_view value);
  bool take_length(std::string_view value);
  bool fail(int status);

  std::array<char, kMostLine> line_{};
  std::size_t line_size_ = 0;  // may be more than were kept
  std::size_t size_ = 0;
  std::array<char, kMostPath> path_{};
  std::size_t path_size_ = 0;
  std::array<char, kMostHost> host_{};
  std::size_t host_size_ = 0;
  std::array<char, kMostHost> origin_{};
  std::size_t origin_size_ = 0;
  std::size_t content_length_ = 0;
  int refusal_ = 0;
  Method method_ = Method::get;
  bool begun_ = false;  // the first line is there
  bool needs_host_ = false;
  bool has_host_ = false;
  bool has_length_ = false;
  bool is_form_ = false;
  bool returned_ = false;  // the byte before was CR
};

}  // namespace noctis
