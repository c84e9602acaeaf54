//! A lab for the reader's own kernel: `scripts/lab my_gemm.cu --signature gemm`, for which no GPU is needed.
mod card;
mod comparison;
mod launch;
mod reference;
pub mod run;
mod signature;
mod source;
mod work;
pub mod worker;

pub fn debug(path: &str, name: &str) {
    use clap::ValueEnum;
    let source = source::Source::read(path.as_ref()).unwrap();
    let operation = signature::Operation::from_str(name, true).unwrap();
    let kernel = operation.kernel_of(&source).unwrap();
    let launch = launch::Launch::read(&source).unwrap();
    let (sizes, arrays): (Vec<_>, Vec<_>) = kernel.parameters.iter().partition(|p| p.of == "int");
    let launches = operation.shapes().iter().map(|shape| {
        let named: Vec<_> = sizes.iter().zip(*shape).map(|(p, s)| (p.name.as_str(), *s)).collect();
        work::Launch { sizes: shape.to_vec(), extents: launch.at(&named).unwrap() }
    }).collect();
    let work = work::Work { library: None, image: Default::default(), names: vec![kernel.name.clone()], operation, precision: reference::Precision::Float32,
        arrays: arrays.iter().map(|p| p.name.clone()).collect(), launches, orders: vec![], events: Default::default(), timed: None };
    for ran in run::run_all(&source, &work, &run::Again { arguments: vec![] }) {
        match ran {
            Ok(ran) => { println!("{:?}\n{}\n{:?}", ran.events.iter().filter(|e| !matches!(e, work::Event::Array { .. })).collect::<Vec<_>>(), ran.stderr, ran.status); }
            Err(run::Hindrance::File(p)) => println!("FILE {p}"),
            Err(run::Hindrance::Machine(p)) => println!("MACHINE {p}"),
        }
    }
}
