// dtype.hpp: the number formats a tensor can be stored in, by their safetensors codes.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace fk {

enum class DType : uint8_t { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

struct DTypeInfo {
  DType dtype;
  std::string_view code;
  int size;       // bytes per element
  bool floating;  // only floating formats are merged; the others are copied or compared
};

inline constexpr DTypeInfo kDTypes[] = {
    {DType::f64, "F64", 8, true},   {DType::f32, "F32", 4, true},         {DType::f16, "F16", 2, true},
    {DType::bf16, "BF16", 2, true}, {DType::f8_e4m3, "F8_E4M3", 1, true}, {DType::f8_e5m2, "F8_E5M2", 1, true},
    {DType::i64, "I64", 8, false},  {DType::i32, "I32", 4, false},        {DType::i16, "I16", 2, false},
    {DType::i8, "I8", 1, false},    {DType::u64, "U64", 8, false},        {DType::u32, "U32", 4, false},
    {DType::u16, "U16", 2, false},  {DType::u8, "U8", 1, false},          {DType::boolean, "BOOL", 1, false},
};

constexpr const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<int>(dtype)]; }
constexpr int size_of(DType dtype) { return info(dtype).size; }

inline std::optional<DType> dtype_from_code(std::string_view code) {
  for (const DTypeInfo& known : kDTypes)
    if (known.code == code) return known.dtype;
  return std::nullopt;
}

}  // namespace fk
