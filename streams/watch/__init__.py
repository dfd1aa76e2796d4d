"""The model under watch: are texts, answers and the desk's verdicts still what they were when the model learned?

The room only looks. It is given what was scored after that has been delivered, it holds no message up, and nothing of
it reaches a mention. `deploy/docs/MODEL_WATCH.md` says what each figure means and what to do when one rises.

    signals      what is measured of one text and its answer, and in which bin that falls
    psi          how far two histograms are apart
    window       the latest values, as a histogram
    reference    what the signals were where the model learned: a file of figures beside the model
    drift        the window held against the reference
    labels       verdicts joined with the answers that they judge; agreement and calibration
    shadow       a challenger that scores a share of the live texts, in a thread of its own
    tier         what the first tier's own audit has found
    watch        all of them, as the scorer meets them
    metrics      what Prometheus is shown
"""
