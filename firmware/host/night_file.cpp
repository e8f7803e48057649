#include "night_file.hpp"

#include <cjson/cJSON.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

namespace noctis::host {
namespace {

using Json = std::unique_ptr<cJSON, void (*)(cJSON*)>;

}  // namespace

std::optional<NightMark> load_mark(const std::string& path) {
  const std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const Json json(cJSON_Parse(text.str().c_str()), cJSON_Delete);
  const cJSON* night = cJSON_GetObjectItem(json.get(), "night");
  const cJSON* start = cJSON_GetObjectItem(json.get(), "start");
  const cJSON* seq = cJSON_GetObjectItem(json.get(), "seq");
  const cJSON* place = cJSON_GetObjectItem(json.get(), "place");
  if (cJSON_IsString(night) == 0 || cJSON_IsNumber(start) == 0 || cJSON_IsNumber(seq) == 0 ||
      cJSON_IsNumber(place) == 0) {
    return std::nullopt;
  }
  return NightMark{night->valuestring, start->valuedouble,
                   static_cast<std::uint32_t>(seq->valuedouble), place->valuedouble};
}

bool save_mark(const std::string& path, const NightMark& mark) {
  const Json json(cJSON_CreateObject(), cJSON_Delete);
  cJSON_AddStringToObject(json.get(), "night", mark.night.c_str());
  cJSON_AddNumberToObject(json.get(), "start", mark.start_s);
  cJSON_AddNumberToObject(json.get(), "seq", mark.seq);
  cJSON_AddNumberToObject(json.get(), "place", mark.place_s);
  const std::unique_ptr<char, void (*)(void*)> text(cJSON_PrintUnformatted(json.get()),
                                                    cJSON_free);
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << text.get() << '\n';
  file.close();
  return file.good() && std::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace noctis::host
