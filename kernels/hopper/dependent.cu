// dependent: two kernels in a row of which the second begins before the first has ended.
//
//   dependent_scale: y = a x
//   dependent_add:   z = y + b w        all (count), float32
//
// Between two kernels of a stream a device drains and fills again: some microseconds in which most of it idles. Under
// programmatic dependent launch the second one's blocks come to multiprocessors as soon as all blocks of the first have
// called launch_dependents, or have ended. What they do before wait_for_prerequisites must not need the first: here they
// load w. What needs it comes after: y is only then there.
//
// launch_dependents orders nothing, so it stands at the beginning, as early as can be. Later would be right where the
// second kernel's blocks take room from blocks of the first that have not begun.
//
// launch: grid=(ceil(count, 128)) block=(128); dependent_add with programmatic stream serialization
#include <cstdint>

#include "ptx_hopper.cuh"

constexpr int THREADS = 128;

extern "C" __global__ void __launch_bounds__(THREADS)
    dependent_scale(float a, const float* x, float* y, int64_t count) {
    ptx::launch_dependents(); // the next kernel may come in
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x;
    if (i < count) y[i] = a * x[i];
}

extern "C" __global__ void __launch_bounds__(THREADS)
    dependent_add(float b, const float* y, const float* w, float* z, int64_t count) {
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x;
    const float added = i < count ? b * w[i] : 0.0f; // nobody before has written w
    ptx::wait_for_prerequisites();                   // y is there
    if (i < count) z[i] = y[i] + added;
}
