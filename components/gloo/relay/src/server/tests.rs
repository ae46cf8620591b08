//! Real ends over loopback TCP.

mod enrolment;
mod kit;
mod relay;
mod strangers;
