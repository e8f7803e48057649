#include "noctis/offer.hpp"

#include <algorithm>

namespace noctis {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// The members of a flat object by their names; the first line's or the manifest's.
template <std::size_t Count>
class Members {
 public:
  explicit Members(const std::array<std::string_view, Count>& names) : names_(names) {}

  // False where the text is no such object, or a name comes twice.
  bool read(std::string_view text) {
    JsonReader reader(text);
    JsonMember member;
    bool once = true;
    while (reader.next(member)) {
      const auto* const name = std::find(names_.begin(), names_.end(), member.name);
      if (name == names_.end()) {
        continue;
      }
      JsonMember& place = members_[static_cast<std::size_t>(name - names_.begin())];
      once = once && place.name.empty();
      place = member;
    }
    return once && reader.complete();
  }
  [[nodiscard]] std::string_view text(std::size_t member) const {
    return members_[member].text.value_or(std::string_view());
  }
  bool number(std::size_t member, std::uint32_t& to) const {
    to = members_[member].number.value_or(0);
    return members_[member].number.has_value();
  }

 private:
  const std::array<std::string_view, Count>& names_;
  std::array<JsonMember, Count> members_{};
};

template <std::size_t Size>
bool read_hex(std::string_view text, std::array<std::uint8_t, Size>& to) {
  if (text.size() != 2 * Size) {
    return false;
  }
  for (std::size_t i = 0; i < Size; ++i) {
    const std::size_t high = kHexDigits.find(text[2 * i]);
    const std::size_t low = kHexDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return false;
    }
    to[i] = static_cast<std::uint8_t>(16U * high + low);
  }
  return true;
}

bool is_word(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most;
}

enum First : std::uint8_t { kRollout, kUrl, kKey, kSignature };
constexpr std::array<std::string_view, 4> kFirst{"rollout", "url", "key", "signature"};

enum Second : std::uint8_t {
  kTarget,
  kVersion,
  kBuild,
  kLeast,
  kFloor,
  kDowngrade,
  kExpires,
  kSize,
  kSha256
};
constexpr std::array<std::string_view, 9> kSecond{
    "target", "version", "build", "least", "floor", "downgrade", "expires", "size", "sha256"};

bool read_first(const Members<kFirst.size()>& members, Offer& offer) {
  const std::string_view key = members.text(kKey);
  std::array<std::uint8_t, KeyId{}.size() / 2> id{};
  offer.url = members.text(kUrl);
  if (!is_word(offer.url, kMostUrl) || !read_hex(key, id) ||
      !read_hex(members.text(kSignature), offer.signature)) {
    return false;
  }
  std::copy(key.begin(), key.end(), offer.key.begin());
  return true;
}

}  // namespace

std::optional<Offer> read_offer(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find('\n');
  if (size > kMostOffer || end == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view line = text;
  line.remove_suffix(size - end);
  Members<kFirst.size()> members(kFirst);
  const bool readable = members.read(line);
  const std::string_view rollout = members.text(kRollout);
  if (!readable || !is_command_id(rollout)) {
    return std::nullopt;
  }
  Offer offer{};
  std::copy(rollout.begin(), rollout.end(), offer.rollout.begin());
  offer.whole = read_first(members, offer);
  offer.manifest = text;
  offer.manifest.remove_prefix(end + 1);
  return offer;
}

std::optional<Manifest> read_manifest(std::string_view text) {
  Members<kSecond.size()> members(kSecond);
  if (!members.read(text)) {
    return std::nullopt;
  }
  Manifest manifest;
  std::uint32_t downgrade = 0;
  manifest.target = members.text(kTarget);
  manifest.version = members.text(kVersion);
  const bool whole =
      members.number(kBuild, manifest.build) && members.number(kLeast, manifest.least) &&
      members.number(kFloor, manifest.floor) && members.number(kDowngrade, downgrade) &&
      members.number(kExpires, manifest.expires_s) && members.number(kSize, manifest.size) &&
      read_hex(members.text(kSha256), manifest.sha256);
  manifest.downgrade = downgrade == 1;
  const bool sound = whole && is_word(manifest.target, kMostTarget) &&
                     is_word(manifest.version, kMostVersion) && manifest.build > 0 &&
                     manifest.floor <= manifest.build && downgrade <= 1 && manifest.size > 0;
  return sound ? std::optional(manifest) : std::nullopt;
}

}  // namespace noctis
