#include "noctis/portal.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

#include "noctis/form.hpp"

namespace noctis {
namespace {

constexpr int kOk = 200;
constexpr int kSeeOther = 303;
constexpr int kFound = 302;
constexpr int kBadRequest = 400;
constexpr int kForbidden = 403;
constexpr int kNotAllowed = 405;
constexpr int kTooLarge = 413;
constexpr int kNoForm = 415;
constexpr int kBusy = 503;

// Without i, l, o, u, 0 and 1, which look like others on a label.
constexpr std::string_view kLetters = "abcdefghjkmnpqrstvwxyz23456789";

constexpr std::string_view kTop =
    "<!doctype html><html lang=en><meta charset=utf-8>"
    "<meta name=viewport content=\"width=device-width\"><title>Noctis</title>"
    "<style>body{font:1em sans-serif;max-width:30em;margin:1em auto;padding:0 1em}"
    "input,textarea,button{display:block;width:100%;margin:.3em 0 1em;font:inherit;"
    "box-sizing:border-box}</style>";
constexpr std::string_view kAgain = "<meta http-equiv=refresh content=2>";
constexpr std::string_view kForm =
    "<form method=post action=/save autocomplete=off>"
    "<label>Wi-Fi network (2.4 GHz)<input name=wifi maxlength=32></label>"
    "<label>Its password<input name=wifi_password type=password maxlength=64></label>"
    "<label>Claim, as <code>noctis device provision --portal</code> prints it"
    "<textarea name=claim rows=5></textarea></label>"
    "<details><summary>Without a claim</summary>"
    "<label>Device, as home/bed<input name=device maxlength=65></label>"
    "<label>Broker<input name=host maxlength=64></label>"
    "<label>Port<input name=port inputmode=numeric value=1883 maxlength=5></label>"
    "<label>Its password<input name=password type=password maxlength=64></label>"
    "</details><button>Save</button></form>";

const char* reason_of(int status) {
  switch (status) {
    case kOk:
      return "OK";
    case kFound:
      return "Found";
    case kSeeOther:
      return "See Other";
    case kForbidden:
      return "Forbidden";
    case kNotAllowed:
      return "Method Not Allowed";
    case kTooLarge:
      return "Content Too Large";
    case kNoForm:
      return "Unsupported Media Type";
    case kBusy:
      return "Service Unavailable";
    default:
      return "Bad Request";
  }
}

void write(Port& to, std::string_view text) {
  to.write(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

// A number that somebody typed; 0: none.
std::uint16_t port_of(std::string_view text) {
  std::uint32_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9' || text.size() > 5) {
      return 0;
    }
    number = 10 * number + static_cast<std::uint32_t>(digit - '0');
  }
  return number <= 0xFFFF ? static_cast<std::uint16_t>(number) : std::uint16_t{0};
}

// The network of a form as Improv brings it; its size, 0: none was named.
std::optional<std::size_t> wifi_of(const Form& form, std::array<std::uint8_t, kMostWifi>& to) {
  const std::string_view name = form.value("wifi");
  const std::string_view password = form.value("wifi_password");
  const std::size_t size = 2 + name.size() + password.size();
  if (name.empty()) {
    return password.empty() ? std::optional<std::size_t>(0) : std::nullopt;
  }
  if (size > to.size()) {
    return std::nullopt;
  }
  to[0] = static_cast<std::uint8_t>(name.size());
  auto* at = std::copy(name.begin(), name.end(), &to[1]);
  *at++ = static_cast<std::uint8_t>(password.size());
  std::copy(password.begin(), password.end(), at);
  return size;
}

constexpr std::size_t kMostTyped =
    3 + 5 * 3 + 2 * kMostName + kMostHost + 2 + kMostPassword + 4;

}  // namespace

void Portal::begin(std::uint32_t tag, std::uint64_t random, std::uint64_t more_random) {
  std::snprintf(network_.data(), network_.size(), "Noctis-%04X",
                static_cast<unsigned>(tag & 0xFFFFU));
  std::array<std::uint8_t, kPasswordSize> kept{};
  const auto size = parts_.store.get(kPasswordName, kept.data(), kept.size());
  if (!size || *size != kPasswordSize) {
    for (std::size_t i = 0; i < kPasswordSize; ++i) {
      std::uint64_t& bits = i < kPasswordSize / 2 ? random : more_random;
      kept[i] =
          static_cast<std::uint8_t>(kLetters[static_cast<std::size_t>(bits % kLetters.size())]);
      bits /= kLetters.size();
    }
    parts_.store.put(kPasswordName, kept.data(), kept.size());
  }
  std::copy(kept.begin(), kept.end(), password_.begin());
  if (!parts_.provisioner.identity()) {
    open();
  }
}

void Portal::open() {
  open_ = parts_.access_point.open(network_.data(), password_.data());
  until_ms_ = parts_.clock.monotonic_ms() + kOpenMs;
}

void Portal::close() {
  parts_.access_point.close();
  open_ = false;
  for (std::size_t visit = 0; visit < kVisits; ++visit) {
    end_visit(visit);
  }
}

void Portal::poll(bool pressed) {
  const std::uint64_t now_ms = parts_.clock.monotonic_ms();
  if (button_.step(pressed, now_ms)) {
    open();
  }
  if (open_ && now_ms >= until_ms_ && !parts_.provisioner.trying()) {
    close();
  }
}

void Portal::begin_visit(std::size_t visit) {
  end_visit(visit);
  visits_[visit] = {};
  visits_[visit].answered = false;
  visits_[visit].deadline_ms = parts_.clock.monotonic_ms() + kVisitMs;
}

void Portal::end_visit(std::size_t visit) {
  visits_[visit].answered = true;
  if (body_of_ == visit) {
    body_of_ = kNobody;
    body_.fill('\0');
  }
}

bool Portal::overdue(std::size_t visit) const {
  return !open_ || parts_.clock.monotonic_ms() >= visits_[visit].deadline_ms;
}

bool Portal::push(std::size_t number, const std::uint8_t* data, std::size_t size, Port& to) {
  Visit& visit = visits_[number];
  for (std::size_t i = 0; i < size && !visit.answered; ++i) {
    if (visit.in_body) {
      body_[visit.body_size++] = static_cast<char>(data[i]);
    } else {
      const HttpHead::Found found = visit.head.push(data[i]);
      if (found == HttpHead::Found::refused) {
        show(visit.head.refusal(), "That was no request.", true, to);
        visit.answered = true;
      } else if (found == HttpHead::Found::whole) {
        visit.in_body = begin_body(number, to);
        visit.answered = !visit.in_body;
      }
    }
    if (visit.in_body && visit.body_size == visit.head.content_length()) {
      save(to);
      end_visit(number);
    }
  }
  return visit.answered;
}

// False: it was answered already.
bool Portal::begin_body(std::size_t number, Port& to) {
  const HttpHead& head = visits_[number].head;
  if (head.method() != HttpHead::Method::post) {
    answer(head, to);
    return false;
  }
  if (!is_own(head)) {
    show(kForbidden, "Only the form of this page is taken.", true, to);
  } else if (head.path() != "/save") {
    show(kNotAllowed, "Nothing is saved here.", true, to);
  } else if (!head.is_form()) {
    show(kNoForm, "That is no form.", true, to);
  } else if (head.content_length() == 0 || head.content_length() > kMostBody) {
    show(head.content_length() == 0 ? kBadRequest : kTooLarge,
         "The form is empty, or too long.", true, to);
  } else if (body_of_ != kNobody) {
    show(kBusy, "Another form is just being sent. Try again.", true, to);
  } else {
    body_of_ = number;
    return true;
  }
  return false;
}

// Another page cannot post to this one: neither under a name that it let point here, nor with
// a form of its own.
bool Portal::is_own(const HttpHead& head) const {
  constexpr std::string_view kScheme = "http://";
  const std::string_view origin = head.origin();
  const bool own_form = origin.empty() || (origin.substr(0, kScheme.size()) == kScheme &&
                                           origin.substr(kScheme.size()) == parts_.address);
  return head.host() == parts_.address && own_form;
}

// Whatever a telephone asks the internet for, to learn whether there is a page like this one,
// is answered with the way to it.
void Portal::answer(const HttpHead& head, Port& to) {
  if (head.host() == parts_.address && head.path() == "/") {
    show(kOk, "", head.method() == HttpHead::Method::get, to);
  } else {
    redirect(kFound, to);
  }
}

void Portal::save(Port& to) {
  const std::size_t size = std::min(body_.size(), visits_[body_of_].body_size);
  const auto form = read_form(body_.data(), size);
  if (!form) {
    show(kBadRequest, "That is no form.", true, to);
    return;
  }
  std::array<std::uint8_t, kMostWifi> wifi{};
  const auto wifi_size = wifi_of(*form, wifi);
  if (!wifi_size) {
    show(kBadRequest, "That is no Wi-Fi network: look at its name and its password.", true, to);
    return;
  }
  std::array<std::uint8_t, kMostTyped> typed{};
  const std::string_view claim = form->value("claim");
  const std::string_view device = form->value("device");
  const std::uint8_t* identity = typed.data();
  std::size_t identity_size = 0;
  if (!claim.empty()) {
    // It lies in body_, which is decoded where it is.
    char* const text = body_.data() + (claim.data() - body_.data());
    identity = reinterpret_cast<const std::uint8_t*>(text);
    identity_size = decode_base64url(text, claim.size()).value_or(0);
  } else if (!device.empty()) {
    const std::size_t slash = std::min(device.find('/'), device.size());
    identity_size = write_identity(device.substr(0, slash),
                                   device.substr(std::min(slash + 1, device.size())),
                                   form->value("host"), port_of(form->value("port")),
                                   form->value("password"), typed.data(), typed.size());
  }
  if (identity_size == 0 && (!claim.empty() || !device.empty())) {
    show(kBadRequest, "That is no claim, or not the whole of it.", true, to);
    return;
  }
  switch (parts_.provisioner.offer(wifi.data(), *wifi_size, identity, identity_size)) {
    case Provisioner::Offer::taken:
      redirect(kSeeOther, to);
      break;
    case Provisioner::Offer::no_network:
      show(kBadRequest, "That is no Wi-Fi network: look at its name and its password.", true,
           to);
      break;
    case Provisioner::Offer::no_identity:
      show(kBadRequest, "That is no claim, or not the whole of it.", true, to);
      break;
    case Provisioner::Offer::nothing:
      show(kBadRequest, "Nothing was filled in.", true, to);
      break;
  }
  typed.fill(0);
  wifi.fill(0);
}

const char* Portal::standing() const {
  const Provisioner& provisioner = parts_.provisioner;
  if (provisioner.claimed_anew()) {
    return "Done. The device restarts as whoever it is now, and this network goes.";
  }
  if (provisioner.trying()) {
    return "It tries to join the network, which takes up to 20 seconds. Should this page get "
           "lost, join the device's own network again.";
  }
  if (provisioner.failed()) {
    return "It could not join that network: look at its name and its password. A claim that "
           "came is kept until the power goes.";
  }
  if (provisioner.holds_identity()) {
    return "The claim is here. It needs a Wi-Fi network.";
  }
  return provisioner.identity() ? "This device is claimed. What you save replaces that."
                                : "Nobody claimed this device yet.";
}

void Portal::show(int status, const char* trouble, bool with_body, Port& to) const {
  const bool moving = parts_.provisioner.trying() && trouble[0] == '\0';
  const bool done = parts_.provisioner.claimed_anew();
  const std::array<std::string_view, 10> pieces{
      kTop,   moving ? kAgain : "",        "<h1>Noctis</h1><p>", standing(), "</p><p>", trouble,
      "</p>", done || moving ? "" : kForm, "</html>\n"};
  std::size_t size = 0;
  for (const std::string_view piece : pieces) {
    size += piece.size();
  }
  char head[200];
  std::snprintf(head, sizeof head,
                "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\n"
                "Content-Length: %u\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
                status, reason_of(status), static_cast<unsigned>(size));
  write(to, head);
  for (const std::string_view piece : pieces) {
    if (with_body && !piece.empty()) {
      write(to, piece);
    }
  }
}

void Portal::redirect(int status, Port& to) const {
  char head[240];
  std::snprintf(head, sizeof head,
                "HTTP/1.1 %d %s\r\nLocation: http://%.*s/\r\nContent-Length: 0\r\n"
                "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                status, reason_of(status), static_cast<int>(parts_.address.size()),
                parts_.address.data());
  write(to, head);
}

}  // namespace noctis
