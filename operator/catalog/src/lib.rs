//! What the operator installs: one folder per component, validated input to objects, observed objects to health. Pure.
