// A large tile for each block: A's rows and B's columns over 32 terms.
// launch: grid=((n + 63) / 64, (m + 63) / 64) block=(16, 16)
#define TILE 64
#define DEPTH 32

__global__ void gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float a_tile[TILE][DEPTH];
    __shared__ float b_tile[DEPTH][TILE];
    const int top = blockIdx.y * TILE, left = blockIdx.x * TILE;
    const int thread = threadIdx.y * 16 + threadIdx.x;
    float sums[4][4] = {};
    for (int first = 0; first < k; first += DEPTH) {
        for (int i = thread; i < TILE * DEPTH; i += 256) {
            const int row = top + i / DEPTH, l = first + i % DEPTH;
            a_tile[i / DEPTH][i % DEPTH] = row < m && l < k ? a[row * k + l] : 0.0f;
            const int other = first + i / TILE, column = left + i % TILE;
            b_tile[i / TILE][i % TILE] = other < k && column < n ? b[other * n + column] : 0.0f;
        }
        __syncthreads(); // the tiles are there
        for (int l = 0; l < DEPTH; l++) {
            for (int i = 0; i < 4; i++) {
                for (int j = 0; j < 4; j++) sums[i][j] += a_tile[threadIdx.y * 4 + i][l] * b_tile[l][threadIdx.x * 4 + j];
            }
        }
        __syncthreads(); // all have read
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            const int row = top + threadIdx.y * 4 + i, column = left + threadIdx.x * 4 + j;
            if (row < m && column < n) c[row * n + column] = sums[i][j];
        }
    }
}
