"""What a machine with a card is asked, and what becomes of its answers.

scripts/gpu-check runs it there: `main` takes the `experiments` in their order, the `queue` decides how long each may
take, `programs` runs one of them, `results` reads what it printed, `clocks` keeps a log of the card beside all of
them, `record` puts everything into one file, and `packing` the rest into another. `kit` is what scripts/gpu-kit writes about a build beforehand;
`tables` and `tuning` are what scripts/gpu-record makes of records afterwards.

Python's standard library alone: the machine with the card may have nothing else.
"""
