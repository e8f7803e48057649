// Where an image of the firmware comes from: HTTPS, by a task of its own.
#pragma once

#include <freertos/FreeRTOS.h>
#include <freertos/stream_buffer.h>
#include <freertos/task.h>

#include <array>
#include <atomic>

#include "noctis/identity.hpp"
#include "noctis/image_source.hpp"
#include "noctis/offer.hpp"

namespace noctis::esp {

class HttpsSource : public ImageSource {
 public:
  // The server's certificate is one of that CA (DER), which must outlive the source.
  explicit HttpsSource(const ByteView& ca);

  void open(const char* url, std::uint32_t offset) override;
  int read(std::uint8_t* to, std::size_t size) override;
  void close() override;

 private:
  static constexpr std::size_t kMostPem = 4096;

  static void run(void* self);
  int fetch();
  int pass_on(void* client);

  ByteView ca_;
  std::array<char, kMostPem> pem_{};
  std::array<char, kMostUrl + 1> url_{};
  std::uint32_t offset_ = 0;
  StreamBufferHandle_t stream_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<bool> running_{false};
  std::atomic<int> end_{kNothingYet};  // how it ended
};

}  // namespace noctis::esp
