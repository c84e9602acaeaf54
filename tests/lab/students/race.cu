// A tree of sums in each block, whose results are added to one number.
// launch: grid=ceil(n, 256) block=256 shared=256 * sizeof(float)
__global__ void reduce(const float* x, float* y, int n) {
    extern __shared__ float sums[];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    sums[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads(); // all terms are there
    for (unsigned distance = blockDim.x / 2; distance > 0; distance /= 2) {
        if (threadIdx.x < distance) sums[threadIdx.x] += sums[threadIdx.x + distance];
        __syncthreads(); // a level of the tree is done
    }
    if (threadIdx.x == 0) y[0] += sums[0]; // planted: every block does so at once
}
