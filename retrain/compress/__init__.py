"""Smaller and faster models from a finished one, with what that costs measured before and after.

    vocabulary   word pieces that are never met are left out: half the size, the same answers
    layers       every second layer is left out; with training files the model is then taught by the one it was
    run          both, with accuracy, size and speed beside those of the original

Eight bits are no step of their own: all models are stored in them, and `squall models tune` computes in them.
"""
