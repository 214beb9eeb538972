"""PyTorch's weights and modules, and ours: to and from, with the same outputs.

>>> import numpy as np
>>> from chainrule import Linear, MeanSquaredError, Model, ReLU
>>> from chainrule.pytorch import load_state_dict, to_state_dict
>>> net = Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError())
>>> state = to_state_dict(net, arrays=True)
>>> {name: array.shape for name, array in state.items()}
{'0.weight': (8, 4), '0.bias': (8,), '2.weight': (1, 8), '2.bias': (1,)}
>>> other = Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError(), seed=1)
>>> load_state_dict(other, state)
>>> bool((other.parameters == net.parameters).all())
True

PyTorch itself is imported only where tensors or modules are asked for: a state dict that was saved
as safetensors is read without it, by ``load_state_dict(net, safetensors.numpy.load_file(path))``.

What differs between the two, and is seen to here:

- weights of linear layers are transposed, kernels have their axes in another order;
- PyTorch's images are (samples, channels, height, width), ours (samples, height, width, channels).
  A linear layer after the flattening of images so has its weights in another order;
- an LSTM's gates stand in another order, and recurrent layers have two vectors of biases that are
  only ever added up.
"""

from chainrule.pytorch.modules import from_module, module_names
from chainrule.pytorch.state import load_state_dict, to_state_dict

__all__ = ["from_module", "load_state_dict", "module_names", "to_state_dict"]
