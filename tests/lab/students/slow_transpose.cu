// Right and slow: a warp writes down a column of y, and reads down a column of the tile.
// launch: grid=(ceil(columns, 32), ceil(rows, 32)) block=(32, 32)
constexpr int TILE = 32;

__global__ void transpose(const float* x, float* y, int rows, int columns) {
    __shared__ float tile[TILE][TILE];
    const int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    if (row < rows && column < columns) tile[threadIdx.x][threadIdx.y] = x[row * columns + column]; // planted
    __syncthreads();
    if (row < rows && column < columns) y[column * rows + row] = tile[threadIdx.x][threadIdx.y]; // planted
}
