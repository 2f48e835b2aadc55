// test_formats.cpp: every stored code decodes to its value, and every value is stored as the nearest code.
#include <limits>

#include "check.hpp"
#include "core/formats.hpp"
#include "random.hpp"

using namespace fk;
using namespace fk::test;

namespace {

typedef float F4 __attribute__((vector_size(16)));

struct Layout {  // as the formats' standards say it; `has_infinity`: the last exponent means infinity and NaN
  int exponent_bits, mantissa_bits;
  bool has_infinity;
};
template <DType>
constexpr Layout kLayout{};
template <>
constexpr Layout kLayout<DType::f16>{5, 10, true};
template <>
constexpr Layout kLayout<DType::bf16>{8, 7, true};
template <>
constexpr Layout kLayout<DType::f8_e5m2>{5, 2, true};
template <>
constexpr Layout kLayout<DType::f8_e4m3>{4, 3, false};

// The value of a code without its sign: NaN, infinity, or mantissa times a power of two.
template <DType D>
double value_of(int32_t code) {
  constexpr Layout layout = kLayout<D>;
  constexpr int bias = (1 << (layout.exponent_bits - 1)) - 1, last = (1 << layout.exponent_bits) - 1;
  const int exponent = code >> layout.mantissa_bits, mantissa = code & ((1 << layout.mantissa_bits) - 1);
  if (layout.has_infinity && exponent == last)
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  if (!layout.has_infinity && code == (1 << (layout.exponent_bits + layout.mantissa_bits)) - 1)
    return std::numeric_limits<double>::quiet_NaN();
  const int leading = exponent > 0 ? 1 << layout.mantissa_bits : 0;
  return std::ldexp(mantissa + leading, std::max(exponent, 1) - bias - layout.mantissa_bits);
}

// encode() of a number and its negative, alone and in a lane beside others; the bits that are stored.
template <DType D>
int32_t stored(float value) {
  constexpr int32_t mask = (1 << (8 * size_of(D) - 1)) - 1;
  const int32_t alone = encode<D, float>(value);
  const auto lanes = encode<D, F4>(F4{1, value, -value, value});
  CHECK((lanes[1] & (2 * mask + 1)) == (alone & (2 * mask + 1)) && lanes[1] == lanes[3], value);
  CHECK((lanes[2] & mask) == (alone & mask), value);
  CHECK(std::isnan(value) || ((lanes[2] ^ lanes[1]) & (mask + 1)), value, " has the sign of its negative");
  return alone & mask;
}

template <DType D>
void check_format() {
  constexpr int bits = 8 * size_of(D);
  constexpr int32_t magnitudes = 1 << (bits - 1);
  for (int32_t code = 0; code < magnitudes; ++code) {
    const double value = value_of<D>(code);
    for (const int32_t sign : {0, magnitudes}) {
      const float decoded = decode<D, float>(code | sign);
      const F4 lanes = decode<D, F4>(Int<F4>{0, code | sign, 1, code | sign});
      const double expected = sign ? -value : value;
      const bool right = std::isnan(value) ? std::isnan(decoded) && std::isnan(lanes[1])
                                           : decoded == expected && lanes[1] == decoded && lanes[3] == decoded;
      CHECK(right && (std::isnan(value) || std::signbit(decoded) == (sign != 0)), info(D).code, " code ", code | sign,
            " is ", expected, ", decoded ", decoded);
    }
    const auto narrow = static_cast<float>(value);
    if (std::isnan(value)) {
      CHECK(std::isnan(value_of<D>(stored<D>(narrow))), info(D).code, " code ", code);
      continue;
    }
    CHECK(stored<D>(narrow) == code, info(D).code, " code ", code, " comes back as ", stored<D>(narrow));
    // Between this code and the next: the nearest, at the middle the even one.
    const double next = code + 1 < magnitudes ? value_of<D>(code + 1) : INFINITY;
    if (!std::isfinite(value) || !std::isfinite(next)) continue;
    const auto middle = static_cast<float>((value + next) / 2);
    if (static_cast<double>(middle) != (value + next) / 2) continue;  // below the smallest float
    CHECK(stored<D>(middle) == (code % 2 ? code + 1 : code), info(D).code, " middle after code ", code);
    CHECK(stored<D>(std::nextafter(middle, 0.0f)) == code, info(D).code, " below the middle after code ", code);
    CHECK(stored<D>(std::nextafter(middle, INFINITY)) == code + 1, info(D).code, " above the middle, code ", code);
  }
}

template <DType D>
void check_overflow(int32_t largest, bool saturates) {
  const double top = value_of<D>(largest), step = top - value_of<D>(largest - 1);
  const auto middle = static_cast<float>(top + step / 2);
  const int32_t beyond = saturates ? largest : largest + 1;
  CHECK(stored<D>(std::nextafter(middle, 0.0f)) == largest, info(D).code);
  for (const float value : {middle, std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity()})
    CHECK(stored<D>(value) == beyond, info(D).code, " stores ", value, " as ", stored<D>(value));
  for (const int32_t nan : {0x7f800001, 0x7fc00000, 0x7fffffff, -1, int32_t(0xff800001)})
    CHECK(std::isnan(value_of<D>(stored<D>(bits_as<float>(nan)))), info(D).code, " stores a NaN as a number");
}

void check_codes() {
  for (const DTypeInfo& known : kDTypes) {
    CHECK(dtype_from_code(known.code) == known.dtype && info(known.dtype).code == known.code, known.code);
    CHECK(!dtype_from_code(std::string(known.code) + "X"), known.code);
  }
}

}  // namespace

int main() {
  check_codes();
  check_format<DType::f16>();
  check_format<DType::bf16>();
  check_format<DType::f8_e5m2>();
  check_format<DType::f8_e4m3>();
  check_overflow<DType::f16>(0x7bff, false);
  check_overflow<DType::bf16>(0x7f7f, false);
  check_overflow<DType::f8_e5m2>(0x7b, false);
  check_overflow<DType::f8_e4m3>(0x7e, true);
}
