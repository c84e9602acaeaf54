//! Functions: results come back in the arrangement that was asked for, and what does not fit is named.

use cotangent::autodiff::vjp;
use cotangent::graph::NodeId;
use cotangent::ops::{Builder, CallError, Draw, Function, Store, Var};

use crate::support::*;

#[test]
fn nested_results_come_back_in_their_arrangement_on_every_executor() {
    let builder = Builder::new();
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| builder.input(name, [2]));
    let inputs = ([a, b], (vec![(c, Some(d))], None::<Var>), e);
    let sums = [a + b, b + c].map(|sum| (sum, sum.sum()));
    let outputs = (vec![Some(e - d), None, Some(a)], sums, ((), [c * d]));
    let function = builder.finish(inputs, outputs).unwrap();
    let [a, b, c, d, e] = [[1.0, 2.0], [4.0, 8.0], [16.0, 32.0], [64.0, 128.0], [256.0, 512.0]];
    for executor in executors() {
        let inputs = ([&a[..], &b], (vec![(&c[..], Some(&d[..]))], None::<&[f64]>), &e[..]);
        let (differences, sums, ((), [product])) = executor.call(&function, inputs);
        assert_eq!(differences, [Some(vec![192.0, 384.0]), None, Some(vec![1.0, 2.0])], "{}", executor.name);
        assert_eq!(sums[0], (vec![5.0, 10.0], vec![15.0]), "{}", executor.name);
        assert_eq!(sums[1], (vec![20.0, 40.0], vec![60.0]), "{}", executor.name);
        assert_eq!(product, [1024.0, 4096.0], "{}", executor.name);
    }
}

/// The mistake of a function that is made of two inputs, x and y of shape [2], and a third of another builder.
#[track_caller]
fn assert_mistake(finish: impl for<'g> Fn(&'g Builder, [Var<'g>; 3]) -> Result<(), String>, expected: &str) {
    let (builder, other) = (Builder::new(), Builder::new());
    let inputs = [builder.input("x", [2]), builder.input("y", [2]), other.input("z", [3])];
    let mistake = finish(&builder, inputs).unwrap_err();
    assert!(mistake.starts_with(expected), "{mistake}");
    assert!(mistake.contains(" (at tests/functions.rs:"), "{mistake}");
}

/// Finishes and gives the mistake, at the caller's line.
macro_rules! finish {
    ($builder:expr, $inputs:expr, $outputs:expr) => {
        $builder.finish($inputs, $outputs).map(|_| ()).map_err(|mistake| mistake.to_string())
    };
}

#[test]
fn an_input_that_does_not_fit_its_function_is_named() {
    assert_mistake(
        |builder, [x, y, _]| finish!(builder, [x], x * y),
        "function of [2]: \"y\" is needed, and is not among the function's inputs: name it there",
    );
    assert_mistake(
        |builder, [x, y, _]| finish!(builder, [x, (x + y).named("s"), y], x * y),
        "function of [2]: \"s\" is computed, and cannot be an input of the function",
    );
    assert_mistake(
        |builder, [x, y, _]| finish!(builder, (x, vec![y, x]), x * y),
        "function of [2]: \"x\" is named twice among the function's inputs",
    );
    for as_input in [true, false] {
        assert_mistake(
            |builder, [x, _, z]| match as_input {
                true => finish!(builder, [x, z], x),
                false => finish!(builder, x, [x, z]),
            },
            "function of [3]: \"z\" belongs to another builder's graph",
        );
    }
    // What no output needs may be given all the same: labels, where the logits are asked for.
    let builder = Builder::new();
    let (x, unused) = (builder.input("x", [2]), builder.input("unused", []));
    let function = builder.finish([x, unused], 2.0 * x).unwrap();
    assert_eq!(function.call([&[1.0, 2.0], &[0.0]]), Ok(vec![2.0, 4.0]));
    assert!(function.call([&[1.0, 2.0], &[]]).unwrap_err().to_string().starts_with("the input \"unused\""));
}

#[test]
fn a_store_that_does_not_fit_is_named() {
    assert_mistake(
        |builder, [x, y, _]| {
            builder.store(x + y, (x * y).named("product"));
            finish!(builder, [x, y], ())
        },
        "store of [2] and [2]: \"product\" is computed, and only inputs are stored into",
    );
    assert_mistake(
        |builder, [x, y, _]| {
            builder.store(y, x);
            finish!(builder, [x, y], ())
        },
        "store of [2] and [2]: \"y\" is an input itself",
    );
    assert_mistake(
        |builder, [x, y, _]| {
            builder.store(y.sum().named("sum"), x);
            finish!(builder, [x, y], ())
        },
        "store of [] and [2]: \"sum\" has another shape than \"x\", which it is stored into",
    );
    assert_mistake(
        |builder, [x, y, _]| {
            builder.store(x + y, x);
            builder.store(x * y, y);
            builder.store(x - y, x);
            finish!(builder, [x, y], ())
        },
        "store of [2] and [2]: \"x\" is stored into already",
    );
    for into in [true, false] {
        assert_mistake(
            |builder, [x, y, z]| {
                if into {
                    builder.store(x + y, z)
                } else {
                    builder.store(z, x)
                }
                finish!(builder, [x, y], ())
            },
            "store of [3]: \"z\" belongs to another builder's graph",
        );
    }
    for (forgotten, expected) in [
        (0, "function of [2]: \"x\" is needed, and is not among the function's inputs"),
        (1, "function of [2]: \"y\" is needed, and is not among the function's inputs"),
    ] {
        assert_mistake(
            |builder, [x, y, _]| {
                builder.store(2.0 * y, x);
                finish!(builder, [y, x][forgotten], ())
            },
            expected,
        );
    }
}

#[test]
fn a_gradient_that_does_not_exist_is_named_and_is_not_left_out() {
    assert_mistake(
        |builder, [x, y, _]| {
            let adjoints = vjp((x * x).sum(), builder.constant(1.0), &[y, x]);
            finish!(builder, [x, y], [y, x].map(|var| adjoints.get(var)))
        },
        "gradient of [2]: \"y\" has none: the output does not depend on it",
    );
}

#[test]
fn the_mistake_that_came_first_is_the_one_returned() {
    assert_mistake(
        |builder, [x, y, z]| {
            let bad = x.matmul(y);
            builder.store(bad, x);
            finish!(builder, [z, x, x], [vjp(bad, bad, &[y]).get(y), bad])
        },
        "matmul of [2] and [2]: ",
    );
}

/// What a call says of inputs, on the CPU and on a device.
fn refusal(
    function: &Function<(NodeId, Vec<NodeId>, Option<NodeId>), NodeId>,
    inputs: (&[f32], Vec<&[f32]>, Option<&[f32]>),
) -> CallError {
    let refusal = function.call(inputs.clone()).unwrap_err();
    #[cfg(target_os = "linux")]
    {
        use cotangent::exec::cuda::{CudaError, CudaMode};
        let device = &crate::kernels::support::gpus()[0].device;
        let on_device = device.call(function, inputs, Draw::default(), CudaMode::default());
        assert!(matches!(on_device, Err(CudaError::Call(ref error)) if *error == refusal), "{on_device:?}");
    }
    refusal
}

#[test]
fn a_wrong_number_of_values_is_named_on_the_cpu_and_on_a_device() {
    let builder = Builder::new();
    let [x, w, b, s] = [("x", &[2][..]), ("W", &[2, 3]), ("b", &[]), ("s", &[2])]
        .map(|(name, shape)| builder.input(name, shape));
    let y = w.sum() * x + b + s;
    let function = builder.finish((x, vec![w, b], Some(s)), y).unwrap();
    let of = |x: usize, list: &[usize], s: Option<usize>| {
        let values = |count| &[0.5_f32; 7][..count];
        refusal(&function, (values(x), list.iter().map(|&count| values(count)).collect(), s.map(values)))
    };
    for (refused, expected) in [
        (of(3, &[6, 1], Some(2)), "the input \"x\" of shape [2]: the number of values is 3, and has to be 2"),
        (
            of(2, &[5, 1], Some(2)),
            "the input \"W\" of shape [2, 3]: the number of values is 5, and has to be 6",
        ),
        (of(2, &[6, 0], Some(2)), "the input \"b\" of shape []: the number of values is 0, and has to be 1"),
        (
            of(2, &[6], Some(2)),
            "a list of inputs (\"W\", \"b\"): the number of entries is 1, and has to be 2",
        ),
        (
            of(2, &[6, 1, 1], Some(2)),
            "a list of inputs (\"W\", \"b\"): the number of entries is 3, and has to be 2",
        ),
        (of(2, &[6, 1], None), "a list of inputs (\"s\"): the number of entries is 0, and has to be 1"),
    ] {
        assert_eq!(refused.to_string(), expected);
    }
}

#[test]
fn a_function_that_stores_is_not_called_as_it_has_nowhere_to() {
    let builder = Builder::new();
    let (x, s) = (builder.input("x", [2]), builder.input("s", [2]));
    builder.store(x + s, s);
    let function = builder.finish((x, Vec::<Var>::new(), Some(s)), 2.0 * x).unwrap();
    assert_eq!(
        function.stores,
        [Store { into: function.inputs.2.unwrap(), value: function.stores[0].value }]
    );
    let refused = refusal(&function, (&[1.0, 2.0], Vec::new(), Some(&[3.0, 4.0])));
    assert_eq!(refused, CallError::Stores { name: "\"s\"".into() });
}
