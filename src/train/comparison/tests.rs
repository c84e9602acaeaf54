//! Comparisons of runs that were not trained.
