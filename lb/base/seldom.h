#pragma once

#include <memory>
#include <utility>

namespace weir {

/// A large value that is seldom there: as std::optional, but a pointer's size while it is not. Copied and
/// compared as a value.
template <class T>
class Seldom {
 public:
  Seldom() = default;
  Seldom(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Seldom(const Seldom& other) : value_(other ? std::make_unique<T>(*other) : nullptr) {}
  Seldom(Seldom&&) noexcept = default;
  Seldom& operator=(const Seldom& other) { return *this = Seldom(other); }
  Seldom& operator=(Seldom&&) noexcept = default;
  ~Seldom() = default;

  explicit operator bool() const { return value_ != nullptr; }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }

  friend bool operator==(const Seldom& a, const Seldom& b) {
    return static_cast<bool>(a) == static_cast<bool>(b) && (!a || *a == *b);
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace weir
