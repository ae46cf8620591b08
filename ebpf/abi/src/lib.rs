//! Map keys, values and constants shared by the kernel programs and user space.
