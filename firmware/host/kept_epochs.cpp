#include "kept_epochs.hpp"

#include "noctis/spool_layout.hpp"

namespace noctis::host {
namespace {

constexpr std::size_t kNewest = layout::kSlotsPerSector + 32;

}  // namespace

std::string KeptEpochs::add(std::uint64_t stream, std::uint32_t seq, const Slot& slot) {
  const bool again = !newest_.empty() && seq <= newest_.back().seq;
  newest_.push_back({stream, seq, slot});
  if (newest_.size() > kNewest) {
    newest_.pop_front();
  }
  return again ? "the spool gave out seq " + std::to_string(seq) + " again" : "";
}

std::string KeptEpochs::check(Spool& spool, const std::optional<Slot>& cut) {
  const std::uint32_t from = newest_.empty() ? from_ : newest_.front().seq;
  SpoolReader reader(spool, from, spool.next_seq(), SpoolReader::Which::all);
  EpochRecord record{};
  bool more = reader.next(record);
  for (const Kept& kept : newest_) {
    if (!more || record.stream != kept.stream || record.seq != kept.seq ||
        record.slot != kept.slot) {
      return "the spool has lost the epoch with seq " + std::to_string(kept.seq);
    }
    more = reader.next(record);
  }
  if (more && cut && record.slot == *cut) {
    newest_.push_back({record.stream, record.seq, record.slot});
    more = reader.next(record);
  }
  return more ? "the spool holds an epoch that nobody made, seq " + std::to_string(record.seq)
              : "";
}

}  // namespace noctis::host
