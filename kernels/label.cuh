// label: the class that a label names. Labels are float32, as all values of a graph.
#ifndef COTANGENT_LABEL_CUH
#define COTANGENT_LABEL_CUH

// In place of a class number, for a label that is none. No column has it, nor one of the up to three
// elements before a row that a 16-byte access to the row may take in.
constexpr int NO_CLASS = -5;

// The class number that a label stands for.
__device__ __forceinline__ int class_of(float label, int classes) {
    if (!(label >= 0.0f && label < 2147483648.0f)) return NO_CLASS; // NaN too
    const int number = int(label);
    return number < classes && float(number) == label ? number : NO_CLASS;
}

#endif
