//! Uses a trained model: the logits of test images, as CSV.
//!
//! ```sh
//! cargo run --release -- mnist --out run
//! cargo run --release --example predict -- run data/mnist 100
//! ```

use std::path::Path;

use cotangent::data::{Dataset, Gather};
use cotangent::nn::{Model, split};
use cotangent::runs::files::{MODEL, TrainedModel, read_model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, data, count] = &arguments[..] else { return Err("usage: predict RUN DATA COUNT".into()) };

    // The weights are named and laid out as PyTorch's: 0.weight [out, in], 0.bias, 2.weight, ...
    let TrainedModel { model, parameters, normalisation } = read_model(&Path::new(run).join(MODEL))?;

    // The first test images, normalised as in training.
    let dataset = Dataset::from_folder(Path::new(data))?;
    let (pixels, inputs) = (dataset.test.pixels(), model.input().size());
    if pixels != inputs {
        return Err(format!("the images of {data} have {pixels} pixels, the model takes {inputs}").into());
    }
    let indices: Vec<u32> = (0..dataset.test.len() as u32).take(count.parse()?).collect();
    let mut images = vec![0.0_f32; indices.len() * dataset.test.pixels()];
    let mut labels = vec![0.0; indices.len()];
    Gather::new(&dataset.test, normalisation, None).batch(0, &indices, &mut images, &mut labels);

    let mut layers = model.function(indices.len(), false)?.call((&images, split(&model, &parameters)))?;
    let logits = layers.pop().unwrap_or_default();
    for row in logits.chunks(model.classes()) {
        println!("{}", row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    }
    Ok(())
}
