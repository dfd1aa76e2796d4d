"""Labels in, a better model out: data, training, evaluation, and the papers that go with the weights."""
