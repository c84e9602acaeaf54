//! candle on the same work as `cotangent mnist`: epoch time and test accuracy on the CPU.
//!
//!     candle-mnist DIR HIDDEN BATCH_SIZE EPOCHS LEARNING_RATE
//!
//! DIR holds the four IDX files of MNIST, raw or gzip. Adam, ReLU, no dropout, images as they are. Prints one CSV
//! row an epoch, as `torch_mnist.py` does. Threads are rayon's: RAYON_NUM_THREADS.

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::{AdamW, Init, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, loss};
use rand::SeedableRng;
use rand::seq::SliceRandom;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The bytes of an IDX file behind its header.
fn read(folder: &Path, name: &str, header: usize) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    match std::fs::File::open(folder.join(name)) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(_) => {
            let file = std::fs::File::open(folder.join(format!("{name}.gz")))?;
            flate2::read::GzDecoder::new(file).read_to_end(&mut bytes)?
        }
    };
    Ok(bytes.split_off(header))
}

/// Normalised images (n, pixels) and labels (n).
fn load(folder: &Path, part: &str) -> Outcome<(Tensor, Tensor)> {
    let labels = read(folder, &format!("{part}-labels-idx1-ubyte"), 8)?;
    let images = read(folder, &format!("{part}-images-idx3-ubyte"), 16)?;
    let pixels: Vec<f32> = images.iter().map(|&byte| (f32::from(byte) / 255.0 - 0.1307) / 0.3081).collect();
    let (count, labels) = (labels.len(), labels.into_iter().map(u32::from).collect::<Vec<_>>());
    let images = Tensor::from_vec(pixels, (count, images.len() / count), &Device::Cpu)?;
    Ok((images, Tensor::from_vec(labels, count, &Device::Cpu)?))
}

struct Network {
    layers: Vec<Linear>,
}

impl Network {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let (last, hidden) = self.layers.split_last().expect("there is a layer");
        let x = hidden.iter().try_fold(images.clone(), |x, layer| layer.forward(&x)?.relu())?;
        last.forward(&x)
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, hidden, batch_size, epochs, rate] = &arguments[..] else {
        return Err("candle-mnist DIR HIDDEN BATCH_SIZE EPOCHS LEARNING_RATE".into());
    };
    let (batch_size, epochs): (usize, usize) = (batch_size.parse()?, epochs.parse()?);
    let (images, labels) = load(folder.as_ref(), "train")?;
    let (test_images, test_labels) = load(folder.as_ref(), "t10k")?;
    let (count, pixels) = images.dims2()?;
    let mut widths = vec![pixels];
    for width in hidden.split(',') {
        widths.push(width.parse()?);
    }
    widths.push(10);

    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let layers = widths.windows(2).enumerate().map(|(number, pair)| {
        let of_layer = builder.pp(number);
        let deviation = (2.0 / pair[0] as f64).sqrt();
        let weight =
            of_layer.get_with_hints((pair[1], pair[0]), "weight", Init::Randn { mean: 0.0, stdev: deviation })?;
        let bias = of_layer.get_with_hints(pair[1], "bias", Init::Const(0.0))?;
        Ok(Linear::new(weight, Some(bias)))
    });
    let network = Network { layers: layers.collect::<candle_core::Result<_>>()? };
    let rule = ParamsAdamW { lr: rate.parse()?, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(variables.all_vars(), rule)?;

    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut random = rand::rngs::StdRng::seed_from_u64(0);
    println!("epoch,objective,test_accuracy,seconds");
    for epoch in 1..=epochs {
        let (start, mut total) = (Instant::now(), 0.0);
        order.shuffle(&mut random);
        for batch in order.chunks(batch_size) {
            let indices = Tensor::new(batch, &Device::Cpu)?;
            let (x, y) = (images.index_select(&indices, 0)?, labels.index_select(&indices, 0)?);
            let loss = loss::cross_entropy(&network.forward(&x)?, &y)?;
            optimizer.backward_step(&loss)?;
            total += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
        }
        let seconds = start.elapsed().as_secs_f64();
        let found = network.forward(&test_images)?.argmax(D::Minus1)?;
        let right = found.eq(&test_labels)?.to_dtype(DType::F32)?.mean_all()?.to_scalar::<f32>()?;
        println!("{epoch},{:.5},{right:.4},{seconds:.4}", total / count as f64);
    }
    Ok(())
}
