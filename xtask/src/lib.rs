//! Project tasks: one file per task.
