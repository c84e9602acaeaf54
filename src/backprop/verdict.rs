//! One verdict on several things.

/// The verdict on several things: that one differs, or else that nothing can be told of one, or else that all agree.
pub(super) fn together(verdicts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let worse = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (None, _) | (_, None) => None,
        _ => Some(true),
    };
    verdicts.into_iter().fold(Some(true), worse)
}
