mod properties;
mod reports;
mod scenarios;
pub(crate) mod world;
