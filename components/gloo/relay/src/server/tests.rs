//! Real ends over loopback TCP.

mod bad_input;
mod enrolment;
mod kit;
mod relay;
mod strangers;
