// Kernels from elsewhere include this file of CUDA's. What it declares for them stands in lab.hpp already.
#pragma once
