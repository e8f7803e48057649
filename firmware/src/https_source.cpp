#include "https_source.hpp"

#include <esp_http_client.h>
#include <esp_idf_version.h>
#include <mbedtls/pem.h>

#include <algorithm>
#include <cstdio>

namespace noctis::esp {
namespace {

constexpr std::size_t kStream = 8192;
constexpr std::size_t kPiece = 1024;
constexpr std::uint32_t kStack = 8192;
constexpr int kTimeoutMs = 10'000;
constexpr int kOk = 200;
constexpr int kPartial = 206;
constexpr int kNotFound = 404;
constexpr int kGoneForGood = 410;

// Whether the server's certificate is why there is no connection.
bool distrusted(esp_http_client_handle_t client) {
#if ESP_IDF_VERSION_MAJOR >= 5
  int code = 0;
  int flags = 0;
  esp_http_client_get_and_clear_last_tls_error(client, &code, &flags);
  return flags != 0;
#else
  static_cast<void>(client);
  return false;
#endif
}

}  // namespace

HttpsSource::HttpsSource(const ByteView& ca)
    : ca_(ca), stream_(xStreamBufferCreate(kStream, 1)) {}

void HttpsSource::open(const char* url, std::uint32_t offset) {
  close();
  std::snprintf(url_.data(), url_.size(), "%s", url);
  offset_ = offset;
  stop_ = false;
  end_ = kNothingYet;
  running_ = stream_ != nullptr;
  if (!running_ || xTaskCreate(run, "image", kStack, this, 1, nullptr) != pdPASS) {
    running_ = false;
    end_ = kFailed;
  }
}

int HttpsSource::read(std::uint8_t* to, std::size_t size) {
  const std::size_t count = stream_ == nullptr ? 0 : xStreamBufferReceive(stream_, to, size, 0);
  if (count > 0) {
    return static_cast<int>(count);
  }
  if (running_) {
    return kNothingYet;
  }
  // What came between the two looks.
  const std::size_t rest = stream_ == nullptr ? 0 : xStreamBufferReceive(stream_, to, size, 0);
  return rest > 0 ? static_cast<int>(rest) : static_cast<int>(end_);
}

void HttpsSource::close() {
  stop_ = true;
  while (running_) {
    vTaskDelay(pdMS_TO_TICKS(10));
  }
  if (stream_ != nullptr) {
    xStreamBufferReset(stream_);
  }
  end_ = kFailed;
}

void HttpsSource::run(void* self) {
  auto& source = *static_cast<HttpsSource*>(self);
  source.end_ = source.fetch();
  source.running_ = false;
  vTaskDelete(nullptr);
}

int HttpsSource::fetch() {
  std::size_t pem_size = 0;
  const bool checked =
      ca_.size > 0 &&
      mbedtls_pem_write_buffer(
          "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", ca_.data, ca_.size,
          reinterpret_cast<unsigned char*>(pem_.data()), pem_.size(), &pem_size) == 0;
  if (!checked) {
    return kFailed;
  }
  esp_http_client_config_t config{};
  config.url = url_.data();
  config.cert_pem = pem_.data();
  config.timeout_ms = kTimeoutMs;
  esp_http_client_handle_t client = esp_http_client_init(&config);
  if (client == nullptr) {
    return kFailed;
  }
  const int end = pass_on(client);
  esp_http_client_cleanup(client);
  return end;
}

int HttpsSource::pass_on(void* handle) {
  auto* client = static_cast<esp_http_client_handle_t>(handle);
  std::array<char, 32> range{};
  std::snprintf(range.data(), range.size(), "bytes=%lu-", static_cast<unsigned long>(offset_));
  if (offset_ > 0) {
    esp_http_client_set_header(client, "Range", range.data());
  }
  if (esp_http_client_open(client, 0) != ESP_OK || esp_http_client_fetch_headers(client) < 0) {
    return distrusted(client) ? kUntrusted : kFailed;
  }
  const int status = esp_http_client_get_status_code(client);
  if (status == kNotFound || status == kGoneForGood) {
    return kGone;
  }
  if (status != (offset_ > 0 ? kPartial : kOk)) {
    return kFailed;
  }
  std::array<char, kPiece> piece{};
  while (!stop_) {
    const int count = esp_http_client_read(client, piece.data(), piece.size());
    if (count <= 0) {
      return count == 0 && esp_http_client_is_complete_data_received(client) ? kEnded : kFailed;
    }
    auto left = static_cast<std::size_t>(count);
    for (const char* at = piece.data(); left > 0 && !stop_;) {
      const std::size_t sent = xStreamBufferSend(stream_, at, left, pdMS_TO_TICKS(100));
      at += sent;
      left -= sent;
    }
  }
  return kFailed;
}

}  // namespace noctis::esp
