// A row of C for each row of blocks; four elements of B's row at a time.
// launch: grid=(ceil(n, 128), m) block=32
__global__ void gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    const int row = blockIdx.y, column = (blockIdx.x * 32 + threadIdx.x) * 4;
    if (column + 3 < n) {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int l = 0; l < k; l++) {
            const float x = a[row * k + l];
            const float4 four = *reinterpret_cast<const float4*>(&b[l * n + column]); // planted: n may be odd
            sum.x += x * four.x;
            sum.y += x * four.y;
            sum.z += x * four.z;
            sum.w += x * four.w;
        }
        c[row * n + column] = sum.x;
        c[row * n + column + 1] = sum.y;
        c[row * n + column + 2] = sum.z;
        c[row * n + column + 3] = sum.w;
    } else {
        for (int j = column; j < n && j < column + 4; j++) {
            float sum = 0.0f;
            for (int l = 0; l < k; l++) sum += a[row * k + l] * b[l * n + j];
            c[row * n + j] = sum;
        }
    }
}
