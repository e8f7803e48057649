#include "boxed_device.hpp"

#include <chrono>
#include <thread>

#include "image_id.hpp"

namespace noctis::host {
namespace {

class SteadyClock : public Clock {
 public:
  explicit SteadyClock(int rate) : rate_(rate) {}

  [[nodiscard]] std::uint64_t monotonic_ms() const override {
    using Milliseconds = std::chrono::milliseconds;
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(rate_ *
                                      std::chrono::duration_cast<Milliseconds>(now).count());
  }

 private:
  int rate_;
};

std::string bytes_of(const ByteView& view) {
  return {reinterpret_cast<const char*>(view.data), view.size};
}

}  // namespace

bool BoxedDevice::open(std::string& error) {
  store_ = FileStore::open(options_.box.store, error);
  if (!store_) {
    return false;
  }
  if (!options_.box.line.empty() && !line_.open(options_.box.line)) {
    error = options_.box.line + " is no serial line: name a terminal, as of a pty";
    return false;
  }
  clock_ = std::make_unique<SteadyClock>(options_.box.clock_rate);
  room_ = std::make_unique<Room>(options_.box.network, options_.box.network_password);
  return true;
}

bool BoxedDevice::run(const volatile int* stop, std::string& error) {
  End end = End::restart;
  while (end == End::restart && *stop == 0) {
    end = boot(stop, error);
  }
  return end != End::failed;
}

BoxedDevice::End BoxedDevice::boot(const volatile int* stop, std::string& error) {
  portal_.reset();
  provisioner_ = std::make_unique<Provisioner>(
      *store_, *room_, line_, *clock_,
      Provisioner::Firmware{running_image().version, running_image().target});
  provisioner_->begin();
  if (options_.box.portal_port != 0) {
    portal_ = std::make_unique<HostPortal>(*provisioner_, *store_, *clock_,
                                           options_.box.portal_port, options_.box.portal_dns);
  }
  if (const auto& identity = provisioner_->identity()) {
    return live(*identity, stop, error);
  }
  while (*stop == 0 && !provisioner_->restart_due()) {
    attend();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return provisioner_->restart_due() ? End::restart : End::stop;
}

void BoxedDevice::attend() {
  std::array<std::uint8_t, 256> bytes{};
  while (const std::size_t size = line_.read(bytes.data(), bytes.size())) {
    provisioner_->push(bytes.data(), size);
  }
  provisioner_->poll();
  if (portal_) {
    portal_->poll();
  }
}

Options BoxedDevice::options_of(const Identity& identity) const {
  Options options = options_;
  options.tenant = identity.tenant;
  options.device = identity.device;
  options.host = identity.host;
  options.port = identity.port;
  options.claim = {
      std::string(identity.password),
      {bytes_of(identity.ca), bytes_of(identity.certificate), bytes_of(identity.key)}};
  return options;
}

BoxedDevice::End BoxedDevice::live(const Identity& identity, const volatile int* stop,
                                   std::string& error) {
  const Options options = options_of(identity);
  Fleet fleet(options);
  if (!fleet.open(error)) {
    return End::failed;
  }
  fleet.attend(
      [this, &fleet] {
        const MosquittoUplink* const uplink = fleet.uplink();
        why_ = uplink != nullptr ? uplink->refusal() : "";
        provisioner_->set_platform(uplink != nullptr && uplink->up(), why_.c_str());
        attend();
        return !provisioner_->restart_due();
      },
      [this] { return room_->joined(); });
  if (!fleet.run(stop, error)) {
    return End::failed;
  }
  boot_due_ = fleet.boot_due();
  return provisioner_->restart_due() ? End::restart : End::stop;
}

}  // namespace noctis::host
