// Reads and writes along rows; a tile in shared memory is turned in between.
// launch: grid=(ceil(columns, 32), ceil(rows, 32)) block=(32, 8)
constexpr int TILE = 32;

__global__ void __launch_bounds__(TILE * 8)
transpose(const float* __restrict__ x, float* __restrict__ y, int rows, int columns) {
    __shared__ float tile[TILE][TILE + 1]; // a column more, so that a column's elements lie in different banks
    const int left = blockIdx.x * TILE, top = blockIdx.y * TILE;
    for (int i = threadIdx.y; i < TILE; i += 8) {
        if (top + i < rows && left + threadIdx.x < columns) tile[i][threadIdx.x] = x[(top + i) * columns + left + threadIdx.x];
    }
    __syncthreads(); // the tile is there
    for (int i = threadIdx.y; i < TILE; i += 8) {
        if (left + i < columns && top + threadIdx.x < rows) y[(left + i) * rows + top + threadIdx.x] = tile[threadIdx.x][i];
    }
}

#ifndef COTANGENT_LAB // what is for the host: the lab leaves it out
void transpose_on_card(const float* x, float* y, int rows, int columns) {
    const dim3 grid((columns + TILE - 1) / TILE, (rows + TILE - 1) / TILE), block(TILE, 8);
    transpose<<<grid, block>>>(x, y, rows, columns);
}
#endif
