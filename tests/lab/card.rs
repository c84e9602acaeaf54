use super::work::*;
use super::worker::Bench;
pub fn time(_: &Bench, _: &Work, _: &Launch, _: &mut Events) -> Result<(), String> { Ok(()) }
