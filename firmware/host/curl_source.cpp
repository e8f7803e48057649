#include "curl_source.hpp"

#include <algorithm>
#include <utility>

namespace noctis::host {
namespace {

constexpr std::size_t kMostWaiting = std::size_t{64} * 1024;
constexpr long kConnectS = 10;
constexpr long kPartial = 206;
constexpr long kWhole = 200;
constexpr long kRefused = 400;
constexpr long kServerAtFault = 500;
constexpr long kSlowDown = 429;

}  // namespace

CurlSource::CurlSource(std::string ca) : ca_(std::move(ca)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_.reset(curl_multi_init());
}

CurlSource::~CurlSource() { CurlSource::close(); }

void CurlSource::open(const char* url, std::uint32_t offset) {
  close();
  easy_.reset(curl_easy_init());
  offset_ = offset;
  end_ = kNothingYet;
  trouble_.fill('\0');
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(offset));
  curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectS);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, trouble_.data());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &CurlSource::take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  if (!ca_.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_.c_str());
  }
  if (curl_multi_add_handle(multi_.get(), easy) != CURLM_OK) {
    end_ = kFailed;
  }
}

void CurlSource::close() {
  if (easy_) {
    curl_multi_remove_handle(multi_.get(), easy_.get());
  }
  easy_.reset();
  waiting_.clear();
  taken_ = 0;
  paused_ = false;
}

std::size_t CurlSource::take(char* data, std::size_t one, std::size_t count, void* self) {
  auto& source = *static_cast<CurlSource*>(self);
  const std::size_t size = one * count;
  if (source.waiting_.size() - source.taken_ + size > kMostWaiting) {
    source.paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  source.waiting_.insert(source.waiting_.end(), data, data + size);
  return size;
}

// A server that knows no ranges would send the beginning for the rest: libcurl fails then.
int CurlSource::verdict(CURLcode code) const {
  long answer = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &answer);
  if (code == CURLE_OK && (answer == kWhole || answer == kPartial)) {
    return kEnded;
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION) {
    return kUntrusted;
  }
  const bool refused = answer >= kRefused && answer < kServerAtFault && answer != kSlowDown;
  return refused ? kGone : kFailed;
}

void CurlSource::proceed() {
  int running = 0;
  curl_multi_perform(multi_.get(), &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE) {
      end_ = verdict(message->data.result);
    }
  }
}

int CurlSource::read(std::uint8_t* to, std::size_t size) {
  if (!easy_) {
    return kFailed;
  }
  if (taken_ == waiting_.size()) {
    waiting_.clear();
    taken_ = 0;
    if (std::exchange(paused_, false)) {
      curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
    }
    if (end_ == kNothingYet) {
      proceed();
    }
  }
  const std::size_t count = std::min(size, waiting_.size() - taken_);
  if (count == 0) {
    return end_;
  }
  std::copy_n(waiting_.begin() + static_cast<std::ptrdiff_t>(taken_), count, to);
  taken_ += count;
  return static_cast<int>(count);
}

}  // namespace noctis::host
