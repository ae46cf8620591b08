//! The operator process: arguments, lease, watches, metrics. Decides nothing.
