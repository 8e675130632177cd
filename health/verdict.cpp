#include "health/verdict.h"

namespace weir {

bool Verdict::become(Health health) {
  health_ = health;
  against_ = 0;
  return true;
}

bool Verdict::add(bool passed) {
  const Health says = passed ? Health::Up : Health::Down;
  if (health_ == Health::Unknown) return become(says);
  if (says == health_) {
    against_ = 0;
    return false;
  }
  ++against_;
  return against_ >= needed() && become(says);
}

}  // namespace weir
