#include <cmath>
#include <limits>

#include "noctis/quantise.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

Feature feature_named(const std::string& name) {
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    if (name == kFeatures[i].name) {
      return static_cast<Feature>(i);
    }
  }
  FAIL("no feature is called ", name);
  return hr_mean;
}

}  // namespace

TEST_CASE("values become the codes of the golden vectors") {
  const Json vectors = load_vectors("features.json");
  const cJSON* vector = nullptr;
  cJSON_ArrayForEach(vector, vectors.get()) {
    const std::string name = text(vector, "feature");
    const cJSON* value = cJSON_GetObjectItem(vector, "value");
    const double physical = cJSON_IsNull(value) ? std::nan("") : value->valuedouble;
    CAPTURE(name);
    CAPTURE(physical);
    CHECK(quantise(feature_named(name), physical) == number<std::uint16_t>(vector, "code"));
  }
}

TEST_CASE("every code stands for a value that has this code") {
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const auto feature = static_cast<Feature>(i);
    for (std::uint16_t code = 0; code < missing_code(feature); ++code) {
      CAPTURE(kFeatures[i].name);
      CHECK(quantise(feature, dequantise(feature, code)) == code);
    }
  }
}

TEST_CASE("the all-ones code is missing, and only it") {
  CHECK(missing_code(hr_mean) == 511);
  CHECK(missing_code(quality) == 31);
  CHECK(std::isnan(dequantise(hr_mean, 511)));
  CHECK(dequantise(hr_mean, 510) == doctest::Approx(221.25));
}

TEST_CASE("a value beyond the range takes the code of its end, never the missing one") {
  CHECK(quantise(hr_mean, 1e9) == 510);
  CHECK(quantise(hr_mean, -1e9) == 0);
  CHECK(quantise(act_count, 1e12) == 254);
  CHECK(quantise(act_count, -5.0) == 0);
}

TEST_CASE("what is no finite number is missing") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CHECK(quantise(hr_mean, std::nan("")) == 511);
  CHECK(quantise(hr_mean, infinity) == 511);
  CHECK(quantise(hr_mean, -infinity) == 511);
  CHECK(quantise(act_count, std::nan("")) == 255);
  CHECK(quantise(act_count, infinity) == 255);
}

TEST_CASE("a value halfway between two codes takes the upper one") {
  CHECK(quantise(hr_mean, 30.1875) == 1);
  CHECK(quantise(hr_slope, -78.125) == 1);
  CHECK(quantise(hr_range, 0.5) == 1);
}
