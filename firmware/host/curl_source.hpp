// Images over HTTP and HTTPS by libcurl, polled like everything else of a device.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "noctis/image_source.hpp"

namespace noctis::host {

class CurlSource : public ImageSource {
 public:
  // `ca`: a file of the CA that HTTPS servers are checked by; empty: the machine's own.
  explicit CurlSource(std::string ca);
  ~CurlSource() override;

  void open(const char* url, std::uint32_t offset) override;
  int read(std::uint8_t* to, std::size_t size) override;
  void close() override;
  const char* trouble() const override { return trouble_.data(); }

 private:
  struct MultiDeleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };

  static std::size_t take(char* data, std::size_t one, std::size_t count, void* self);
  void proceed();
  int verdict(CURLcode code) const;

  std::string ca_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  std::vector<std::uint8_t> waiting_;  // what has come and was not read
  std::size_t taken_ = 0;              // of it
  std::uint32_t offset_ = 0;
  int end_ = kNothingYet;  // what read() says once nothing waits
  bool paused_ = false;
  std::array<char, CURL_ERROR_SIZE> trouble_{};
};

}  // namespace noctis::host
