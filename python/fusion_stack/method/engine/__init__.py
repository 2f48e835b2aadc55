"""Methods that fusion_kernels computes, under the names and parameters that FusionBench gives them."""
