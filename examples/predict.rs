//! Uses a trained model: the logits of test images, as CSV.
//!
//! ```sh
//! cargo run --release -- mnist --out run
//! cargo run --release --example predict -- run data/mnist 100
//! ```

use std::path::Path;

use cotangent::data::{Dataset, Gather, Normalisation};
use cotangent::exec::evaluate;
use cotangent::model::{Activation, Perceptron};
use safetensors::SafeTensors;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, data, count] = &arguments[..] else { return Err("usage: predict RUN DATA COUNT".into()) };

    // The weights are named and laid out as PyTorch's: 0.weight [out, in], 0.bias, 2.weight, ...
    let bytes = std::fs::read(Path::new(run).join("model.safetensors"))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let (_, header) = SafeTensors::read_metadata(&bytes)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let about = |key: &str| metadata.get(key).ok_or(format!("the model's metadata lack {key}"));
    let name = about("activation")?;
    let activation = Activation::ALL.into_iter().find(|activation| activation.name() == name);
    let activation = activation.ok_or(format!("no activation is called {name}"))?;
    let layers = (tensors.len() / 2).checked_sub(1).ok_or("the model has no layers")?;
    let mut widths = vec![tensors.tensor("0.weight")?.shape()[1]];
    for layer in 0..=layers {
        widths.push(tensors.tensor(&format!("{}.bias", 2 * layer))?.shape()[0]);
    }
    let model = Perceptron { widths, activation, dropout: 0.0 };

    // The first test images, normalised as in training.
    let dataset = Dataset::from_folder(Path::new(data))?;
    if dataset.test.pixels() != model.widths[0] {
        let (pixels, inputs) = (dataset.test.pixels(), model.widths[0]);
        return Err(format!("the images of {data} have {pixels} pixels, the model takes {inputs}").into());
    }
    let normalisation = Normalisation { mean: about("mean")?.parse()?, std: about("std")?.parse()? };
    let indices: Vec<u32> = (0..dataset.test.len() as u32).take(count.parse()?).collect();
    let mut images = vec![0.0_f32; indices.len() * dataset.test.pixels()];
    let mut labels = vec![0.0; indices.len()];
    Gather::new(&dataset.test, normalisation, None).batch(0, &indices, &mut images, &mut labels);

    let network = model.inference(indices.len())?;
    let mut values = vec![(network.images, images), (network.labels, labels)];
    for (&node, parameter) in network.parameters.iter().zip(model.parameters()) {
        let bytes = tensors.tensor(&parameter.name)?.data().chunks_exact(4);
        values.push((node, bytes.map(bytemuck::pod_read_unaligned).collect()));
    }
    let inputs: Vec<_> = values.iter().map(|(node, values)| (*node, &values[..])).collect();
    let logits = evaluate(&network.graph, &inputs, &[network.logits()]).remove(0);
    for row in logits.chunks(model.widths[layers + 1]) {
        println!("{}", row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    }
    Ok(())
}
