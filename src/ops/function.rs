//! A finished program: a graph with what goes in, what comes out, and what is stored.
//!
//! A graph is a list of nodes and says neither what its arguments are nor its results. A [`Function`] does, as JAX's
//! jaxpr does: its inputs and outputs are nodes in the arrangement in which the handles were given, so results come
//! back by type and are never looked up by position.

use super::builder::name_of;
use super::{Graph, Var};
use crate::graph::{NodeId, Shape};

/// Things in an arrangement: one, arrays and lists, tuples, perhaps one, and all of these nested. (JAX calls this a
/// pytree.)
pub trait Tree<T>: Sized {
    /// The same arrangement of other things.
    type With<U>;

    /// Replaces each thing, from left to right.
    fn map<U>(self, f: &mut impl FnMut(T) -> U) -> Self::With<U>;

    /// Visits each thing beside the one in its place in `others`, from left to right.
    ///
    /// # Errors
    /// The first list that is not as long as its counterpart.
    fn zip<U>(self, others: Self::With<U>, f: &mut impl FnMut(T, U)) -> Result<(), Unequal<T>>;

    /// All things, from left to right.
    fn leaves(self) -> Vec<T> {
        let mut leaves = Vec::new();
        self.map(&mut |leaf| leaves.push(leaf));
        leaves
    }
}

/// A list, or an option as one of at most one entry, whose counterpart has another length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unequal<T> {
    /// What the list holds, from left to right.
    pub things: Vec<T>,
    /// The length of the list.
    pub expected: usize,
    /// The length of its counterpart.
    pub given: usize,
}

macro_rules! leaf {
    ([$($life:lifetime)?] $leaf:ty) => {
        impl<$($life)?> Tree<$leaf> for $leaf {
            type With<U> = U;
            fn map<U>(self, f: &mut impl FnMut($leaf) -> U) -> U {
                f(self)
            }
            fn zip<U>(self, other: U, f: &mut impl FnMut($leaf, U)) -> Result<(), Unequal<$leaf>> {
                f(self, other);
                Ok(())
            }
        }
    };
}

leaf!(['g] Var<'g>);
leaf!([] NodeId);

macro_rules! tuple {
    ($($tree:ident $other:ident),*) => {
        #[allow(non_snake_case, clippy::unused_unit, reason = "parts are named as their types; () is a tuple, too")]
        impl<Leaf, $($tree: Tree<Leaf>),*> Tree<Leaf> for ($($tree,)*) {
            type With<U> = ($($tree::With<U>,)*);
            fn map<U>(self, _f: &mut impl FnMut(Leaf) -> U) -> Self::With<U> {
                let ($($tree,)*) = self;
                ($($tree.map(_f),)*)
            }
            fn zip<U>(self, others: Self::With<U>, _f: &mut impl FnMut(Leaf, U)) -> Result<(), Unequal<Leaf>> {
                let ($($tree,)*) = self;
                let ($($other,)*) = others;
                $($tree.zip($other, _f)?;)*
                Ok(())
            }
        }
    };
}

tuple!();
tuple!(A a, B b);
tuple!(A a, B b, C c);
tuple!(A a, B b, C c, D d);
tuple!(A a, B b, C c, D d, E e);

macro_rules! list {
    ([$($size:tt)*] $list:ty, $other:ty, $collect:expr) => {
        impl<Leaf, Part: Tree<Leaf>, $($size)*> Tree<Leaf> for $list {
            type With<U> = $other;
            fn map<U>(self, f: &mut impl FnMut(Leaf) -> U) -> Self::With<U> {
                $collect(self, |part: Part| part.map(f))
            }
            fn zip<U>(self, others: Self::With<U>, f: &mut impl FnMut(Leaf, U)) -> Result<(), Unequal<Leaf>> {
                let (mine, theirs) = (self.into_iter(), others.into_iter());
                let (expected, given) = (mine.len(), theirs.len());
                if expected != given {
                    return Err(Unequal { things: mine.flat_map(Tree::leaves).collect(), expected, given });
                }
                for (part, other) in mine.zip(theirs) {
                    part.zip(other, f)?;
                }
                Ok(())
            }
        }
    };
}

list!([const N: usize] [Part; N], [Part::With<U>; N], |parts: [Part; N], f| parts.map(f));
list!([] Vec<Part>, Vec<Part::With<U>>, |parts: Vec<Part>, f| parts.into_iter().map(f).collect());
list!([] Option<Part>, Option<Part::With<U>>, |part: Option<Part>, f| part.map(f));

/// Makes a struct of one type parameter a tree: its fields one after the other, each of them one.
macro_rules! tree_of_fields {
    ($tree:ident { $($field:ident),+ }) => {
        $crate::ops::tree_of_fields!([] $crate::graph::NodeId, $tree { $($field),+ });
        $crate::ops::tree_of_fields!(['g] $crate::ops::Var<'g>, $tree { $($field),+ });
    };
    ([$($life:lifetime)?] $leaf:ty, $tree:ident { $($field:ident),+ }) => {
        impl<$($life)?> $crate::ops::Tree<$leaf> for $tree<$leaf> {
            type With<U> = $tree<U>;
            fn map<U>(self, f: &mut impl FnMut($leaf) -> U) -> $tree<U> {
                $tree { $($field: $crate::ops::Tree::map(self.$field, f)),+ }
            }
            fn zip<U>(
                self,
                others: $tree<U>,
                f: &mut impl FnMut($leaf, U),
            ) -> Result<(), $crate::ops::Unequal<$leaf>> {
                $($crate::ops::Tree::zip(self.$field, others.$field, f)?;)+
                Ok(())
            }
        }
    };
}
pub(crate) use tree_of_fields;

/// A node whose value replaces an input's, once everything that reads the input has run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Store {
    /// The input.
    pub into: NodeId,
    /// Its new value, of the same shape.
    pub value: NodeId,
}

/// A program: a graph, and which of its nodes go in, come out and are stored.
///
/// [`Builder::finish`](super::Builder::finish) makes one of handles. [`call`](Self::call) takes the inputs' values and
/// returns the outputs', row-major, in the arrangements of the handles:
///
/// ```
/// use cotangent::ops::Builder;
///
/// let builder = Builder::new();
/// let (x, y) = (builder.input("x", [2]), builder.input("y", []));
/// let function = builder.finish([x, y], (x * y, x.sum()))?;
/// let (product, sum) = function.call([&[1.0, 2.0], &[3.0]])?;
/// assert_eq!((product, sum), (vec![3.0, 6.0], vec![3.0]));
///
/// let error = function.call([&[1.0, 2.0], &[3.0, 4.0]]).unwrap_err().to_string();
/// assert_eq!(error, "the input \"y\" of shape []: the number of values is 2, and has to be 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Function<I, O> {
    /// All nodes.
    pub graph: Graph,
    /// The nodes that values come from outside for: every input that an output or a store needs is among them.
    pub inputs: I,
    /// The nodes whose values are wanted.
    pub outputs: O,
    /// What inputs are replaced by, each at most once.
    pub stores: Vec<Store>,
}

impl<I: Tree<NodeId> + Clone, O> Function<I, O> {
    /// The inputs, from left to right, each with its values, for whoever runs the function once and keeps nothing.
    ///
    /// # Errors
    /// When an input has more or fewer values than its shape holds, or a list of inputs more or fewer entries; or when
    /// the function stores anything, as it has nowhere to.
    pub fn bind<'a, T>(&self, values: I::With<&'a [T]>) -> Result<Vec<(NodeId, &'a [T])>, CallError> {
        if let Some(store) = self.stores.first() {
            return Err(CallError::Stores { name: name_of(&self.graph, store.into) });
        }
        let mut bound = Vec::new();
        let zipped = self.inputs.clone().zip(values, &mut |input, values| bound.push((input, values)));
        zipped.map_err(|list| {
            let names =
                list.things.iter().map(|&input| name_of(&self.graph, input)).collect::<Vec<_>>().join(", ");
            CallError::Count { names, expected: list.expected, given: list.given }
        })?;
        match bound.iter().find(|(input, values)| values.len() != self.graph[*input].shape.size()) {
            Some(&(input, values)) => {
                let (name, shape) = (name_of(&self.graph, input), self.graph[input].shape.clone());
                Err(CallError::Length { name, expected: shape.size(), shape, given: values.len() })
            }
            None => Ok(bound),
        }
    }
}

/// A call that does not fit its function.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum CallError {
    #[error("the input {name} of shape {shape}: the number of values is {given}, and has to be {expected}")]
    Length { name: String, shape: Shape, expected: usize, given: usize },

    #[error("a list of inputs ({names}): the number of entries is {given}, and has to be {expected}")]
    Count { names: String, expected: usize, given: usize },

    #[error(
        "the function stores into its input {name}, so it runs where that stays: prepare it for an executor"
    )]
    Stores { name: String },
}
