//! Safetensors files: a trained model, a checkpoint, and the matrices of `backprop`.
//!
//! The first byte says which of the three is read, and whether the rest is the whole file or lacks the length of its header:
//! then the header ends at the first line feed, and the length is put before it. Otherwise a mutation that changes the header
//! by one byte would be refused for its length.

use std::cell::RefCell;
use std::path::Path;

use cotangent::backprop::format::{Findings, csv, diagram, json, page};
use cotangent::backprop::{Backprop, MatrixNotation, Problem};
use cotangent::document::{self, TextPage};
use cotangent::errors::with_causes;
use cotangent::nn::Model;
use cotangent::runs::files::{CHECKPOINT, Checkpoint, MODEL, read_model, seal};

use super::scratch::Scratch;

/// The bit of the first byte that says that the length is missing.
const FRAMED: u8 = 4;

/// Numbers of a problem that is solved and shown: larger ones are only read.
const SMALL: usize = 200;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Reads the file.
pub fn run(data: &[u8]) {
    let Some((&mode, content)) = data.split_first() else { return };
    let framed;
    let content = match mode & FRAMED {
        0 => content,
        _ => {
            let header = content.iter().position(|&byte| byte == b'\n').unwrap_or(content.len());
            let tensors = content.get(header + 1..).unwrap_or_default();
            framed = [&(header as u64).to_le_bytes()[..], &content[..header], tensors].concat();
            &framed[..]
        }
    };
    SCRATCH.with_borrow_mut(|scratch| match mode & 3 {
        0 => model(scratch, content),
        1 => checkpoint(content),
        _ => matrices(scratch, content),
    });
}

/// The file with the digest that belongs to it, where it has a place for one: otherwise all that follows the comparison with it
/// would never be reached.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    seal(&mut bytes);
    bytes
}

fn model(scratch: &mut Scratch, content: &[u8]) {
    match read_model(&scratch.file(MODEL, &sealed(content))) {
        Ok(trained) => {
            assert_eq!(trained.parameters.len(), trained.model.parameter_count());
            assert!(trained.normalisation.std > 0.0);
            assert!(!trained.model.describe().is_empty());
        }
        Err(error) => assert!(!with_causes(&error).is_empty()),
    }
}

fn checkpoint(content: &[u8]) {
    let path = Path::new(CHECKPOINT);
    match Checkpoint::parse(path, &sealed(content)) {
        Ok(checkpoint) => {
            let (parameters, state) = (checkpoint.parameters.len(), checkpoint.state.len());
            checkpoint.check_origin(&checkpoint.origin, parameters, state).expect("it is what it is");
            assert!(checkpoint.check_origin(&checkpoint.origin, parameters + 1, state).is_err());
            if checkpoint.position.epoch > 0 {
                assert!(checkpoint.rows(Vec::new()).is_err(), "there are fewer rows than epochs");
            }
        }
        Err(error) => assert!(!with_causes(&error).is_empty()),
    }
}

fn matrices(scratch: &mut Scratch, content: &[u8]) {
    let problem = match Problem::read(&scratch.file("matrices.safetensors", content)) {
        Ok(problem) => problem,
        Err(error) => return assert!(!with_causes(&error).is_empty()),
    };
    if problem.weights().iter().map(|weight| weight.values.len()).sum::<usize>() > SMALL {
        return;
    }
    let found = match Backprop::of(&problem) {
        Ok(found) => found,
        Err(error) => return assert!(!with_causes(&error).is_empty()),
    };
    let findings = Findings { found: &found, origin: "a file", torch: None, device: None };
    let text = document::text(&page(&findings, MatrixNotation::Text, 4, None), TextPage::PLAIN);
    assert!(!text.is_empty());
    csv(&found).expect("a table can be written");
    let json = json(&findings).expect("numbers can be written");
    serde_json::from_str::<serde_json::Value>(&json).expect("what is written as JSON is JSON");
    diagram(&findings, 4).lifelines();
    let again = found.tensors().expect("shapes and numbers belong together");
    let again = Problem::read(&scratch.file("matrices.safetensors", &again));
    assert_eq!(again.expect("what was written can be read"), problem);
}
