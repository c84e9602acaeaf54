//! What the build embedded: the kernels' machine code, and which nvcc compiled it for which architectures.

include!(concat!(env!("OUT_DIR"), "/cuda_images.rs"));
