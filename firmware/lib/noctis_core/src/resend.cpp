#include "noctis/resend.hpp"

namespace noctis {

const char* name_of(Resend::Refusal refusal) {
  switch (refusal) {
    case Resend::Refusal::foreign_stream:
      return "foreign_stream";
    case Resend::Refusal::overwritten:
      return "overwritten";
    case Resend::Refusal::not_made:
      break;
  }
  return "not_made";
}

std::optional<Resend::Refusal> Resend::begin(std::uint64_t stream, std::uint32_t first,
                                             std::uint32_t last) {
  if (!spool_.holds(stream)) {
    return Refusal::foreign_stream;
  }
  if (last < spool_.first_seq()) {
    return Refusal::overwritten;
  }
  if (first >= spool_.next_seq()) {
    return Refusal::not_made;
  }
  active_ = true;
  stream_ = stream;
  cursor_ = first;
  last_ = std::min(last, spool_.next_seq() - 1);
  counts_ = {};
  return std::nullopt;
}

void Resend::pass_overwritten() {
  const std::uint32_t held = std::min(spool_.first_seq(), last_ + 1);
  if (cursor_ < held) {
    counts_.overwritten += held - cursor_;
    cursor_ = held;
  }
}

bool Resend::next(std::uint32_t limit, Frame& frame) {
  pass_overwritten();
  const std::uint32_t end = std::min(limit, last_ + 1);
  if (cursor_ >= end) {
    return false;
  }
  if (!spool_.next_of(stream_, cursor_, end, frame)) {
    cursor_ = end;
    return false;
  }
  return true;
}

}  // namespace noctis
