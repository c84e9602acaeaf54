//! Uses a trained model: the logits of test images, as CSV.
//!
//! ```sh
//! cargo run --release -- mnist --out run
//! cargo run --release --example predict -- run data/mnist 100
//! ```

use std::path::Path;

use cotangent::data::{Dataset, Gather};
use cotangent::exec::evaluate;
use cotangent::train::files::{MODEL, TrainedModel, read_model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, data, count] = &arguments[..] else { return Err("usage: predict RUN DATA COUNT".into()) };

    // The weights are named and laid out as PyTorch's: 0.weight [out, in], 0.bias, 2.weight, ...
    let TrainedModel { model, parameters, normalisation } = read_model(&Path::new(run).join(MODEL))?;

    // The first test images, normalised as in training.
    let dataset = Dataset::from_folder(Path::new(data))?;
    if dataset.test.pixels() != model.widths[0] {
        let (pixels, inputs) = (dataset.test.pixels(), model.widths[0]);
        return Err(format!("the images of {data} have {pixels} pixels, the model takes {inputs}").into());
    }
    let indices: Vec<u32> = (0..dataset.test.len() as u32).take(count.parse()?).collect();
    let mut images = vec![0.0_f32; indices.len() * dataset.test.pixels()];
    let mut labels = vec![0.0; indices.len()];
    Gather::new(&dataset.test, normalisation, None).batch(0, &indices, &mut images, &mut labels);

    let network = model.inference(indices.len())?;
    let mut inputs = vec![(network.images, &images[..]), (network.labels, &labels[..])];
    for (&node, parameter) in network.parameters.iter().zip(model.parameters()) {
        inputs.push((node, &parameters[parameter.offset..][..parameter.shape.size()]));
    }
    let logits = evaluate(&network.graph, &inputs, &[network.logits()]).remove(0);
    for row in logits.chunks(model.widths[model.widths.len() - 1]) {
        println!("{}", row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    }
    Ok(())
}
