//! The test bed of the live tests, for the demo and the benches: the same files, by path.
#![allow(dead_code, reason = "the tests use the rest")]

#[path = "../../tests/live/netns.rs"]
pub mod netns;
#[path = "../../tests/live/sensor.rs"]
pub mod sensor;
#[path = "../../tests/live/service.rs"]
pub mod service;
