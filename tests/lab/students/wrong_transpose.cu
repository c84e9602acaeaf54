// An element for each thread.
// launch: grid=(ceil(columns, 16), ceil(rows, 16)) block=(16, 16)
__global__ void transpose(const float* x, float* y, int rows, int columns) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row < rows && column < columns) {
        y[row * columns + column] = x[row * columns + column]; // planted: the same place
    }
}
