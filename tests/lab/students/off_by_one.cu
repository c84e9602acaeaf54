// A warp for each row.
// launch: grid=rows block=32
extern "C" __global__ void softmax(const float* x, float* y, int rows, int columns) {
    const float* row = x + blockIdx.x * columns;
    float most = -INFINITY;
    for (int c = threadIdx.x; c <= columns; c += 32) {
        most = fmaxf(most, row[c]); // planted: reads one element past the row
    }
    for (int d = 16; d > 0; d /= 2) most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, d));
    float sum = 0.0f;
    for (int c = threadIdx.x; c < columns; c += 32) sum += expf(row[c] - most);
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffff, sum, d);
    for (int c = threadIdx.x; c < columns; c += 32) y[blockIdx.x * columns + c] = __expf(row[c] - most) / sum;
}
