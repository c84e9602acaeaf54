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
// Traffic: a byte read and 4 written for each pixel. Counted for the first part of an image of 28 x 28: a warp's load of
// 32 words takes 4 or 5 sectors of 32 bytes, the loads of second words the same ones; its 4 stores of vectors take 16
// sectors each, the least there can be. Not measured yet.
//
// A warp makes up to 512 neighbouring pixels of one image, so that step, order and random numbers are fetched and
// computed once for all of them; an image of 28 x 28 is the work of two warps. A lane makes four vectors of four
// pixels, whose words it loads all at once: each image is one round of loads, 512 bytes a warp. The loads
// step -> order -> bytes depend on one another, and Philox is computed while the second is under way. A batch of
// 8192 images has 16,384 warps, of 128 images 256, in blocks of two: as many blocks as such a batch has images, so
// that they spread over all multiprocessors.
//
// A pixel comes from byte p - distance of its image, where distance = down columns + right: a shifted image is the
// image moved in memory, but for pixels whose row or column would be outside, which are masked. Four pixels are four
// neighbouring bytes, which lie in one aligned word of memory or in two: these are loaded (the second comes from the
// first-level cache, where the next lane's first one has put it) and shifted into one. Results are written 16 bytes at
// a time whatever the number of pixels: vectors begin at multiples of four elements from the beginning of the batch,
// not of the image, so that only an image's first and last vector can be partial.
#include "common.cuh"
#include "philox.cuh"
#include "step.cuh"

// src/exec/cuda/kernels/gather.rs has these too.
constexpr int GATHER_THREADS = 64;   // two warps: fewer would meet the limit of blocks a multiprocessor, 32 or less
constexpr int VECTOR = 4;            // pixels: 16 bytes written
constexpr int VECTORS = 4;           // of a lane: eight words in flight, which 40 registers hold
constexpr int PART = WARP * VECTORS; // vectors of a warp

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

// How an image is moved.
struct Move {
    int distance = 0; // of a pixel from its byte; all pixels if none of its bytes is seen
    int right = 0;    // columns

    Move() = default;

    // That of a row of the batch in this step.
    __device__ __forceinline__ Move(const Shifts& shifts, const StepState* step, unsigned row, int pixels) {
        const uint4 words = philox_block(draw_step(step), row, shifts.key);
        const unsigned choices = 2 * unsigned(shifts.largest) + 1;
        const int down = int(__umulhi(words.x, choices)) - shifts.largest;
        right = int(__umulhi(words.y, choices)) - shifts.largest;
        const int64_t rows_moved = int64_t(down) * shifts.columns;
        const bool is_seen = rows_moved < pixels && -rows_moved < pixels && abs(right) < shifts.columns;
        distance = is_seen ? int(rows_moved) + right : pixels;
        if (!is_seen) right = 0;
    }
};

// The bytes of an image, read by whole words where these lie in the split.
struct Source {
    const uint8_t* image;
    int pixels;
    int first, last; // words that begin at bytes first .. last of the image lie in the split

    __device__ __forceinline__ Source(const Split& split, uint32_t index) : pixels(split.pixels) {
        const int64_t begin = int64_t(index) * pixels, end = int64_t(split.count) * pixels;
        image = split.images + begin;
        first = -int(min(begin, int64_t(VECTOR - 1)));
        last = int(min(end - begin, int64_t(pixels) + VECTOR - 1)) - VECTOR;
    }

    // How far after the beginning of a word that byte is.
    __device__ __forceinline__ int past_word(int byte) const {
        return int((reinterpret_cast<uintptr_t>(image) + unsigned(byte)) % VECTOR);
    }

    // Whether a word from this byte on, which may be less than 0, has bytes of the image, and lies in the split.
    __device__ __forceinline__ bool is_seen(int at) const {
        return unsigned(at + VECTOR - 1) < unsigned(pixels + VECTOR - 1);
    }
    __device__ __forceinline__ bool is_whole(int at) const { return at >= first && at <= last; }

    // The word from this byte on, of one that is seen and whole; else 0.
    __device__ __forceinline__ uint32_t word(int at) const {
        return is_seen(at) && is_whole(at) ? *reinterpret_cast<const uint32_t*>(image + at) : 0;
    }
    // The same of one that is seen and sticks out of the split: the image's bytes of it.
    __device__ __forceinline__ uint32_t partial_word(int at) const {
        uint32_t word = 0;
        for (int k = 0; k < VECTOR; k++) {
            if (unsigned(at + k) < unsigned(pixels)) word |= uint32_t(image[at + k]) << 8 * k;
        }
        return word;
    }
};

// Rounded after each operation.
__device__ __forceinline__ float normalised(uint32_t byte, float scale, float shift) {
    return __fadd_rn(__fmul_rn(float(byte), scale), shift);
}

// Writes the pixels of a vector that are pixels of the image.
__device__ __forceinline__ void store(float* __restrict__ to, int pixel, int pixels, bool wide,
                                      const float (&values)[VECTOR]) {
    if (wide && pixel >= 0 && pixels - pixel >= VECTOR) {
        *reinterpret_cast<float4*>(to + pixel) = make_float4(values[0], values[1], values[2], values[3]);
        return;
    }
#pragma unroll
    for (int k = 0; k < VECTOR; k++) {
        if (unsigned(pixel + k) < unsigned(pixels)) to[pixel + k] = values[k];
    }
}

template <bool SHIFTED>
__device__ __forceinline__ void gather(const Split split, const Order which, const Shifts shifts, float scale,
                                       float shift, float* __restrict__ batch, float* __restrict__ batch_labels,
                                       int rows) {
    const int pixels = split.pixels;
    const unsigned lead_at_most = pixels % VECTOR == 0 ? 0 : VECTOR - 1;
    const unsigned parts = (unsigned(pixels) + lead_at_most + PART * VECTOR - 1) / (PART * VECTOR); // of an image
    const unsigned warp = blockIdx.x * (GATHER_THREADS / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const unsigned row = warp / parts, part = warp - row * parts;
    if (row >= unsigned(rows)) return;

    const uint64_t position = step_of_epoch(which.step) * which.batch_size + row;
    const uint32_t index = position < uint64_t(which.order_length) ? which.order[position] : UINT32_MAX;
    Move move;
    if (SHIFTED) move = Move(shifts, which.step, row, pixels);

    float* const to = batch + int64_t(row) * pixels;
    const bool wide = is_aligned_16(batch);
    // The lane's vectors begin at pixels first, first + STEP, ...; the image's first vector before it by the lead.
    constexpr int STEP = WARP * VECTOR;
    const int lead = int(row * unsigned(pixels) % VECTOR);
    const int first = int(part * PART + lane) * VECTOR - lead;

    if (index >= uint32_t(split.count)) { // no such image
        const float values[VECTOR] = {NAN, NAN, NAN, NAN};
        for (int v = 0; v < VECTORS; v++) store(to, first + v * STEP, pixels, wide, values);
        if (part == 0 && lane == 0) batch_labels[row] = NAN;
        return;
    }
    if (part == 0 && lane == 0) batch_labels[row] = float(split.labels[index]);

    // Two words from the one on in which a vector's first byte lies. All whole ones first, so that they are in flight
    // together.
    const Source source(split, index);
    const int past = source.past_word(first - move.distance), from = first - move.distance - past;
    uint32_t words[VECTORS][2];
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const bool of_use = first + v * STEP < pixels;
        words[v][0] = of_use ? source.word(from + v * STEP) : 0;
        words[v][1] = of_use && past != 0 ? source.word(from + v * STEP + VECTOR) : 0;
    }
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
#pragma unroll
        for (int k = 0; k < 2; k++) {
            const int at = from + v * STEP + k * VECTOR;
            if (source.is_seen(at) && !source.is_whole(at)) words[v][k] = source.partial_word(at);
        }
    }

#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const int pixel = first + v * STEP;
        if (pixel >= pixels) break;
        const uint32_t bytes = __funnelshift_r(words[v][0], words[v][1], 8 * past);
        // Of pixels before the image, less than 0.
        int column = SHIFTED && pixel >= 0 ? int(unsigned(pixel) % unsigned(shifts.columns)) : pixel;
        float values[VECTOR];
#pragma unroll
        for (int k = 0; k < VECTOR; k++) {
            uint32_t byte = bytes >> 8 * k & 0xff;
            if (SHIFTED) {
                const bool covered = unsigned(pixel + k - move.distance) < unsigned(pixels) &&
                                     unsigned(column - move.right) < unsigned(shifts.columns);
                if (!covered) byte = 0;
                if (++column == shifts.columns) column = 0;
            }
            values[k] = normalised(byte, scale, shift);
        }
        store(to, pixel, pixels, wide, values);
    }
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
