// gather: a mini-batch of normalised, perhaps shifted, images from images of bytes.
//
//   image(r)              = order[step_of_epoch * batch_size + r]
//   batch[r, p]           = images[image(r), p] * scale + shift
//   batch_labels[r]       = labels[image(r)]
//
// and with shifts, for the pixel p in row i and column j of an image,
//
//   batch[r, p]           = images[image(r), (i - down, j - right)] * scale + shift, outside it byte 0
//   (down, right)         = floor(word (2 largest + 1) / 2^32) - largest, for words 0 and 1 of
//                           Philox block r of this step (philox.cuh)
//
// images (count, pixels) and labels (count) of bytes, order (order_length) the epoch's permutation,
// batch (rows, pixels), batch_labels (rows). rows may be less than batch_size: the last batch of an
// epoch. Which batch it is stands in device memory (step.cuh), so one captured graph serves all of
// them. Product and sum are rounded one after the other, as on the CPU: the same bits.
//
// An image that does not exist (a position past the end of the order, an index past the last image)
// is not read: its pixels and its label become NaN, so that the loss shows it.
//
// Traffic: a byte read and 4 written for each pixel. A thread makes four pixels of one image, reads
// them as one word where they lie so, and writes 16 bytes at once where alignment allows. The loads
// step -> order -> bytes depend on one another, and Philox is computed while the second is under way.
#include "common.cuh"
#include "philox.cuh"
#include "step.cuh"

constexpr int GATHER_THREADS = 256; // src/exec/cuda/kernels/gather.rs has both too
constexpr int PER_THREAD = 4;       // pixels: 16 bytes written

struct Split {
    const uint8_t* images;
    const uint8_t* labels;
    int count;
    int pixels; // of an image
};

// Which images, in which order.
struct Order {
    const StepState* step;
    const uint32_t* order;
    int order_length;
    int batch_size; // of a full batch
};

struct Shifts {
    uint2 key;
    int largest; // pixels; 0 .. 65535
    int columns; // of an image
};

// Rounded after each operation.
__device__ __forceinline__ float normalised(uint8_t byte, float scale, float shift) {
    return __fadd_rn(__fmul_rn(float(byte), scale), shift);
}

// Four bytes of an image from `pixel` on; 0 past its end.
__device__ __forceinline__ void load_bytes(uint8_t (&bytes)[PER_THREAD], const uint8_t* __restrict__ image, int pixel,
                                           int pixels) {
    const uint8_t* address = image + pixel;
    if (pixels - pixel >= PER_THREAD && reinterpret_cast<uintptr_t>(address) % PER_THREAD == 0) {
        const uchar4 four = *reinterpret_cast<const uchar4*>(address);
        bytes[0] = four.x;
        bytes[1] = four.y;
        bytes[2] = four.z;
        bytes[3] = four.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++) bytes[i] = i < pixels - pixel ? address[i] : 0;
}

// The same of the image moved `down` rows and `right` columns.
__device__ __forceinline__ void load_shifted_bytes(uint8_t (&bytes)[PER_THREAD], const uint8_t* __restrict__ image,
                                                   int pixel, int pixels, int columns, int down, int right) {
    int row = pixel / columns, column = pixel % columns;
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++) {
        const int from_row = row - down, from_column = column - right;
        const int64_t from = int64_t(from_row) * columns + from_column;
        const bool covered = from_row >= 0 && from < pixels && from_column >= 0 && from_column < columns;
        bytes[i] = covered ? image[from] : 0;
        if (++column == columns) {
            column = 0;
            row++;
        }
    }
}

template <bool SHIFTED>
__device__ __forceinline__ void gather(const Split split, const Order which, const Shifts shifts, float scale,
                                       float shift, float* __restrict__ batch, float* __restrict__ batch_labels,
                                       int rows) {
    const unsigned parts = (unsigned(split.pixels) + PER_THREAD - 1) / PER_THREAD; // of an image
    const unsigned part = blockIdx.x * GATHER_THREADS + threadIdx.x;
    const unsigned row = part / parts;
    if (row >= unsigned(rows)) return;
    const int pixel = int(part % parts) * PER_THREAD;

    const uint64_t position = step_of_epoch(which.step) * which.batch_size + row;
    const uint32_t index = position < uint64_t(which.order_length) ? which.order[position] : UINT32_MAX;
    const bool exists = index < uint32_t(split.count);

    float values[PER_THREAD] = {NAN, NAN, NAN, NAN};
    if (exists) {
        const uint8_t* image = split.images + int64_t(index) * split.pixels;
        uint8_t bytes[PER_THREAD];
        if (SHIFTED) {
            const uint4 words = philox_block(draw_step(which.step), row, shifts.key);
            const unsigned choices = 2 * unsigned(shifts.largest) + 1;
            const int down = int(__umulhi(words.x, choices)) - shifts.largest;
            const int right = int(__umulhi(words.y, choices)) - shifts.largest;
            load_shifted_bytes(bytes, image, pixel, split.pixels, shifts.columns, down, right);
        } else {
            load_bytes(bytes, image, pixel, split.pixels);
        }
#pragma unroll
        for (int i = 0; i < PER_THREAD; i++) values[i] = normalised(bytes[i], scale, shift);
    }

    float* target = batch + int64_t(row) * split.pixels + pixel;
    if (split.pixels - pixel >= PER_THREAD && is_aligned_16(target)) {
        *reinterpret_cast<float4*>(target) = make_float4(values[0], values[1], values[2], values[3]);
    } else {
#pragma unroll
        for (int i = 0; i < PER_THREAD; i++) {
            if (i < split.pixels - pixel) target[i] = values[i];
        }
    }
    if (pixel == 0) batch_labels[row] = exists ? float(split.labels[index]) : NAN;
}

extern "C" __global__ void __launch_bounds__(GATHER_THREADS)
    gather_batch(const StepState* __restrict__ step, const uint32_t* __restrict__ order, int order_length,
                 int batch_size, const uint8_t* __restrict__ images, const uint8_t* __restrict__ labels, int count,
                 int pixels, float scale, float shift, float* __restrict__ batch, float* __restrict__ batch_labels,
                 int rows) {
    gather<false>({images, labels, count, pixels}, {step, order, order_length, batch_size}, {}, scale, shift, batch,
                  batch_labels, rows);
}

extern "C" __global__ void __launch_bounds__(GATHER_THREADS)
    gather_shifted_batch(const StepState* __restrict__ step, const uint32_t* __restrict__ order, int order_length,
                         int batch_size, const uint8_t* __restrict__ images, const uint8_t* __restrict__ labels,
                         int count, int pixels, float scale, float shift, float* __restrict__ batch,
                         float* __restrict__ batch_labels, int rows, int columns, int largest, uint32_t key_0,
                         uint32_t key_1) {
    gather<true>({images, labels, count, pixels}, {step, order, order_length, batch_size},
                 {make_uint2(key_0, key_1), largest, columns}, scale, shift, batch, batch_labels, rows);
}
