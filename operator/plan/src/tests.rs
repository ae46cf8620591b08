mod properties;
mod reports;
mod scenarios;
mod world;
