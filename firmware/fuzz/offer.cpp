// Any bytes as an offer of firmware.
#include "noctis/offer.hpp"

#include <string>

#include "expect.hpp"

using noctis::fuzz::expect;

namespace {

void check_manifest(std::string_view text) {
  const auto manifest = noctis::read_manifest(text);
  if (!manifest) {
    return;
  }
  const auto lies_within = [text](std::string_view part) {
    return part.data() > text.data() && part.data() + part.size() < text.data() + text.size();
  };
  expect(lies_within(manifest->target) && lies_within(manifest->version), "views of the text");
  expect(manifest->target.size() <= noctis::kMostTarget, "a target is short");
  expect(manifest->version.size() <= noctis::kMostVersion, "a version is short");
  expect(manifest->build > 0 && manifest->size > 0, "no number is missing");
  expect(manifest->floor <= manifest->build, "no image is below its own floor");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_manifest(text);
  const auto offer = noctis::read_offer(data, size);
  if (!offer) {
    return 0;
  }
  expect(size <= noctis::kMostOffer, "an offer is short");
  const std::string id(offer->rollout.begin(), offer->rollout.end());
  expect(text.find('"' + id + '"') != std::string_view::npos,
         "the rollout is the one that came");
  expect(offer->manifest.data() + offer->manifest.size() == text.data() + text.size(),
         "the manifest is all behind the first line");
  expect(offer->manifest.data()[-1] == '\n', "and begins with the second");
  if (offer->whole) {
    expect(!offer->url.empty() && offer->url.size() <= noctis::kMostUrl, "a url has a length");
  }
  check_manifest(offer->manifest);
  return 0;
}
