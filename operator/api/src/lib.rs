//! The GlooNetwork resource: one file per block of its specification, derive only.
