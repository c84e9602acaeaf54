// Entry points: how the driver calls a kernel, given its arguments as cuLaunchKernel gets them.
#pragma once
#include <type_traits>
#include <utility>

namespace emulator {

template <auto FUNCTION>
struct Entry;

template <class... Types, void (*FUNCTION)(Types...)>
struct Entry<FUNCTION> {
    static constexpr Parameter parameters[] = {{sizeof(Types), std::is_pointer_v<Types>}...};

    template <size_t... I>
    static void call_with(void** arguments, std::index_sequence<I...>) {
        FUNCTION(*static_cast<std::remove_cv_t<Types>*>(arguments[I])...);
    }

    static void call(void** arguments) { call_with(arguments, std::index_sequence_for<Types...>()); }

    static Kernel kernel(const char* name, unsigned largest_block, unsigned least_blocks, unsigned architectures) {
        return {name, call, parameters, sizeof...(Types), largest_block, least_blocks, architectures};
    }
};

} // namespace emulator
